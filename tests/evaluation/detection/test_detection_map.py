"""The metric from candidates to numbers, files and tables."""

import json
import logging

import numpy as np
import pytest
import torch

from opentad_bi.evaluation.detection import post_processing
from opentad_bi.ops.nms import batched_nms
from opentad_bi.ops.records import Detections, Result, SampleMeta
from opentad_bi.registry import METRICS
from opentad_bi.utils.logging import strictly

CLASSES = ["run", "jump"]
NMS = {"use_soft_nms": True, "sigma": 0.7, "max_seg_num": 50}
TRUTH = {"a": [([2.0, 4.0], "run"), ([10.0, 13.0], "jump")], "b": [([1.0, 2.5], "run")]}


def metric_of(folder, classes=CLASSES, **options):
    database = {
        video: {"subset": "test", "annotations": [{"segment": s, "label": n} for s, n in entries]}
        for video, entries in TRUTH.items()
    }
    path = folder / "truth.json"
    path.write_text(json.dumps({"database": database}))
    cfg = {"type": "mAP", "subset": "test", "ground_truth_filename": str(path), "class_map": classes, "nms": NMS}
    return METRICS.build(cfg | options)


def meta_of(video, start=0, sliding=False):
    return SampleMeta(video, 25.0, 20.0, 4, window_start_frame=start, valid_length=96, sliding=sliding)


def detections(rows):
    """[(start, end, score, label), ...] on the grid."""
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)
    return Detections(table[:, :2], table[:, 2], table[:, 3].long())


def perfect(video, meta):
    """The truth of a video as detections of score 0.9."""
    rows = []
    for (start, end), label in TRUTH[video]:
        grid = [(t * meta.fps - meta.window_start_frame) / meta.snippet_stride for t in (start, end)]
        rows.append((*grid, 0.9, CLASSES.index(label)))
    return detections(rows)


