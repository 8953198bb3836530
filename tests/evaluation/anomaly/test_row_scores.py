"""Scores of runs of frames: the same numbers as of frames one by one, real lengths, the official annotations."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import SHARED
from sklearn.metrics import average_precision_score, roc_auc_score
from unit_results import softmax, unit

from opentad_bi.evaluation.common.frame_annotation import frames_of_rows, read_frame_annotation
from opentad_bi.evaluation.common.unit_scores import UnitScores
from opentad_bi.ops.records import RowScores, UnitMeta
from opentad_bi.registry import METRICS

SHARED = SHARED / "data/annotations"
CLASSES = ["Normal", "Abuse", "Arson"]
LINES = "a.mp4 Abuse 20 60 -1 -1\nb.mp4 Arson 0 30 90 120\nn.mp4 Normal -1 -1 -1 -1\n"
LABELS = {"a": 1, "b": 2, "n": 0}
STRIDE = 16


@pytest.fixture(scope="module")
def annotation(tmp_path_factory):
    path = tmp_path_factory.mktemp("truth") / "annotation.txt"
    path.write_text(LINES)
    return str(path)


def runs(video, probabilities, chunk, frames=None, label=-1):
    """RowScores of a video in runs of at most `chunk` rows."""
    return [
        RowScores(UnitMeta(video, start, len(part), frames), label, part.astype(np.float32))
        for start in range(0, len(probabilities), chunk)
        for part in [probabilities[start : start + chunk]]
    ]


def built(kind, annotation, **options):
    common = {"classes": CLASSES, "normal_class": "Normal", "annotation": annotation, "frames_per_row": STRIDE}
    return METRICS.build({"type": kind, **common, **options})


def numbers_of(metric, results):
    metric.update(results)
    return metric.compute()["model"]


@given(seed=st.integers(0, 999), chunk=st.integers(1, 9), kind=st.sampled_from(["FrameAnomaly", "Accuracy"]))
def test_a_run_of_rows_is_its_rows_one_by_one(annotation, seed, chunk, kind):
    rng = np.random.default_rng(seed)
    found = {video: softmax(rng.normal(size=(8, 3))).astype(np.float32) for video in "abn"}
    single = [unit(v, row, p, LABELS[v]) for v, of in found.items() for row, p in enumerate(of)]
    together = [run for v, of in found.items() for run in runs(v, of, chunk, label=LABELS[v])]
    one, other = (numbers_of(built(kind, annotation), results) for results in (single, together))
    assert one == other


@given(seed=st.integers(0, 999), lengths=st.lists(st.integers(121, 200), min_size=3, max_size=3))
def test_the_last_row_stands_for_the_frames_that_are_left(annotation, seed, lengths):
    rng, truth, scores, results = np.random.default_rng(seed), [], [], []
    spans = {"a": [(20, 60)], "b": [(0, 30), (90, 120)], "n": []}
    for video, frames in zip("abn", lengths, strict=True):
        p = (rng.integers(0, 9, -(-frames // STRIDE)) / 16).astype(np.float32)
        results += runs(video, np.stack([1 - p, p, 0 * p], axis=1), 5, frames)
        scores.append(np.repeat(p, STRIDE)[:frames])
        truth.append([any(s <= f < e for s, e in spans[video]) for f in range(frames)])
    truth, scores = np.concatenate(truth), np.concatenate(scores)
    numbers = numbers_of(built("FrameAnomaly", annotation), results)
    assert numbers["auc"] == pytest.approx(roc_auc_score(truth, scores))
    assert numbers["ap"] == pytest.approx(average_precision_score(truth, scores))
    assert numbers["anomalous_share"] == pytest.approx(truth.mean())


@given(frames=st.integers(1, 999), per_row=st.integers(1, 40))
def test_rows_share_out_the_frames_of_their_video(frames, per_row):
    rows = -(-frames // per_row)
    shares = frames_of_rows("v", frames, rows, per_row)
    assert shares.sum() == frames and (shares[:-1] == per_row).all() and 1 <= shares[-1] <= per_row
    assert (frames_of_rows("v", 0, rows, per_row) == per_row).all()


@pytest.mark.parametrize("rows", [9, 11])
def test_another_number_of_rows_is_an_error_with_both_numbers(annotation, rows):
    metric = built("FrameAnomaly", annotation)
    metric.update(runs("a", np.tile([0.5, 0.5, 0], (rows, 1)), 4, 160))
    with pytest.raises(
        ValueError, match=f"'a': there are scores of {rows} rows, but its 160 frames make 10 rows of 16"
    ):
        metric.compute()


def test_a_run_must_have_the_rows_that_it_tells_of():
    run = RowScores(UnitMeta("v", 4, 3), 0, np.full((2, 3), 1 / 3))
    with pytest.raises(ValueError, match="video 'v', run from row 4: scores of 2 rows, but the run has 3"):
        UnitScores(CLASSES).update([run])
    with pytest.raises(ValueError, match=r"shape \(3, 2\), but there are 3 classes"):
        UnitScores(CLASSES).update([RowScores(UnitMeta("v", 0, 3), 0, np.full((3, 2), 0.5))])


def test_runs_and_units_may_be_mixed_and_bad_rows_are_named():
    scores = UnitScores(CLASSES)
    scores.update([unit("u", 2, [1, 0, 0], rows=4), *runs("r", np.eye(3), 2, frames=40, label=1)])
    units = scores.units()
    assert units.videos.tolist() == ["u", "r", "r", "r"] and units.starts.tolist() == [2, 0, 1, 2]
    assert units.rows.tolist() == [4, 1, 1, 1] and units.frames.tolist() == [0, 40, 40, 40]
    bad = np.eye(3)
    bad[2] = np.nan
    with pytest.raises(ValueError, match="video 'r', unit from row 2: probabilities are not finite"):
        scores.update(runs("r", bad, 9, label=1))


def real(name):
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"no real annotation at {path}; set OPENTAD_SHARED to the folder above data/")
    return str(path)


@pytest.mark.parametrize(("right", "auc"), [(True, (0.98, 1.0)), (False, (0.0, 0.02))])
def test_an_oracle_on_ucf_crime_and_its_reverse(right, auc):
    path = real("ucf_crime/Temporal_Anomaly_Annotation.txt")
    lengths = {
        v: of["n_frames"] for v, of in json.loads(Path(real("hivau/ucf_database_test.json")).read_text()).items()
    }
    truth, results = read_frame_annotation(path), []
    for video, frames in lengths.items():
        seen = np.arange(0, frames, STRIDE)  # the frames that are scored
        anomalous = np.zeros(len(seen), dtype=bool)
        for start, end in truth[video].events:
            anomalous |= (seen >= start) & (seen < end)
        p = np.where(anomalous == right, 0.9, 0.1)
        results += runs(video, np.stack([1 - p, p, 0 * p], axis=1), 64, frames)
    numbers = numbers_of(built("FrameAnomaly", path), results)
    assert auc[0] <= numbers["auc"] <= auc[1] and auc[0] <= numbers["abnormal_auc"] <= auc[1]
    assert (numbers["videos"], numbers["abnormal_videos"]) == (251, 128)
    assert numbers["anomalous_share"] == pytest.approx(82142 / 1036807, rel=1e-12)


def test_an_oracle_on_xd_violence_whose_normal_videos_are_not_listed():
    path = real("xd_violence/annotations.txt")
    truth, results = read_frame_annotation(path), []
    for video, entry in truth.items():
        frames = max(end for _, end in entry.events) + 40
        p = np.zeros(frames)
        for start, end in entry.events:
            p[start:end] = 1
        p = np.append(p, np.zeros(-frames % STRIDE)).reshape(-1, STRIDE).mean(1)
        results += runs(video, np.stack([1 - p, p, 0 * p], axis=1), 64, frames)
    for i in range(300):
        results += runs(f"quiet_{i}_label_A", np.tile([1.0, 0, 0], (10, 1)), 64, 150)
    numbers = numbers_of(built("FrameAnomaly", path, unlisted_normal=True, select="ap"), results)
    assert (len(truth), numbers["videos"], numbers["abnormal_videos"], numbers["missing_videos"]) == (500, 800, 500, 0)
    assert numbers["ap"] > 0.99 and numbers["auc"] > 0.99
