"""Suppression, post-processing and mean average precision against the numbers of the reference and of real data."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from reference_files import parity_names
from scipy.optimize import linear_sum_assignment

from opentad_bi.evaluation.common.tables import metric_name
from opentad_bi.evaluation.detection.io import load_ground_truth, load_predictions
from opentad_bi.evaluation.detection.map import DetectionMAP
from opentad_bi.evaluation.detection.mean_ap import evaluate, evaluate_file
from opentad_bi.ops.nms import batched_nms, vote_segments
from opentad_bi.ops.records import Result, SampleMeta
from opentad_bi.ops.segments import select_candidates

SCORE, SECONDS = 1.001e-4, 0.011  # one step of what results are rounded to


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
        blocked = reference / "map_blocked.json" if case["blocked"] else None
        truth = load_ground_truth(
            reference / "map_annotation.json",
            load_reference_subset(case),
            blocked,
            ignored_labels=(),  # the reference takes "Ambiguous" for a class
        )
        predictions = load_predictions(reference / "map_prediction.json")
        report = evaluate(predictions, truth, tiou_thresholds=case["tiou_thresholds"], top_k=case["top_k"])
        assert report.classes == sorted(case["activity_index"], key=case["activity_index"].get)
        assert (report.num_truth, report.num_predictions) == (case["n_gt"], case["n_pred"])
        np.testing.assert_allclose(report.ap, case["ap"], atol=1e-9)
        if case["recall"] is not None:
            np.testing.assert_allclose(report.recall, case["recall"], atol=1e-9)
        assert set(report.metrics) == {our_name(key) for key in case["metrics"]}
        for key, value in case["metrics"].items():
            assert report.metrics[our_name(key)] == pytest.approx(value, abs=1e-9), key


def load_reference_subset(case):
    """The subset of a case, from its first log line."""
    return case["log_lines"][0].removeprefix("Loaded annotations from ").removesuffix(" subset.")


def our_name(key):
    """`mAP@0.3` and `recall@0.3@5` in our spelling."""
    kind, *rest = key.split("@")
    return "@".join([kind, *(metric_name(float(x)) for x in rest[:1]), *rest[1:]])


@pytest.mark.parametrize("name", parity_names())
def test_final_results_of_a_detector(load_reference, tmp_path, name):
    for key, case in load_reference(f"parity_{name}.pt")["inference"].items():
        metric = metric_of(case, tmp_path)
        metric.update(results_of(case))
        ours = metric.results()["model"]
        assert ours.keys() == case["final_results"].keys(), key
        cap = (case["post_cfg"].get("nms") or {}).get("max_seg_num")
        for video, expected in case["final_results"].items():
            same_entries(ours[video], expected, cap, where=(key, video))


@pytest.mark.parametrize("name", parity_names())
def test_results_of_single_windows(load_reference, tmp_path, name):
    """Before the windows of a video are merged: seconds, clipped and rounded."""
    for key, case in load_reference(f"parity_{name}.pt")["inference"].items():
        if not is_sliding(case):
            continue
        metric = metric_of(case | {"post_cfg": case["post_cfg"] | {"nms": None}}, tmp_path)
        metric.update(results_of(case))
        for video, expected in case["per_batch_results"].items():
            same_entries(metric.results()["model"][video], expected, None, where=(key, video))


def same_entries(found, expected, cap, where):
    """Each entry has one of the other side within one step of rounding, whatever the order of equal scores.

    Where `cap` cuts the list off, any of the equal last ones may stay: of these only the scores are compared.
    """
    assert len(found) == len(expected), where
    if not expected:
        return
    ours, theirs = (table(entries) for entries in (found, expected))
    np.testing.assert_allclose(-np.sort(-ours[:, 0]), -np.sort(-theirs[:, 0]), atol=SCORE, rtol=0, err_msg=str(where))
    last = theirs[:, 0].min() + SCORE if len(expected) == cap else -1.0
    labels = [np.array([entry["label"] for entry in entries]) for entries in (found, expected)]
    distance = np.abs(ours[:, None] - theirs) / (SCORE, SECONDS, SECONDS)  # (ours, theirs, 3)
    near = (distance <= 1).all(-1) & (labels[0][:, None] == labels[1])
    for one, pairs in ((ours, near), (theirs, near.T)):
        pairs = pairs[one[:, 0] > last]
        assert pairs[linear_sum_assignment(~pairs)].all(), where


def table(entries):
    """Rows (score, start, end) of a list of entries."""
    return np.array([(entry["score"], *entry["segment"]) for entry in entries])


def metric_of(case, folder):
    """A metric with the settings of an inference case, over a ground truth of its own."""
    segment = {"segment": [0.0, 1.0], "label": case["class_map"][0]}
    database = {m["video_name"]: {"subset": "all", "annotations": [segment]} for m in case["metas"]}
    path = folder / "truth.json"
    path.write_text(json.dumps({"database": database}))
    return DetectionMAP(
        subset="all", ground_truth_filename=path, class_map=case["class_map"], nms=case["post_cfg"].get("nms")
    )


def is_sliding(case):
    """Whether the samples of an inference case are windows of videos."""
    return case["post_cfg"].get("sliding_window", "window_size" in case["metas"][0])


def results_of(case):
    """Results of the proposals and scores of an inference case, selected as a detector does."""
    cfg = case["post_cfg"]
    results = []
    for meta, proposals, scores in zip(case["metas"], case["proposals"], case["scores"], strict=True):
        limits = {"thresh": cfg.get("pre_nms_thresh", 0.001), "topk": cfg.get("pre_nms_topk", 2000)}
        sample = SampleMeta(
            video=meta["video_name"],
            fps=meta["fps"],
            duration_sec=meta["duration"],
            snippet_stride=meta["snippet_stride"],
            window_start_frame=meta.get("window_start_frame", 0),
            offset_frames=meta.get("offset_frames", 0),
            sliding=is_sliding(case),
        )
        # a single class may stand without a dimension of its own
        chosen = select_candidates(proposals, scores.reshape(len(proposals), -1), **limits)
        results.append(Result(sample, {"model": chosen}))
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
        ours = [100 * report.metrics[f"mAP@{metric_name(t)}"] for t in expected["tiou"]]
        assert ours == pytest.approx(expected[name]["mAP"], abs=expected["tolerance"])
        assert 100 * report.metrics["average_mAP"] == pytest.approx(
            expected[name]["average"], abs=expected["tolerance"]
        )
