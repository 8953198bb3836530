"""Suppression, post-processing and mean average precision against the numbers of the reference and of real data."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from opentad_bi.evaluation.detection_map import DetectionMAP
from opentad_bi.evaluation.mean_ap import evaluate_file
from opentad_bi.ops.nms import batched_nms, vote_segments
from opentad_bi.ops.prediction import Detections, Result
from opentad_bi.ops.sample import SampleMeta


def canonical(segments, scores, labels):
    """Rows (score, label, start, end) with equal scores in a fixed order, and the same without the last score."""
    rows = np.column_stack([np.asarray(x, np.float64) for x in (-scores, labels, segments)])
    rows = rows[np.lexsort(rows.T[::-1])]
    return rows, rows[rows[:, 0] < rows[-1, 0]]


def test_suppression_with_every_setting(load_reference):
    data = load_reference("nms.pt")
    inputs = data["segments"], data["scores"], data["labels"]
    for name, case in data["cases"].items():
        arguments = inputs if len(case["scores"]) else [x[:0] for x in inputs]
        ours = batched_nms(*arguments, **case["cfg"])
        expected = case["segments"], case["scores"], case["labels"]
        assert [x.dtype for x in ours] == [x.dtype for x in expected], name
        assert [x.shape for x in ours] == [x.shape for x in expected], name
        if not len(case["scores"]):
            continue
        torch.testing.assert_close(ours[1], expected[1], atol=1e-6, rtol=0, msg=name)
        # among equal scores at the cap either may stay, so there only the score is compared
        (_, inner), (_, wanted) = canonical(*ours), canonical(*expected)
        np.testing.assert_allclose(inner, wanted, atol=5e-5, rtol=0, err_msg=name)


def test_voting_alone(load_reference):
    case = load_reference("nms.pt")["voting_only"]
    moved = vote_segments(case["nms_segs"], case["all_segs"], case["all_scores"], case["thresh"])
    np.testing.assert_allclose(moved, case["out"].numpy(), atol=5e-5)


def test_mean_average_precision_and_recall(reference, load_reference):
    for case in load_reference("map_expected.json"):
        report = evaluate_file(
            reference / "map_prediction.json",
            reference / "map_annotation.json",
            load_reference_subset(case),
            tiou_thresholds=case["tiou_thresholds"],
            top_k=case["top_k"],
            blocked_videos=reference / "map_blocked.json" if case["blocked"] else None,
        )
        assert report.classes == sorted(case["activity_index"], key=case["activity_index"].get)
        assert (report.num_truth, report.num_predictions) == (case["n_gt"], case["n_pred"])
        np.testing.assert_allclose(report.ap, case["ap"], atol=1e-9)
        if case["recall"] is not None:
            np.testing.assert_allclose(report.recall, case["recall"], atol=1e-9)
        assert set(report.metrics) == {two_decimals(key) for key in case["metrics"]}
        for key, value in case["metrics"].items():
            assert report.metrics[two_decimals(key)] == pytest.approx(value, abs=1e-9), key


def load_reference_subset(case):
    """The subset of a case, from its first log line."""
    return case["log_lines"][0].removeprefix("Loaded annotations from ").removesuffix(" subset.")


def two_decimals(key):
    """`mAP@0.3` and `recall@0.3@5` in our spelling."""
    kind, *rest = key.split("@")
    return "@".join([kind, *(f"{float(x):.2f}" if i == 0 else x for i, x in enumerate(rest))])


@pytest.mark.parametrize("name", ["parity_adatad.pt", "parity_actionformer_feat.pt"])
def test_final_results_of_a_detector(load_reference, tmp_path, name):
    for key, case in load_reference(name)["inference"].items():
        metric = metric_of(case, tmp_path)
        metric.update(results_of(case))
        ours = metric.results()["model"]
        assert list(ours) == list(case["final_results"]), key
        for video, expected in case["final_results"].items():
            assert comparable(ours[video]) == pytest.approx(comparable(expected), abs=1e-6), (key, video)
            assert [e["label"] for e in ours[video]] == [e["label"] for e in expected], (key, video)


@pytest.mark.parametrize("name", ["parity_adatad.pt", "parity_actionformer_feat.pt"])
def test_results_of_single_windows(load_reference, tmp_path, name):
    """Before the windows of a video are merged: seconds, clipped and rounded."""
    for key, case in load_reference(name)["inference"].items():
        if not case["post_cfg"]["sliding_window"]:
            continue
        metric = metric_of(case | {"post_cfg": case["post_cfg"] | {"nms": None}}, tmp_path)
        metric.update(results_of(case))
        for video, expected in case["per_batch_results"].items():
            ours = metric.results()["model"][video]
            assert comparable(ours) == pytest.approx(comparable(expected), abs=1e-6), (key, video)


def comparable(entries):
    """Numbers of a list of entries, flat."""
    return [x for entry in entries for x in (*entry["segment"], entry["score"])]


def metric_of(case, folder):
    """A metric with the settings of an inference case, over a ground truth of its own."""
    segment = {"segment": [0.0, 1.0], "label": case["class_map"][0]}
    database = {m["video_name"]: {"subset": "all", "annotations": [segment]} for m in case["metas"]}
    path = folder / "truth.json"
    path.write_text(json.dumps({"database": database}))
    return DetectionMAP(
        subset="all", ground_truth_filename=path, class_map=case["class_map"], nms=case["post_cfg"]["nms"]
    )


def results_of(case):
    """Results of the proposals and scores of an inference case, selected as a detector does."""
    cfg = case["post_cfg"]
    results = []
    for meta, proposals, scores in zip(case["metas"], case["proposals"], case["scores"], strict=True):
        flat = scores.flatten()
        above = (flat > cfg["pre_nms_thresh"]).nonzero()[:, 0]
        chosen = above[flat[above].sort(descending=True)[1][: cfg["pre_nms_topk"]]]
        point, label = chosen // scores.shape[1], chosen % scores.shape[1]
        sample = SampleMeta(
            video=meta["video_name"],
            fps=meta["fps"],
            duration_sec=meta["duration"],
            snippet_stride=meta["snippet_stride"],
            window_start_frame=meta.get("window_start_frame", 0),
            offset_frames=meta["offset_frames"],
            sliding=cfg["sliding_window"],
        )
        results.append(Result(sample, {"model": Detections(proposals[point], flat[chosen], label)}))
    return results


def test_real_detections_of_published_models():
    folder = os.environ.get("OPENTAD_SHARED", Path(__file__).resolve().parents[3] / "shared")
    folder = os.path.join(folder, "data", "predictions", "thumos14")
    if not os.path.isdir(folder):
        pytest.skip(f"no real detections at {folder}; set OPENTAD_SHARED to the folder above data/")
    with open(os.path.join(folder, "expected.json")) as stream:
        expected = json.load(stream)
    files = [name for name in expected if name.endswith(".json.gz")]
    assert files
    for name in files:
        report = evaluate_file(
            os.path.join(folder, name),
            os.path.join(folder, "ground_truth.json"),
            expected["subset"],
            tiou_thresholds=expected["tiou"],
        )
        ours = [100 * report.metrics[f"mAP@{t:.2f}"] for t in expected["tiou"]]
        assert ours == pytest.approx(expected[name]["mAP"], abs=expected["tolerance"])
        assert 100 * report.metrics["average_mAP"] == pytest.approx(
            expected[name]["average"], abs=expected["tolerance"]
        )
