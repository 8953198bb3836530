"""The metric of classification: numbers, tables, files and bad input."""

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as sk
from unit_results import loop_ece, predictions, softmax, unit

from opentad_bi.evaluation.classification.accuracy import Accuracy
from opentad_bi.evaluation.classification.calibration import classify
from opentad_bi.ops.records import ClassScores, UnitMeta
from opentad_bi.registry import METRICS

CLASSES = ["Normal", "Fighting", "Road Accidents"]


def metric_of(classes=CLASSES, **options):
    return METRICS.build({"type": "Accuracy", "classes": classes, **options})


def units_of(labels, probabilities):
    return [unit(f"v{i}", 0, p, int(k)) for i, (k, p) in enumerate(zip(labels, probabilities, strict=True))]


def computed(metric, results):
    metric.update(results)
    return metric.compute()["model"]


@given(predictions())
def test_numbers_equal_those_of_scikit_learn(data):
    labels, probabilities = data
    classes = np.arange(probabilities.shape[1])
    report = classify(labels, probabilities)
    predicted, occurs = probabilities.argmax(axis=1), np.unique(labels)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        labels, predicted, labels=occurs, average="macro", zero_division=0
    )
    numbers = report.numbers
    assert numbers["top1"] == pytest.approx(sk.accuracy_score(labels, predicted))
    assert numbers["macro"] == numbers["macro_recall"] == pytest.approx(recall)
    assert (numbers["macro_precision"], numbers["macro_f1"]) == pytest.approx((precision, f1))
    assert numbers["loss"] == pytest.approx(sk.log_loss(labels, probabilities, labels=classes))
    assert (report.confusion == sk.confusion_matrix(labels, predicted, labels=classes)).all()
    assert ("top5" in numbers) == (len(classes) >= 5)
    if len(classes) > 5:
        assert numbers["top5"] == pytest.approx(sk.top_k_accuracy_score(labels, probabilities, k=5, labels=classes))


@given(predictions())
def test_the_confusion_matrix_holds_every_number_per_class(data):
    labels, probabilities = data
    report = classify(labels, probabilities)
    right = report.confusion.diagonal()
    assert (report.confusion.sum(axis=1) == report.support).all() and report.support.sum() == len(labels)
    assert np.nan_to_num(report.recall) * report.support == pytest.approx(right)
    assert np.nan_to_num(report.precision) * report.confusion.sum(axis=0) == pytest.approx(right)
    assert right.sum() / len(labels) == pytest.approx(report.numbers["top1"])


@given(predictions(), st.randoms(use_true_random=False))
def test_names_of_classes_and_order_of_samples_do_not_matter(data, random):
    labels, probabilities = data
    classes, samples = list(range(probabilities.shape[1])), list(range(len(labels)))
    random.shuffle(classes)
    random.shuffle(samples)
    renamed = classify(np.argsort(classes)[labels][samples], probabilities[samples][:, classes])
    for name, value in classify(labels, probabilities).numbers.items():
        assert renamed.numbers[name] == pytest.approx(value, abs=1e-12), name


@given(predictions(max_samples=40), st.integers(1, 8))
def test_batches_do_not_matter(data, size):
    results = units_of(*data)
    names = [f"c{k}" for k in range(data[1].shape[1])]
    whole, parts = metric_of(names), metric_of(names)
    whole.update(results)
    for i in range(0, len(results), size):
        parts.update(results[i : i + size])
    assert whole.compute() == parts.compute()


