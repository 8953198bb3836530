"""Units to rows to frames: means over units and crops, smoothing, areas over frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter1d
from sklearn.metrics import average_precision_score, roc_auc_score
from unit_results import anomaly_units

from opentad_bi.evaluation.anomaly.scores import anomaly_scores, pooled_numbers, row_scores, scores_by_video, smooth
from opentad_bi.evaluation.common.unit_scores import UnitScores

SCORE = st.integers(0, 20).map(lambda k: k / 20)  # few values, so that many are equal
UNITS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 6), SCORE), min_size=1, max_size=25)


def columns(units):
    starts, rows, scores = zip(*units, strict=True)
    return np.array(starts), np.array(rows), np.array(scores, dtype=np.float64)


@given(UNITS)
def test_a_row_has_the_mean_of_what_covers_it_or_the_score_of_its_nearest(units):
    found = row_scores(*columns(units))
    means = {}
    for r in range(max(start + rows for start, rows, _ in units)):
        over = [score for start, rows, score in units if start <= r < start + rows]
        if over:
            means[r] = sum(over) / len(over)
    assert len(found) == max(means) + 1
    for r, score in enumerate(found):
        nearest = min(means, key=lambda other: (abs(other - r), other))
        assert score == pytest.approx(means[nearest], abs=1e-12)


@given(UNITS, st.randoms(use_true_random=False))
def test_the_order_of_units_does_not_touch_a_digit(units, random):
    shuffled = list(units)
    random.shuffle(shuffled)
    assert (row_scores(*columns(units)) == row_scores(*columns(shuffled))).all()


@given(UNITS, st.integers(2, 4))
def test_equal_crops_change_nothing(units, crops):
    assert row_scores(*columns(units * crops)) == pytest.approx(row_scores(*columns(units)), abs=1e-12)


def test_overlapping_units_by_hand():
    # rows 0-1: 0.2, rows 1-2: 0.4, rows 5-6: 0.8; rows 3 and 4 are bare
    found = row_scores(np.array([5, 0, 1]), np.array([2, 2, 2]), np.array([0.8, 0.2, 0.4]))
    assert found == pytest.approx([0.2, 0.3, 0.4, 0.4, 0.8, 0.8, 0.8])


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1)), st.floats(0.1, 9))
def test_smoothing(scores, sigma):
    assert (smooth(scores, 0) == scores).all()
    assert smooth(np.full_like(scores, 0.3), sigma) == pytest.approx(0.3)
    soft = smooth(scores, sigma)
    assert soft.shape == scores.shape
    assert scores.min() - 1e-9 <= soft.min() and soft.max() <= scores.max() + 1e-9


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1)), st.floats(0.3, 9))
def test_smoothing_takes_a_video_to_go_on_as_its_first_and_last_row(scores, sigma):
    more = int(4 * sigma + 1)
    longer = np.concatenate([np.full(more, scores[0]), scores, np.full(more, scores[-1])])
    inside = gaussian_filter1d(longer, sigma, mode="constant")[more : more + len(scores)]
    assert smooth(scores, sigma) == pytest.approx(inside, abs=1e-12)
    assert smooth(scores, sigma) == pytest.approx(gaussian_filter1d(scores, sigma, mode="nearest"), abs=1e-12)


def test_the_ends_of_a_video_are_smoothed_as_no_other_mode_does():
    scores = np.array([1.0, 0, 0, 0, 0, 0.5, 0])
    modes = ("nearest", "reflect", "mirror", "wrap")
    ends = {mode: gaussian_filter1d(scores, 1.0, mode=mode)[[0, -1]] for mode in modes}
    found = smooth(scores, 1.0)[[0, -1]]
    assert found == pytest.approx(ends.pop("nearest"), abs=1e-12)
    for mode, other in ends.items():
        assert np.abs(found - other).max() > 0.01, mode


def test_smoothing_spreads_a_peak_evenly():
    soft = smooth(np.eye(1, 21, 10)[0], 2)
    assert soft.argmax() == 10 and soft[10] == pytest.approx(1 / (2 * np.sqrt(2 * np.pi)), rel=0.01)
    assert soft == pytest.approx(soft[::-1]) and soft.sum() == pytest.approx(1)


@given(st.integers(0, 999), st.integers(1, 9), st.integers(1, 30))
def test_numbers_of_rows_are_those_of_scores_repeated_to_frames(seed, per_row, rows):
    rng = np.random.default_rng(seed)
    scores, anomalous = rng.integers(0, 8, rows) / 8, rng.integers(0, per_row + 1, rows)
    truth = np.concatenate([np.arange(per_row) < count for count in anomalous])
    numbers = pooled_numbers(scores, anomalous, per_row)
    if truth.any():
        assert numbers["ap"] == pytest.approx(average_precision_score(truth, scores.repeat(per_row)))
    if truth.any() and not truth.all():
        assert numbers["auc"] == pytest.approx(roc_auc_score(truth, scores.repeat(per_row)))
    assert ("ap" in numbers, "auc" in numbers) == (truth.any(), truth.any() and not truth.all())


def test_kinds_of_scores():
    probabilities = np.array([[0.2, 0.5, 0.3], [0.0, 0.9, 0.1]])
    assert anomaly_scores(probabilities, 1) == pytest.approx(1 - probabilities[:, 1])
    assert anomaly_scores(probabilities, 1, "anomaly") == pytest.approx([0.3, 0.1])


def test_units_that_are_almost_surely_normal_are_told_apart():
    probabilities = np.array([[1.0, 1e-9], [1.0, 1e-8]], dtype=np.float32)  # 1 - p(normal) is 0 for both
    low, high = anomaly_scores(probabilities, 0)
    assert 0 < low < high


def test_videos_are_kept_apart():
    scores = UnitScores(["normal", "anomaly"], labelled=False)
    scores.update([*anomaly_units("b", [0.75, 0.25], rows=2), *anomaly_units("a", [0.5])])
    units = scores.units()
    found = scores_by_video(units, units.probabilities[:, 1])
    assert list(found) == ["a", "b"] and (found["a"].unit_rows, found["b"].unit_rows) == (1, 2)
    assert found["a"].scores.tolist() == [0.5] and found["b"].scores.tolist() == [0.75, 0.75, 0.25, 0.25]
