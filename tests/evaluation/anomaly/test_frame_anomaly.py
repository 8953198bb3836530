"""The metric of anomaly detection: a video worked out by hand, laws, files, bad input, the real annotation."""

import itertools
import json
import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import SHARED
from sklearn.metrics import average_precision_score, roc_auc_score
from unit_results import anomaly_units, unit

from opentad_bi.evaluation.common.frame_annotation import read_frame_annotation
from opentad_bi.evaluation.viz.curves import file_stem
from opentad_bi.registry import METRICS

PAIR = ["Normal", "Abuse"]
LINES = "a.mp4 Abuse 2 6 -1 -1\nb.mp4 Arson 0 3 9 12\nn.mp4 Normal -1 -1 -1 -1\n"


@pytest.fixture(scope="module")
def annotation(tmp_path_factory):
    path = tmp_path_factory.mktemp("truth") / "annotation.txt"
    path.write_text(LINES)
    return path


def metric_of(annotation, **options):
    defaults = {"classes": PAIR, "normal_class": "normal", "annotation": str(annotation), "frames_per_row": 3}
    return METRICS.build({"type": "FrameAnomaly", **defaults, **options})


def numbers_of(metric, results):
    metric.update(results)
    return metric.compute()["model"]


def all_videos(rng, rows=4):
    """Random scores of the three videos, which float32 holds exactly and so do means of two; many are equal."""
    return {video: rng.integers(0, 17, rows) / 16 for video in "abn"}


def results_of(scores, rows=1):
    return [result for video, of in scores.items() for result in anomaly_units(video, of, rows)]


def frame_numbers(scores, per_row=3):
    """AUC and AP by scikit-learn on truth and scores of all frames."""
    spans = {"a": [(2, 6)], "b": [(0, 3), (9, 12)], "n": []}
    truth = [any(s <= f < e for s, e in spans[v]) for v, of in scores.items() for f in range(per_row * len(of))]
    frames = np.concatenate([np.repeat(np.asarray(of, np.float32), per_row) for of in scores.values()])
    return roc_auc_score(truth, frames), average_precision_score(truth, frames)


def test_a_video_worked_out_by_hand(annotation):
    # frames:          0 1 2   3 4 5   6 7 8   9 10 11      positives of a: 2..5, of b: 0..2 and 9..11
    scores = {"a": [0.2, 0.6, 0.2], "b": [0.9, 0.1, 0.1, 0.9], "n": [0.1, 0.1]}
    numbers = numbers_of(metric_of(annotation), results_of(scores))
    assert numbers["videos"] == 3 and numbers["abnormal_videos"] == 2 and numbers["missing_videos"] == 0
    assert numbers["anomalous_share"] == pytest.approx(10 / 27)
    # ten positives: nine above all seventeen normal frames; frame 2 of a (0.2) ties with five, beats twelve
    assert numbers["auc"] == pytest.approx((9 * 17 + 12 + 5 / 2) / (10 * 17))
    assert numbers["ap"] == pytest.approx(0.9 * 1 + 0.1 * 10 / 15)
    # videos with events alone: eleven normal frames, five at 0.2
    assert numbers["abnormal_auc"] == pytest.approx((9 * 11 + 6 + 5 / 2) / (10 * 11))
    assert numbers["abnormal_ap"] == pytest.approx(0.9 * 1 + 0.1 * 10 / 15)


@given(st.integers(0, 999), st.integers(4, 9))
def test_numbers_equal_scikit_learn_on_all_frames(annotation, seed, rows):
    scores = all_videos(np.random.default_rng(seed), rows)
    numbers = numbers_of(metric_of(annotation), results_of(scores))
    assert (numbers["auc"], numbers["ap"]) == pytest.approx(frame_numbers(scores))
    abnormal = {video: scores[video] for video in "ab"}
    assert (numbers["abnormal_auc"], numbers["abnormal_ap"]) == pytest.approx(frame_numbers(abnormal))


@given(st.integers(0, 999), st.randoms(use_true_random=False), st.integers(1, 9))
def test_order_and_batches_do_not_matter(annotation, seed, random, size):
    results = results_of(all_videos(np.random.default_rng(seed), 6))
    whole, parts = metric_of(annotation), metric_of(annotation)
    expected = numbers_of(whole, results)
    random.shuffle(results)
    for i in range(0, len(results), size):
        parts.update(results[i : i + size])
    assert parts.compute()["model"] == expected