@given(predictions(max_samples=30), st.integers(2, 4))
def test_a_video_has_the_mean_of_its_units(data, copies):
    labels, probabilities = data
    rng = np.random.default_rng(copies)
    noisy = [softmax(np.log(probabilities) + rng.normal(size=probabilities.shape)) for _ in range(copies)]
    results = [unit(f"v{i}", crop % 2, p[i], int(k)) for crop, p in enumerate(noisy) for i, k in enumerate(labels)]
    names = [f"c{k}" for k in range(probabilities.shape[1])]
    metric = metric_of(names, level="video")
    numbers = computed(metric, results)
    mean = np.mean([p.astype(np.float32) for p in noisy], axis=0, dtype=np.float64)
    for name, value in classify(labels, mean).numbers.items():
        assert numbers[f"video_{name}"] == pytest.approx(value, abs=1e-9), name
    assert metric.score({"model": numbers}) == numbers["video_top1"]


def test_numbers_worked_out_by_hand():
    #                 right        wrong: second      right            wrong: last
    scores = [[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1]]
    numbers = computed(metric_of(), units_of([0, 1, 1, 2], scores))
    assert "video_top1" not in numbers and "top5" not in numbers
    assert numbers["top1"] == 0.5
    assert numbers["macro"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert numbers["macro_precision"] == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert numbers["loss"] == pytest.approx(-np.log([0.6, 0.3, 0.8, 0.1]).mean(), abs=1e-6)
    assert numbers["ece"] == pytest.approx((2 * 0.1 + 0.2 + 0.7) / 4, abs=1e-6)
    assert numbers["mce"] == pytest.approx(0.7, abs=1e-6)
    assert numbers["brier"] == pytest.approx((0.26 + 0.86 + 0.06 + 1.34) / 4, abs=1e-6)


def test_of_equal_probabilities_the_first_class_wins():
    numbers = computed(metric_of(), units_of([0, 1], [[1 / 3] * 3] * 2))
    assert numbers["top1"] == 0.5


def test_a_probability_of_zero_has_a_finite_loss():
    numbers = computed(metric_of(), units_of([1], [[1, 0, 0]]))
    assert 80 < numbers["loss"] < 90


def test_files_of_one_name_in_two_classes_are_two_videos():
    results = [unit("000", i, p, k) for k, p in enumerate(np.eye(3)) for i in range(2)]
    metric = metric_of()
    numbers = computed(metric, results)
    assert numbers["video_top1"] == 1 and numbers["top1"] == 1


@pytest.mark.parametrize(("options", "key"), [({}, "top1"), ({"select": "macro"}, "macro"),
                                              ({"level": "video"}, "video_top1"),
                                              ({"level": "video", "select": "macro"}, "video_macro")])  # fmt: skip
def test_what_selects_a_checkpoint(options, key):
    results = [unit("a", 0, [0.9, 0.1, 0], 0), unit("a", 1, [0.4, 0.6, 0], 0), unit("b", 0, [0.6, 0.4, 0], 1),
               unit("c", 0, [0.0, 0.9, 0.1], 1)]  # fmt: skip
    metric = metric_of(**options)
    numbers = computed(metric, results)
    assert len({numbers[k] for k in ("top1", "macro", "video_top1", "video_macro")}) >= 3
    assert metric_of(**options).score({"model": numbers}) == numbers[key]  # also where nothing was computed


def test_table_has_a_row_per_level_and_per_class():
    results = [unit("a", i, [0.9, 0.1, 0], 0) for i in range(2)] + [unit("b", 0, [0.6, 0.4, 0], 1)]
    metric = metric_of(per_class=True)
    metric.update(results)
    lines = metric.table(metric.compute()).splitlines()
    assert [line.split()[0] for line in lines if line.strip()][2:4] == ["unit", "video"]
    assert lines[2].split()[1] == "66.67" and lines[3].split()[1] == "50.00"
    assert lines[-1].split() == ["Road", "Accidents", "-", "-", "-", "0"]
    assert lines[-2].split() == ["Fighting", "-", "0.00", "0.00", "1"]
    assert metric.per_class_table() in metric.table(metric.compute())


def test_files(tmp_path):
    metric = metric_of(["a", "b$", "c", "d", "e", "f"], level="video")
    rng = np.random.default_rng(0)
    results = [unit(f"v{i}", k, p, i % 5) for i in range(10) for k, p in enumerate(rng.dirichlet(np.ones(6), 3))]
    numbers = computed(metric, results)
    metric.save(tmp_path / "out")
    saved = json.loads((tmp_path / "out" / "classification.json").read_text())
    assert saved["unit"]["top1"] == numbers["top1"] and saved["video"]["ece"] == numbers["video_ece"]
    assert saved["unit"]["samples"] == 30 and saved["video"]["samples"] == 10
    assert np.sum(saved["video"]["confusion"]["counts"]) == 10 and len(saved["classes"]) == 6
    assert saved["unit"]["per_class"]["f"]["recall"] is None and saved["unit"]["per_class"]["f"]["support"] == 0
    entries = json.loads((tmp_path / "out" / "class_scores.json").read_text())
    assert len(entries) == 10 and entries[1]["label"] == "b$" and len(entries[1]["probabilities"]) == 5
    assert list(entries[1]["probabilities"].values()) == sorted(entries[1]["probabilities"].values(), reverse=True)
    for name in ("confusion_matrix.png", "calibration.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")


def test_pictures_can_be_left_out_and_show_the_data(tmp_path):
    pictures = set()
    for i, plots in enumerate((False, True, True)):
        metric = metric_of(plots=plots)
        metric.update(units_of([0, 1], np.eye(3)[[0, 1 + (i == 2)]]))
        metric.save(tmp_path / str(i))
        pictures.add(tuple(p.read_bytes() for p in sorted((tmp_path / str(i)).glob("*.png"))))
    assert () in pictures and len(pictures) == 3


def test_many_classes_have_a_picture(tmp_path):
    metric = metric_of([f"class {k}" for k in range(101)])
    metric.update(units_of(range(101), np.eye(101)))
    metric.save(tmp_path)
    assert (tmp_path / "confusion_matrix.png").stat().st_size > 1000


def test_without_scores_results_are_saved_alone(tmp_path):
    metric = METRICS.build({"type": "Accuracy", "classes": CLASSES}, scored=False)
    metric.update([unit("a", 0, [0.2, 0.8, 0], -1)])
    metric.save(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["class_scores.json"]
    (entry,) = json.loads((tmp_path / "class_scores.json").read_text())
    assert entry["label"] is None and entry["probabilities"]["Fighting"] == pytest.approx(0.8)
    with pytest.raises(ValueError, match="scored=False"):
        metric.compute()


BAD = {
    "not finite": unit("bad one", 7, [math.nan, 0.5, 0.5], 0),
    "negative or do not sum": unit("bad one", 7, [0.9, 0.9, 0.9], 0),
    "negative": unit("bad one", 7, [-0.5, 1.0, 0.5], 0),
    "label 3 is not one of the 3 classes": unit("bad one", 7, [1, 0, 0], 3),
    "label -1 is not one": unit("bad one", 7, [1, 0, 0], -1),
    r"shape \(2,\), but there are 3 classes": unit("bad one", 7, [1, 0], 0),
    "has no rows": unit("bad one", 7, [1, 0, 0], 0, rows=0),
}


@pytest.mark.parametrize("message", BAD)
def test_a_result_that_makes_no_sense_is_named(message):
    metric = metric_of()
    good = unit("good", 0, [1, 0, 0], 0)
    metric.update([good])
    with pytest.raises(ValueError, match=f"video 'bad one'.*{message}"):
        metric.update([good, BAD[message]])
    assert metric.compute()["model"]["top1"] == 1  # what came before is still there


def test_no_results_is_an_error():
    with pytest.raises(ValueError, match="no results"):
        metric_of().compute()


@pytest.mark.parametrize(("options", "message"), [
    ({"level": "videos"}, "level 'videos' is not a choice; did you mean 'video'\\? \\(all: unit, video"),
    ({"select": "top5"}, "select 'top5' is not a choice; .*macro"),
    ({"bins": 0}, "bins 0 must be"),
    ({"bins": 1.5}, "bins 1.5 must be"),
    ({"classes": []}, "classes are missing"),
    ({"classes": ["a", "b", "a"]}, "'a' are named twice"),
    ({"clases": 1}, "did you mean 'classes'"),
])  # fmt: skip
def test_arguments_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        metric_of(**options)


@given(predictions(), st.integers(1, 20))
def test_bins_are_those_of_the_calibration_errors(data, bins):
    labels, probabilities = data[0], data[1].astype(np.float32)
    metric = metric_of([f"c{k}" for k in range(probabilities.shape[1])], bins=bins)
    numbers = computed(metric, units_of(labels, probabilities))
    sure = probabilities.astype(np.float64).max(axis=1), probabilities.argmax(axis=1) == labels
    assert (numbers["ece"], numbers["mce"]) == pytest.approx(loop_ece(*sure, bins), abs=1e-12)


def test_another_number_of_bins_is_another_error_as_the_plain_loop_says():
    rng = np.random.default_rng(3)
    probabilities = softmax(rng.normal(size=(200, 3))).astype(np.float32)
    labels = (probabilities.cumsum(axis=1) < rng.random((200, 1))).sum(axis=1).clip(0, 2)  # nearly calibrated
    sure = probabilities.astype(np.float64).max(axis=1), probabilities.argmax(axis=1) == labels
    found = {bins: computed(metric_of(bins=bins), units_of(labels, probabilities))["ece"] for bins in (3, 15, 40)}
    assert found == {bins: pytest.approx(loop_ece(*sure, bins)[0], abs=1e-12) for bins in found}
    assert abs(found[3] - found[15]) > 0.01 and abs(found[40] - found[15]) > 0.01


@given(predictions(max_samples=20))
def test_half_precision_probabilities_are_good_enough(data):
    labels, probabilities = data
    rounded = probabilities.astype(np.float16).astype(np.float32)
    assume((rounded.sum(axis=1) > 0.99).all())
    metric = metric_of([f"c{k}" for k in range(probabilities.shape[1])])
    assert 0 <= computed(metric, units_of(labels, rounded))["top1"] <= 1


def test_units_outside_the_events_are_normal_and_videos_keep_their_label(tmp_path):
    path = tmp_path / "events.txt"
    path.write_text("Abuse1.mp4  Abuse  60  90  -1  -1\nNormal1.mp4  Normal  -1  -1  -1  -1\n")
    options = {"annotation": path, "normal_class": "normal", "frames_per_row": 30, "plots": False}
    truth = {("Abuse1", 2): 1}  # row 2 alone holds frames 60 to 89
    results = [
        ClassScores(UnitMeta(video, row, 1), label, np.eye(2, dtype=np.float32)[truth.get((video, row), 0)])
        for video, label in (("Normal1", 0), ("Abuse1", 1))
        for row in range(4)
    ]
    timed, plain = (Accuracy(classes=["Normal", "Abuse"], **more) for more in (options, {"plots": False}))
    for metric in (timed, plain):
        metric.update(results)
    found, bare = timed.compute()["model"], plain.compute()["model"]
    assert found["top1"] == 1 and bare["top1"] == 5 / 8
    assert found["video_top1"] == bare["video_top1"] == 0.5
    other = Accuracy(classes=["Normal", "Abuse"], **options)
    other.update([ClassScores(UnitMeta("Abuse9", 0, 1), 1, np.array([0.5, 0.5]))])
    with pytest.raises(ValueError, match="the annotation lacks video 'Abuse9'; did you mean 'Abuse1'"):
        other.compute()
    with pytest.raises(KeyError, match="normal_class 'usual' is none of the classes"):
        Accuracy(classes=["Normal", "Abuse"], **{**options, "normal_class": "usual"})
