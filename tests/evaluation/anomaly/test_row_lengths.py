"""Rows that are not as long as frames_per_row says: errors where frames are known, warnings where lists show it."""

import json
import logging

import numpy as np
import pytest
from places import SHARED
from unit_results import anomaly_units

from opentad_bi.evaluation.anomaly.scores import fitting_rows, read_frame_counts
from opentad_bi.evaluation.common.frame_annotation import frames_of_rows, read_frame_annotation
from opentad_bi.ops.records import ClassScores, UnitMeta
from opentad_bi.registry import METRICS
from opentad_bi.utils.logging import strictly

ANNOTATIONS = SHARED / "data" / "annotations"


def metric_of(annotation, frames_per_row, **options):
    cfg = {"type": "FrameAnomaly", "classes": ["Normal", "x"], "normal_class": "Normal", "curves": 0}
    return METRICS.build({**cfg, "annotation": str(annotation), "frames_per_row": frames_per_row, **options})


def videos(folder, count, true_per_row=16, seed=0):
    """An annotation of `count` videos, one event each, and the number of rows of each; some end with the video."""
    rng, lines, rows = np.random.default_rng(seed), [], {}
    for number in range(count):
        rows[f"v{number}"] = int(rng.integers(20, 200))
        frames = rows[f"v{number}"] * true_per_row
        end = frames if number % 15 == 0 else int(frames * rng.uniform(0.3, 0.9))
        lines.append(f"v{number} x {end - 10} {end}")
    (folder / "a.txt").write_text("\n".join([*lines, "n Normal -1 -1"]))
    return folder / "a.txt", {**rows, "n": 50}


def scores(rows):
    return [result for video, count in rows.items() for result in anomaly_units(video, np.linspace(0, 1, count))]


@pytest.mark.parametrize(("frames", "rows", "last_row", "last"), [
    (50, 4, "either", 2), (50, 3, "either", 16), (50, 4, "keep", 2), (50, 3, "drop", 16), (48, 3, "keep", 16),
    (48, 3, "drop", 16), (0, 7, "keep", 16),
])  # fmt: skip
def test_the_last_row_has_what_is_left_or_is_left_out(frames, rows, last_row, last):
    assert frames_of_rows("a", frames, rows, 16, last_row).tolist() == [16] * (rows - 1) + [last]


def test_a_count_that_may_be_off_allows_all_rows_between():
    with pytest.raises(ValueError, match="its 1290 frames make 42 to 44 rows of 30"):
        frames_of_rows("a", 1290, 80, 30, slack=2)
    assert [len(frames_of_rows("a", 1290, rows, 30, slack=2)) for rows in (42, 43, 44)] == [42, 43, 44]


@pytest.mark.parametrize(("frames", "rows", "per_row", "last_row", "message"), [
    (1600, 100, 30, "either", "100 rows, but its 1600 frames make 53 or 54 rows of 30; frames_per_row=16 would fit"),
    (1600, 53, 16, "either", "make 100 rows of 16; frames_per_row=30 would fit"),
    (50, 3, 16, "keep", "make 4 rows of 16; .*last_row is 'keep'"),
    (50, 4, 16, "drop", "make 3 rows of 16"),
    (48, 4, 16, "either", "make 3 rows"),
])  # fmt: skip
def test_too_many_rows_are_an_error_as_too_few_are(frames, rows, per_row, last_row, message):
    with pytest.raises(ValueError, match=f"video 'a': .*{message}"):
        frames_of_rows("a", frames, rows, per_row, last_row)


def test_frames_that_results_annotation_or_a_list_know(tmp_path):
    (tmp_path / "n.json").write_text(json.dumps({"b.mp4": {"num_frames": 160}, "a": 33.0}))
    (tmp_path / "a.txt").write_text("a|33|[3, 9]\nb 160 x 20 160\nn 64 Normal -1 -1")
    (tmp_path / "b.txt").write_text("a x 3 9\nb x 20 160\nn Normal -1 -1")
    good = scores({"a": 2, "b": 10, "n": 4})  # the 33rd frame is left out
    for name, options in ("a", {}), ("b", {"frame_counts": str(tmp_path / "n.json")}):
        metric = metric_of(tmp_path / f"{name}.txt", 16, **options)
        metric.update(good)
        assert metric.compute()["model"]["anomalous_share"] == pytest.approx(146 / 256)
        for wrong in (30, 8):
            metric = metric_of(tmp_path / f"{name}.txt", wrong, **options)
            metric.update(good)
            with pytest.raises(ValueError, match=r"frames_per_row=1[67]"):
                metric.compute()
    counted = [ClassScores(UnitMeta("a", i, 1, 33), 1, np.array([0.4, 0.6])) for i in range(9)]
    for metric in metric_of(tmp_path / "b.txt", 16), timed(tmp_path / "b.txt"):
        metric.update(counted)
        with pytest.raises(
            ValueError, match="video 'a': there are scores of 9 rows, but its 33 frames make 2 or 3 rows"
        ):
            metric.compute()