@given(st.integers(0, 999), st.sampled_from([np.sqrt, np.square, lambda p: p / 2, lambda p: np.expm1(p) / 2]))
def test_only_the_order_of_scores_matters(annotation, seed, monotone):
    scores = all_videos(np.random.default_rng(seed))
    bent = {video: monotone(of) for video, of in scores.items()}
    straight, other = (numbers_of(metric_of(annotation), results_of(of)) for of in (scores, bent))
    assert {k: pytest.approx(v) for k, v in straight.items()} == other


@given(st.integers(0, 999))
def test_reversed_scores_reverse_the_auc(annotation, seed):
    scores = all_videos(np.random.default_rng(seed))
    numbers = numbers_of(metric_of(annotation), results_of(scores))
    turned = numbers_of(metric_of(annotation), results_of({video: 1 - of for video, of in scores.items()}))
    assert turned["auc"] == pytest.approx(1 - numbers["auc"])


@pytest.mark.parametrize(("right", "auc"), [(1.0, 1.0), (0.0, 0.0)])
def test_the_truth_as_scores_is_perfect_and_its_reverse_is_worst(annotation, right, auc):
    frames = {"a": np.zeros(12), "b": np.zeros(12), "n": np.zeros(12)}
    frames["a"][2:6] = frames["b"][:3] = frames["b"][9:] = 1
    metric = metric_of(annotation, frames_per_row=1)
    numbers = numbers_of(metric, results_of({v: of if right else 1 - of for v, of in frames.items()}))
    assert numbers["auc"] == numbers["abnormal_auc"] == auc and (numbers["ap"] == 1) == (auc == 1)


@given(st.integers(0, 999), st.integers(2, 3))
def test_a_unit_of_several_rows_is_its_rows_of_one(annotation, seed, rows):
    scores = all_videos(np.random.default_rng(seed), 4)
    single = {video: np.repeat(of, rows) for video, of in scores.items()}
    long, short = (numbers_of(metric_of(annotation), r) for r in (results_of(scores, rows), results_of(single)))
    assert long == short


@given(st.integers(0, 999))
def test_crops_are_averaged(annotation, seed):
    rng = np.random.default_rng(seed)
    crops = [all_videos(rng), all_videos(rng)]
    mean = {video: (crops[0][video] + crops[1][video]) / 2 for video in "abn"}
    both = numbers_of(metric_of(annotation), [r for crop in crops for r in results_of(crop)])
    assert both == numbers_of(metric_of(annotation), results_of(mean))


def test_smoothing_mends_a_gap(annotation):
    scores = {"a": [0, 0.9, 0.0, 0.1], "b": [0.9, 0, 0, 0.9], "n": [0.5, 0, 0.5, 0]}
    plain = numbers_of(metric_of(annotation, frames_per_row=2), results_of(scores | {"b": [0.9, 0, 0, 0, 0.9, 0.9]}))
    soft = metric_of(annotation, frames_per_row=2, sigma=1.0)
    assert numbers_of(soft, results_of(scores | {"b": [0.9, 0, 0, 0, 0.9, 0.9]}))["auc"] != plain["auc"]
    assert (soft._scores()["n"].scores < 0.5).all()


def test_scores_of_more_than_two_classes(annotation):
    classes = ["Abuse", "normal videos", "Arson"]
    results = [unit(v, i, p) for v in "abn" for i, p in enumerate([[0.3, 0.4, 0.3], [0.4, 0.6, 0.0]] * 2)]
    sums, maxima = (
        metric_of(annotation, classes=classes, normal_class="Normal_Videos", score=kind)
        for kind in ("normal", "anomaly")
    )
    for metric, expected in ((sums, [0.6, 0.4]), (maxima, [0.3, 0.4])):
        metric.update(results)
        assert metric._scores()["a"].scores[:2] == pytest.approx(expected)