def crowd(seed, count=60):
    """Many random detections on the grid."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(-5, 95, count)
    rows = np.stack([start, start + rng.uniform(1, 30, count), rng.uniform(0, 1, count), rng.integers(0, 2, count)])
    return detections(rows.T)


@pytest.mark.parametrize("sliding", [False, True])
def test_perfect_detections_score_one(tmp_path, sliding):
    metric = metric_of(tmp_path)
    metas = [meta_of(video, sliding=sliding) for video in TRUTH]
    metric.update([Result(meta, {"model": perfect(meta.video, meta)}) for meta in metas])
    metrics = metric.compute()
    assert list(metrics) == ["model"]
    assert list(metrics["model"]) == ["average_mAP", *(f"mAP@0.{d}0" for d in (3, 4, 5, 6, 7))]
    assert metric.score(metrics) == pytest.approx(1.0)


def test_a_pair_is_merged_before_the_one_suppression(tmp_path):
    metric = metric_of(tmp_path)
    meta, own, other = meta_of("a"), crowd(1), crowd(2)
    metric.update([Result(meta, {"for": own, "back": other})])
    found = metric.results()
    assert list(found) == ["for", "back", "merged"]
    union = [torch.cat([getattr(own, k), getattr(other, k)]) for k in ("segments", "scores", "labels")]
    segments, scores, labels = batched_nms(*union, **NMS)
    entries = found["merged"]["a"]
    assert len(entries) == NMS["max_seg_num"]
    assert [e["score"] for e in entries] == [round(x, 4) for x in scores.tolist()]
    assert [e["label"] for e in entries] == [CLASSES[i] for i in labels.tolist()]
    seconds = (segments * 4 / 25.0).clip(0, 20)
    assert [e["segment"] for e in entries] == [[round(x, 2) for x in row] for row in seconds.tolist()]


def test_merged_leads_the_score_and_the_main_file(tmp_path):
    metric = metric_of(tmp_path)
    metas = [meta_of(video) for video in TRUTH]
    metric.update([Result(m, {"for": crowd(3), "back": perfect(m.video, m)}) for m in metas])
    metrics = metric.compute()
    assert metrics["back"]["average_mAP"] == pytest.approx(1.0) and metrics["for"]["average_mAP"] < 0.9
    assert metric.score(metrics) == metrics["merged"]["average_mAP"]
    metric.save(tmp_path / "out")
    files = {path.name: json.loads(path.read_text())["results"] for path in (tmp_path / "out").iterdir()}
    assert sorted(files) == ["result_detection.json"] + [
        f"result_detection_{d}.json" for d in ("back", "for", "merged")
    ]
    assert files["result_detection.json"] == files["result_detection_merged.json"] == metric.results()["merged"]
    assert files["result_detection_for.json"] == metric.results()["for"]


def test_fused_is_the_union_of_both_bases_leads_and_is_never_averaged_by_voting(tmp_path):
    metric = metric_of(tmp_path, cross_direction_voting=1.0)
    plain = metric_of(tmp_path)
    metas = [meta_of(video) for video in TRUTH]
    for one in (metric, plain):
        sides = {"for": crowd(1), "back": crowd(2), "fused_for": crowd(3), "fused_back": crowd(4)}
        one.update([Result(m, dict(sides)) for m in metas])
    assert list(metric.results()) == ["for", "back", "fused_for", "fused_back", "merged", "fused"]
    assert metric.results()["fused"] == plain.results()["fused"]
    assert metric.results()["merged"] != plain.results()["merged"]
    union = metric_of(tmp_path)
    union.update([Result(m, {"for": crowd(3), "back": crowd(4)}) for m in metas])
    assert metric.results()["fused"] == union.results()["merged"]
    metrics = metric.compute()
    assert metric.score(metrics) == metrics["fused"]["average_mAP"]


def test_a_single_network_writes_one_file(tmp_path):
    metric = metric_of(tmp_path)
    metric.update([Result(meta_of("a"), {"model": crowd(0)})])
    metric.save(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["result_detection.json"]


def test_windows_of_a_video_are_suppressed_together_after_rounding(tmp_path):
    metric = metric_of(tmp_path)
    metas = [meta_of("a", start, sliding=True) for start in (0, 128)]
    metric.update([Result(meta, {"model": crowd(i)}) for i, meta in enumerate(metas)])
    rows = []
    for i, meta in enumerate(metas):
        found = crowd(i)
        columns = (meta.to_seconds(found.segments).tolist(), found.scores, found.labels)
        for segment, score, label in zip(*columns, strict=True):
            rows.append((*(round(x, 2) for x in segment), round(score.item(), 4), label.item()))
    union = detections(rows)
    segments, scores, _ = batched_nms(union.segments, union.scores, union.labels, **NMS)
    entries = metric.results()["model"]["a"]
    assert [e["score"] for e in entries] == [round(x, 4) for x in scores.tolist()]
    assert [e["segment"] for e in entries] == [[round(x, 2) for x in row] for row in segments.tolist()]


def test_the_number_of_threads_changes_nothing(tmp_path, monkeypatch):
    found = []
    for threads in (1, 8):
        monkeypatch.setattr(post_processing.os, "cpu_count", lambda count=threads: count)
        metric = metric_of(tmp_path)
        metric.update([Result(meta_of(f"video{i}"), {"model": crowd(i)}) for i in range(20)])
        found.append(metric.results())
    assert found[0] == found[1]
    assert list(found[0]["model"]) == [f"video{i}" for i in range(20)]


def test_without_suppression_every_candidate_stays(tmp_path):
    metric = metric_of(tmp_path, nms=None)
    metric.update([Result(meta_of("a", sliding=True), {"model": crowd(0)}), Result(meta_of("b"), {"model": crowd(1)})])
    assert [len(entries) for entries in metric.results()["model"].values()] == [60, 60]


def test_a_video_without_candidates_is_kept_empty(tmp_path):
    metric = metric_of(tmp_path)
    metric.update([Result(meta_of("a", sliding=True), {"model": detections([])})])
    assert metric.results() == {"model": {"a": []}}
    assert metric.score(metric.compute()) == 0.0


def test_more_results_after_a_computation_count(tmp_path):
    metric = metric_of(tmp_path)
    metric.update([Result(meta_of("a"), {"model": perfect("a", meta_of("a"))})])
    before = metric.score(metric.compute())
    metric.update([Result(meta_of("b"), {"model": perfect("b", meta_of("b"))})])
    assert metric.score(metric.compute()) == pytest.approx(1.0) and before < 1.0


def test_tables_name_directions_and_classes(tmp_path):
    metric = metric_of(tmp_path, per_class=True, top_k=[1])
    metric.update([Result(meta_of("a"), {"for": crowd(0), "back": crowd(1)})])
    text = metric.table(metric.compute())
    for word in ("for", "back", "merged", "mAP@0.50", "recall@0.50@1", "run", "jump"):
        assert word in text
    assert metric.per_class_table() in text


def test_class_map_of_a_file(tmp_path):
    (tmp_path / "classes.txt").write_text("run\njump\n")
    assert metric_of(tmp_path, classes=str(tmp_path / "classes.txt")).classes == CLASSES


def test_classes_the_model_does_not_have_are_named(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        metric_of(tmp_path, classes=["run"])
    assert "jump" in caplog.text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_not_finite_names_the_video(tmp_path, value):
    with pytest.raises(ValueError, match=r"video 'b'.*not finite"):
        metric_of(tmp_path).update([Result(meta_of("b"), {"model": detections([(1, 2, value, 0)])})])


def test_a_label_outside_the_class_map_names_the_video(tmp_path):
    with pytest.raises(ValueError, match=r"video 'b'.*labels 0 to 2.*2 names"):
        metric_of(tmp_path).update([Result(meta_of("b"), {"model": detections([(1, 2, 1, 0), (1, 2, 1, 2)])})])


def test_directions_must_agree(tmp_path):
    metric = metric_of(tmp_path)
    metric.update([Result(meta_of("a"), {"model": crowd(0)})])
    with pytest.raises(ValueError, match=r"video 'b' has the directions \['for'\]"):
        metric.update([Result(meta_of("b"), {"for": crowd(0)})])


def test_nothing_to_compute_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no results"):
        metric_of(tmp_path).compute()


def test_a_misspelt_argument_of_the_suppression_is_an_error(tmp_path):
    with pytest.raises(KeyError, match="did you mean 'sigma'"):
        metric_of(tmp_path, nms={"sigmo": 0.5})


def test_unscored_results_are_saved_without_a_ground_truth(tmp_path):
    metric = metric_of(tmp_path, scored=False, ground_truth_filename=str(tmp_path / "none.json"))
    meta = meta_of("a")
    metric.update([Result(meta, {"model": perfect("a", meta)})])
    metric.save(tmp_path)
    saved = json.loads((tmp_path / "result_detection.json").read_text())["results"]
    assert [entry["label"] for entry in saved["a"]] == ["run", "jump"]
    with pytest.raises(ValueError, match="scored=False"):
        metric.compute()


def test_videos_of_another_subset_are_named_before_and_after(tmp_path, caplog):
    metric = metric_of(tmp_path)
    (known,) = metric.truth.videos[:1]
    metric.check_videos([known, "v_" + known])
    assert "1 of 2 predicted videos, whose predictions count as false, are not in" in caplog.text
    assert f"'v_{known}' is probably {known!r}" in caplog.text
    with pytest.raises(ValueError, match="none of the 1 predicted videos is in subset"):
        metric.check_videos(["elsewhere"])
    metric.update([Result(meta_of("elsewhere"), {"model": detections([])})])
    with pytest.raises(ValueError, match="none of the 1 predicted videos is in subset"):
        metric.compute()
    metric_of(tmp_path, scored=False).check_videos(["elsewhere"])


def test_a_class_that_the_subset_lacks_is_no_fault_of_the_data(tmp_path, caplog):
    metric = metric_of(tmp_path, classes=[*CLASSES, "swim"])
    rows = [(2 * 25 / 4, 4 * 25 / 4, 0.9, 0), (0, 5, 0.8, 2)]
    metric.update([Result(meta_of(video), {"model": detections(rows)}) for video in TRUTH])
    with strictly():
        metric.compute()
        assert "are ignored: 'swim'" in caplog.text
        odd = tmp_path / "odd.json"
        odd.write_text(json.dumps({v: [{"segment": [0, 1], "label": "Swim", "score": 0.5}] for v in TRUTH}))
        with pytest.raises(ValueError, match="are ignored: 'Swim'"):
            metric.compute_file(odd)


def test_videos_without_predictions_are_said(tmp_path, caplog):
    metric = metric_of(tmp_path)
    metric.check_videos(list(TRUTH))
    assert not caplog.text
    metric.check_videos(["b"])
    assert "1 of 2 videos with actions of subset 'test' have no predictions" in caplog.text
    assert "missed: a" in caplog.text
