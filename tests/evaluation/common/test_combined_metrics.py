"""Several metrics as one."""

import pytest
from unit_results import unit

from opentad_bi.registry import METRICS

ACCURACY = {"type": "Accuracy", "classes": ["Normal", "Abuse"], "plots": False}


@pytest.fixture
def anomaly(tmp_path):
    (tmp_path / "truth.txt").write_text("a Abuse 0 30 -1 -1\nn Normal -1 -1 -1 -1\n")
    return {"type": "FrameAnomaly", "classes": ["Normal", "Abuse"], "normal_class": "Normal",
            "annotation": tmp_path / "truth.txt", "curves": 0}  # fmt: skip


RESULTS = [unit("a", 0, [0.1, 0.9], 1), unit("a", 1, [0.8, 0.2], 1), unit("n", 0, [0.4, 0.6], 0)]


def combined(*metrics, **options):
    return METRICS.build({"type": "CombinedMetrics", "metrics": list(metrics), **options})


def test_all_metrics_see_all_results(tmp_path, anomaly):
    metric, alone = combined(ACCURACY, anomaly), [METRICS.build(cfg) for cfg in (ACCURACY, anomaly)]
    for one in (metric, *alone):
        one.update(RESULTS[:2])
        one.update(RESULTS[2:])
    numbers = metric.compute()
    first, second = (one.compute() for one in alone)
    assert numbers == {"model": {**first["model"], **second["model"]}}
    assert metric.table(numbers) == f"{alone[0].table(first)}\n\n{alone[1].table(second)}"
    assert metric.per_class_table() == f"{alone[0].per_class_table()}\n\n{alone[1].per_class_table()}"
    assert metric.classes == ["Normal", "Abuse"]
    metric.save(tmp_path / "out")
    names = ["class_scores.json", "classification.json", "frame_anomaly.json", "frame_scores.json"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == names


@pytest.mark.parametrize(("select", "key"), [(0, "top1"), (1, "auc")])
def test_one_of_them_selects_a_checkpoint(anomaly, select, key):
    metric = combined(ACCURACY, anomaly, select=select)
    metric.update(RESULTS)
    numbers = metric.compute()
    assert numbers["model"]["top1"] != numbers["model"]["auc"]
    # a process that saw no results has the same score
    assert combined(ACCURACY, anomaly, select=select).score(numbers) == metric.score(numbers) == numbers["model"][key]


def test_two_numbers_of_one_name_are_an_error():
    metric = combined(ACCURACY, ACCURACY)
    metric.update(RESULTS)
    with pytest.raises(ValueError, match="Accuracy and Accuracy both give a number 'top1' of 'model'"):
        metric.compute()


def test_scored_is_passed_on(tmp_path, anomaly):
    cfg = {"type": "CombinedMetrics", "metrics": [ACCURACY, {**anomaly, "annotation": "nowhere.txt"}]}
    metric = METRICS.build(cfg, scored=False)
    metric.update(RESULTS)
    metric.save(tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["class_scores.json", "frame_scores.json"]
    with pytest.raises(ValueError, match="scored=False"):
        metric.compute()


@pytest.mark.parametrize(("metrics", "options", "message"), [
    ([], {}, "at least one description"),
    ([ACCURACY], {"select": 1}, "select 1 is none of the metrics, numbered 0 to 0"),
    ([ACCURACY], {"select": -1}, "select -1 is none"),
    ([{**ACCURACY, "bin": 3}], {}, "did you mean 'bins'"),
])  # fmt: skip
def test_arguments_are_checked(metrics, options, message):
    with pytest.raises(ValueError, match=message):
        combined(*metrics, **options)