def test_every_class_is_measured(annotation):
    scores = {"a": [0.2, 0.6, 0.2, 0.1], "b": [0.9, 0.1, 0.1, 0.9], "n": [0.95, 0.1, 0.1, 0.1]}
    metric = metric_of(annotation, classes=["normal", "ABUSE", "arson"], per_class=True)
    metric.update([unit(v, i, [1 - s, s, 0]) for v, of in scores.items() for i, s in enumerate(of)])
    by_class = metric._measured().by_class
    assert list(by_class) == ["ABUSE", "arson"]
    alone = frame_numbers({"b": scores["b"]})
    both = frame_numbers({"b": scores["b"], "n": scores["n"]})
    assert (by_class["arson"]["abnormal_auc"], by_class["arson"]["abnormal_ap"]) == pytest.approx(alone)
    assert (by_class["arson"]["auc"], by_class["arson"]["ap"]) == pytest.approx(both)
    assert alone[0] == 1 and both[0] < 1 and by_class["arson"]["anomalous_share"] == 0.5
    text = metric.table(metric.compute())
    assert [line.split()[0] for line in text.splitlines() if line.strip()][-2:] == ["ABUSE", "arson"]
    assert metric.per_class_table() in text


def test_files(tmp_path, annotation):
    metric = metric_of(annotation, curves=None, fps=3.0)
    numbers = numbers_of(metric, results_of(all_videos(np.random.default_rng(0))))
    metric.save(tmp_path)
    saved = json.loads((tmp_path / "frame_anomaly.json").read_text())
    assert saved["auc"] == numbers["auc"] and list(saved["per_class"]) == ["Abuse", "Arson"]
    scores = json.loads((tmp_path / "frame_scores.json").read_text())
    assert scores["frames_per_row"] == 3 and list(scores["videos"]) == ["a", "b", "n"]
    assert len(scores["videos"]["a"]) == 4
    assert sorted(p.name for p in (tmp_path / "score_curves").iterdir()) == ["a.png", "b.png", "n.png"]
    assert (tmp_path / "score_curves" / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("curves", "drawn"), [(0, []), (1, ["a"]), (2, ["a", "b"]), (9, ["a", "b"])])
def test_curves_are_those_of_videos_with_events(annotation, curves, drawn):
    metric = metric_of(annotation, curves=curves)
    metric.update(results_of(all_videos(np.random.default_rng(0))))
    assert metric._drawn() == drawn


def test_an_event_changes_the_picture(tmp_path, annotation):
    (tmp_path / "other.txt").write_text(LINES.replace("2 6", "6 9"))
    pictures = []
    for i, path in enumerate((annotation, tmp_path / "other.txt")):
        metric = metric_of(path, curves=1)
        metric.update(results_of({v: [0.5] * 4 for v in "abn"}))
        metric.save(tmp_path / str(i))
        pictures.append((tmp_path / str(i) / "score_curves" / "a.png").read_bytes())
    assert pictures[0] != pictures[1]


@given(st.lists(st.text(max_size=300), min_size=2, max_size=2, unique=True))
def test_names_of_files_are_safe_and_tell_videos_apart(names):
    stems = [file_stem(name) for name in names]
    assert stems[0] != stems[1]
    for stem in stems:
        assert stem and not stem.startswith(".") and not set(stem) & set('/\\:*?"<>|\0\n') and len(stem) < 150
    assert file_stem("v=S-7rRLrxnVQ__#1_label_B4-0-0") == "v=S-7rRLrxnVQ__#1_label_B4-0-0"


def test_without_annotation_scores_are_saved_alone(tmp_path):
    cfg = {"type": "FrameAnomaly", "classes": PAIR, "normal_class": "normal", "annotation": "nowhere.txt", "curves": 1}
    metric = METRICS.build(cfg, scored=False)
    metric.update(anomaly_units("c/d", [0.5, 0.1]))
    metric.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["frame_scores.json", "score_curves"]
    assert len(list((tmp_path / "score_curves").iterdir())) == 1
    with pytest.raises(ValueError, match="scored=False"):
        metric.compute()
    with pytest.raises(FileNotFoundError, match=r"nowhere.txt does not exist"):
        METRICS.build(cfg)