def timed(annotation):
    cfg = {"type": "Accuracy", "classes": ["Normal", "x"], "normal_class": "Normal", "frames_per_row": 16}
    return METRICS.build({**cfg, "annotation": str(annotation)})


def test_what_was_done_with_last_rows_is_logged(tmp_path, caplog):
    (tmp_path / "a.txt").write_text("a 50 x 3 9\nb 50 x 3 9\nn 48 Normal -1 -1")
    metric = metric_of(tmp_path / "a.txt", 16)
    metric.update(scores({"a": 3, "b": 4, "n": 3}))
    with caplog.at_level(logging.INFO):
        metric.compute()
    assert "fewer frames in 1 videos (keep) and was left out in 1 (drop)" in caplog.text
    with pytest.raises(ValueError, match="last_row 'floor' is not a choice"):
        metric_of(tmp_path / "a.txt", 16, last_row="floor")


@pytest.mark.parametrize(("true", "said", "count"), [(16, 30, 12), (16, 24, 40), (25, 30, 60), (16, 30, 140)])
def test_rows_taken_for_longer_ones_are_a_warning_with_what_fits(tmp_path, caplog, true, said, count):
    annotation, rows = videos(tmp_path, count, true)
    metric = metric_of(annotation, said)
    metric.update(scores(rows))
    metric.compute()
    assert (
        f"the rows seem not to be {said} frames long" in caplog.text and f"frames_per_row={true} would" in caplog.text
    )
    strict = metric_of(annotation, said)
    strict.update(scores(rows))
    with strictly(), pytest.raises(ValueError, match=f"frames_per_row={true} would fit"):
        strict.compute()


@pytest.mark.parametrize("count", [1, 3, 12, 140])
def test_rows_that_are_right_or_too_few_to_judge_are_no_warning(tmp_path, caplog, count):
    annotation, rows = videos(tmp_path, count, seed=count)
    metric = metric_of(annotation, 16)
    metric.update(scores(rows))
    metric.compute()
    assert "the rows seem" not in caplog.text


def test_rows_taken_for_shorter_ones_are_an_error_with_what_fits(tmp_path):
    annotation, rows = videos(tmp_path, 20, 30)
    metric = metric_of(annotation, 16)
    metric.update(scores(rows))
    with pytest.raises(ValueError, match=r"begins at or beyond.*frames_per_row=30 would hold all events"):
        metric.compute()


def test_the_official_list_of_ucf_crime_knows_its_share_of_anomalous_frames():
    path = ANNOTATIONS / "ucf_crime" / "Temporal_Anomaly_Annotation.txt"
    if not path.is_file():
        pytest.skip(f"no real annotation at {path}; set OPENTAD_SHARED to the folder above data/")
    truth = read_frame_annotation(path, normal_class="Normal")
    counts = read_frame_counts(ANNOTATIONS / "hivau" / "ucf_database_test.json")
    assert len(counts) == 251
    # the videos that the list of lengths lacks share what is left of all 36 920 seconds
    rest = (36920 * 30 - sum(counts.values())) / (len(truth) - len(counts))
    rows = {video: int(counts.get(video, rest) // 16) for video in truth}
    events = {video: of.events for video, of in truth.items()}
    assert fitting_rows(rows, events, truth, 16) == ""
    told = fitting_rows(rows, events, truth, 30)
    assert "4.1 % of the frames are anomalous, but 7.6 % of the official test set" in told and "=16 would fit" in told
    known = {video: count // 16 for video, count in counts.items()}
    events = {video: events[video] for video in known}
    assert fitting_rows(known, events, truth, 16) == "" and "=16 would fit" in fitting_rows(known, events, truth, 30)


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"a": "9"}', '{"a": {"length": 9}}', '{"a": 0}', '{"a": 9.5}', '{"a": true}']
)
def test_bad_lists_of_frames_are_named(tmp_path, content):
    (tmp_path / "n.json").write_text(content)
    with pytest.raises(ValueError, match=r"frame_counts .*n\.json"):
        read_frame_counts(tmp_path / "n.json")
