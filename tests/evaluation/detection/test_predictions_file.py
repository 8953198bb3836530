"""Result files: both layouts, and errors that name the entry."""

import json
import logging

import pytest

from opentad_bi.evaluation.common.tables import aligned, class_table, metric_name, metrics_table
from opentad_bi.evaluation.detection.io import load_ground_truth, load_predictions, parse_results
from opentad_bi.evaluation.detection.mean_ap import check_thresholds, evaluate, evaluate_file

GOOD = {"segment": [1.0, 2.0], "label": "run", "score": 0.5}
RESULTS = {"a": [GOOD, {"segment": [4.0, 6.0], "label": "jump", "score": 0.25}], "b": [], "c": [GOOD | {"score": 0.4}]}


def truth_file(folder):
    annotations = [{"segment": [1.0, 2.0], "label": "run"}]
    path = folder / "truth.json"
    path.write_text(json.dumps({"database": {"a": {"subset": "test", "annotations": annotations}}}))
    return path


def test_there_and_back():
    assert parse_results(RESULTS).to_results() == RESULTS
    assert parse_results({}).to_results() == {}


@pytest.mark.parametrize("content", [RESULTS, {"version": "1", "results": RESULTS}])
def test_with_and_without_the_outer_key(tmp_path, content):
    path = tmp_path / "found.json"
    path.write_text(json.dumps(content))
    assert load_predictions(path).to_results() == RESULTS


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (GOOD | {"segment": [1.0]}, r"video 'a', entry 1: segment \[1.0\]"),
        (GOOD | {"segment": [1.0, None]}, "entry 1: segment"),
        (GOOD | {"segment": 3.0}, "entry 1: segment"),
        (GOOD | {"score": float("nan")}, "entry 1: score nan"),
        (GOOD | {"score": float("inf")}, "entry 1: score inf"),
        (GOOD | {"score": [0.5]}, "entry 1: score"),
        (GOOD | {"score": "high"}, "entry 1: score 'high'"),
        (GOOD | {"label": ["run"]}, "entry 1: label"),
        ({"segment": [1.0, 2.0]}, "entry 1: label, score missing"),
        ("nonsense", "entry 1: segment, label, score missing"),
    ],
)
def test_a_malformed_entry_is_named(tmp_path, entry, said):
    with pytest.raises(ValueError, match=said):
        parse_results({"a": [GOOD, entry]})
    path = tmp_path / "found.json"
    path.write_text(json.dumps({"a": [GOOD, entry]}))
    with pytest.raises(ValueError, match=r"found.json"):
        load_predictions(path)


@pytest.mark.parametrize(("results", "said"), [([GOOD], "got a list"), ({"a": GOOD}, "video 'a' must have a list")])
def test_another_layout_is_refused(results, said):
    with pytest.raises(ValueError, match=said):
        parse_results(results)


@pytest.mark.parametrize(("results", "said"), [([GOOD], "got a list"), (None, "got a NoneType")])
def test_results_that_are_no_object_are_not_taken_for_a_video(tmp_path, results, said):
    path = tmp_path / "found.json"
    path.write_text(json.dumps({"results": results}))
    with pytest.raises(ValueError, match=said):
        load_predictions(path)


def test_unknown_labels_are_dropped_with_a_warning(tmp_path, caplog):
    path = tmp_path / "found.json"
    path.write_text(json.dumps(RESULTS))
    with caplog.at_level(logging.WARNING):
        report = evaluate_file(path, truth_file(tmp_path), "test", tiou_thresholds=[0.5])
    assert "jump" in caplog.text
    assert report.num_predictions == 3
    assert report.metrics["mAP@0.50"] == 1.0


def test_blocked_videos_lose_their_predictions(tmp_path):
    path = tmp_path / "found.json"
    path.write_text(json.dumps({"c": [GOOD | {"score": 0.9}], "a": RESULTS["a"]}))
    both = evaluate_file(path, truth_file(tmp_path), "test", tiou_thresholds=[0.5])
    alone = evaluate_file(path, truth_file(tmp_path), "test", tiou_thresholds=[0.5], blocked_videos=["c"])
    assert both.metrics["average_mAP"] == 0.5 and alone.metrics["average_mAP"] == 1.0


def test_no_predictions_give_zero(tmp_path):
    report = evaluate(parse_results({"a": []}), load_ground_truth(truth_file(tmp_path), "test"), top_k=[1])
    assert set(report.metrics.values()) == {0.0}


@pytest.mark.parametrize("thresholds", [[], [0.0], [1.5], [0.5, -1]])
def test_overlaps_outside_the_unit_interval_are_refused(thresholds):
    with pytest.raises(ValueError, match="tiou_thresholds"):
        check_thresholds(thresholds)


def test_names_of_metrics_do_not_collide():
    assert [metric_name(t) for t in (0.3, 0.5, 0.125, 0.1 + 0.2)] == ["0.30", "0.50", "0.125", "0.30"]


def test_tables_are_in_percent_and_aligned(tmp_path):
    report = evaluate(parse_results({"a": [GOOD]}), load_ground_truth(truth_file(tmp_path), "test"), top_k=[5])
    text = metrics_table({"for": report.metrics, "back": report.metrics})
    head = text.splitlines()[0].split()
    assert head == ["direction", "mAP@0.30", "mAP@0.40", "mAP@0.50", "mAP@0.60", "mAP@0.70", "average_mAP"]
    assert text.count("recall@0.30@5") == 1 and "100.00" in text
    assert class_table({"model": report}).splitlines()[2].split() == ["run", *["100.00"] * 6]
    assert class_table({"for": report, "back": report}).splitlines()[0].split() == ["class", "for", "back"]
    assert aligned([["a", "b"], ["long", "1"]]) == "a     b\n-------\nlong  1"