def test_videos_of_the_annotation_without_scores_are_a_warning(annotation, caplog):
    scores = all_videos(np.random.default_rng(0))
    del scores["b"]
    with caplog.at_level(logging.WARNING):
        assert numbers_of(metric_of(annotation), results_of(scores))["missing_videos"] == 1
    assert "1 videos without scores: b" in caplog.text


def test_videos_that_the_annotation_lacks_are_an_error(annotation):
    metric = metric_of(annotation)
    metric.update(results_of({"Abuse01": [0.1], "a": [0.1] * 4}))
    with pytest.raises(ValueError, match="lacks 1 of 2 videos with scores: Abuse01; it has, for instance, 'a'"):
        metric.compute()


def test_videos_that_the_annotation_lacks_may_be_normal(tmp_path, annotation):
    (tmp_path / "events.txt").write_text("a 2 6\nb 0 3 9 12\n")
    scores = all_videos(np.random.default_rng(0))
    expected = numbers_of(metric_of(annotation), results_of(scores))
    metric = metric_of(tmp_path / "events.txt", unlisted_normal=True, per_class=True)
    assert numbers_of(metric, [*results_of(scores)]) == expected
    assert "not known" in metric.per_class_table()
    metric.update(anomaly_units("c", [0.5], label=1))
    with pytest.raises(ValueError, match="lacks 1 of 4 videos with scores: c;"):
        metric.compute()


@pytest.mark.parametrize(("lines", "rows", "options", "message"), [
    ("a Abuse 2 60", 4, {}, "video 'a': the event of frames 2 to 60 ends 48 frames beyond the 12 .*tolerance 5"),
    ("a Abuse 2 18", 4, {}, "ends 6 frames beyond"),
    ("a Abuse 12 14", 4, {}, "begins at or beyond the 12 frames"),
    ("a Abuse 2 13", 4, {"tolerance_frames": 0}, "ends 1 frames beyond the 12 .*tolerance 0"),
    ("a Normal -1 -1", 4, {}, "no frame of the 1 videos with scores is anomalous"),
    ("a Abuse 0 12", 4, {}, "every frame of the 1 videos with scores is anomalous"),
    ("a Normal 0 12", 4, {}, "line 1: a video of the class 'Normal' has events"),
])  # fmt: skip
def test_an_annotation_that_does_not_fit(tmp_path, lines, rows, options, message):
    (tmp_path / "x.txt").write_text(lines)
    with pytest.raises(ValueError, match=message):
        numbers_of(metric_of(tmp_path / "x.txt", **options), anomaly_units("a", np.linspace(0, 1, rows)))


def test_an_event_may_end_in_the_part_of_a_unit_that_features_drop(tmp_path):
    (tmp_path / "x.txt").write_text("a Abuse 2 17")
    metric = metric_of(tmp_path / "x.txt")
    assert numbers_of(metric, anomaly_units("a", [0, 1, 1, 1]))["anomalous_share"] == pytest.approx(10 / 12)


def test_videos_with_events_and_no_normal_frame_have_no_auc_of_their_own(tmp_path):
    (tmp_path / "x.txt").write_text("a Abuse 0 12\nn Normal -1 -1")
    metric = metric_of(tmp_path / "x.txt", select="abnormal_auc")
    numbers = numbers_of(metric, results_of({"a": [0.5] * 4, "n": [0.1] * 4}))
    assert "abnormal_auc" not in numbers and numbers["abnormal_ap"] == 1 and numbers["auc"] == 1
    assert "-" in metric.table({"model": numbers}).splitlines()[-1].split()
    with pytest.raises(ValueError, match="'abnormal_auc' is not defined"):
        metric.score({"model": numbers})


def test_files_of_one_name_in_two_classes_are_an_error(annotation):
    metric = metric_of(annotation)
    metric.update([*anomaly_units("a", [0.5] * 4, label=0), *anomaly_units("a", [0.5] * 4, label=1)])
    with pytest.raises(ValueError, match=r"video 'a' has snippets of the labels \[0, 1\]"):
        metric.compute()


@pytest.mark.parametrize("select", ["auc", "ap", "abnormal_auc"])
def test_what_selects_a_checkpoint(annotation, select):
    numbers = numbers_of(metric_of(annotation), results_of(all_videos(np.random.default_rng(1))))
    assert metric_of(annotation, select=select).score({"model": numbers}) == numbers[select]


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"normal_class": "Norm"}, KeyError, "normal_class 'Norm' is none of the classes; did you mean 'Normal'"),
    ({"classes": ["Normal"]}, ValueError, "no anomaly besides"),
    ({"frames_per_row": 0}, ValueError, "frames_per_row 0 must be"),
    ({"sigma": -1}, ValueError, "sigma -1 must be"),
    ({"fps": 0}, ValueError, "fps 0 must be"),
    ({"score": "max"}, ValueError, "score 'max' is not a choice; .*anomaly, normal"),
    ({"select": "f1"}, ValueError, "select 'f1' is not a choice; .*abnormal_auc"),
    ({"curves": -1}, ValueError, "curves -1 must be"),
    ({"tolerance_frames": 1.5}, ValueError, "tolerance_frames 1.5 must be"),
])  # fmt: skip
def test_arguments_are_checked(annotation, options, error, message):
    with pytest.raises(error, match=message):
        metric_of(annotation, **options)


def real_test_set():
    """Path of the real annotation, what it says, and frames of the videos whose number of frames is known."""
    folder = SHARED / "data" / "annotations"
    path = folder / "ucf_crime" / "Temporal_Anomaly_Annotation.txt"
    if not path.is_file():
        pytest.skip(f"no real annotation at {path}; set OPENTAD_SHARED to the folder above data/")
    videos = json.loads((folder / "hivau" / "ucf_database_test.json").read_text())
    return path, read_frame_annotation(path), {video: of["n_frames"] for video, of in videos.items()}


def test_perfect_scores_on_the_real_test_set():
    path, events, lengths = real_test_set()
    results = []
    for video, frames in lengths.items():
        truth = np.zeros(frames, int)
        for start, end in events[video].events:
            truth[start:end] = 1
        cuts = [0, *(np.flatnonzero(np.diff(truth)) + 1).tolist(), frames]
        for start, end in itertools.pairwise(cuts):  # a unit per stretch of equal frames
            results.append(unit(video, start, np.eye(2)[truth[start]], -1, end - start))
    metric = metric_of(path, frames_per_row=1, tolerance_frames=2)
    numbers = numbers_of(metric, results)
    assert numbers["auc"] == numbers["abnormal_auc"] == 1 and numbers["ap"] == pytest.approx(1)
    assert (numbers["videos"], numbers["abnormal_videos"], numbers["missing_videos"]) == (251, 128, 39)
    assert numbers["anomalous_share"] == pytest.approx(82142 / 1036807)
    assert len(metric._measured().by_class) == 13
    with pytest.raises(ValueError, match="ends 1 frames beyond"):
        numbers_of(metric_of(path, frames_per_row=1, tolerance_frames=0), results)


def test_seconds_of_the_real_test_set_with_the_last_part_dropped():
    path, events, lengths = real_test_set()
    results = []
    for video, frames in lengths.items():
        spans = [(start // 30, -(-end // 30)) for start, end in events[video].events]  # seconds that an event touches
        scores = [float(any(first <= row < last for first, last in spans)) for row in range(frames // 30)]
        results += anomaly_units(video, scores)
    numbers = numbers_of(metric_of(path, frames_per_row=30), results)
    assert 0.99 < numbers["auc"] < 1 and 0.95 < numbers["ap"] < 1
    assert numbers["anomalous_share"] == pytest.approx(82142 / 1036807, abs=5e-4)


def test_knowing_which_videos_are_anomalous_is_not_knowing_when():
    path, events, lengths = real_test_set()
    # with the labels of videos as those of frames these scores would have an AUC of 1
    results = [r for v, n in lengths.items() for r in anomaly_units(v, [float(bool(events[v].events))], rows=n // 30)]
    numbers = numbers_of(metric_of(path, frames_per_row=30), results)
    share = np.average([bool(events[v].events) for v in lengths], weights=list(lengths.values()))
    assert share > 0.4 > 5 * numbers["anomalous_share"]
    assert numbers["auc"] < 0.85 and numbers["abnormal_auc"] == pytest.approx(0.5) and numbers["ap"] < 0.25
