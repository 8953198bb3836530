"""Both directions as one list."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.evaluation.detection.post_processing import Window, merge_directions, rescore
from opentad_bi.ops.records import SampleMeta

META = SampleMeta("v", 25.0, 10.0, 4)


def window(*rows):
    """Rows (start, end, score, label)."""
    rows = np.array(rows, np.float32).reshape(-1, 4)
    return Window(META, rows[:, :2].copy(), rows[:, 2].copy(), rows[:, 3].astype(np.int64))


rows_strategy = st.lists(
    st.tuples(st.floats(0, 50), st.floats(0.5, 20), st.floats(0.01, 1), st.integers(0, 2)), min_size=0, max_size=6
)


def test_union_keeps_scores():
    merged = merge_directions({"v": [window((0, 4, 0.9, 0))]}, {"v": [window((1, 5, 0.3, 0))]})["v"][0]
    np.testing.assert_array_equal(merged.scores, np.float32([0.9, 0.3]))


def test_voting_averages_what_both_see_and_halves_the_rest():
    forward, backward = window((0, 4, 0.8, 0), (20, 24, 0.6, 0), (0, 4, 0.5, 1)), window((0, 4, 0.4, 0))
    merged = merge_directions({"v": [forward]}, {"v": [backward]}, voting=2.0)["v"][0]
    np.testing.assert_allclose(merged.scores, [0.6, 0.3, 0.25, 0.6], rtol=1e-6)


def test_ends_move_towards_the_supporter_by_score_and_half_the_support():
    merged = rescore(window((0, 4, 0.8, 0)), window((0, 6, 0.6, 0), (9, 12, 0.9, 0)), 1.0)
    support = 4 / 6 * 0.6
    np.testing.assert_allclose(merged.scores, [(0.8 + support) / 2], rtol=1e-6)
    np.testing.assert_allclose(merged.segments, [[0, 4 + 2 * (support / 2) / (0.8 + support / 2)]], rtol=1e-5)
    alone = rescore(window((0, 4, 0.8, 0)), window((0, 6, 0.6, 1)), 1.0)
    np.testing.assert_array_equal(alone.segments, [[0, 4]])


@given(rows_strategy, rows_strategy, st.floats(0.5, 3))
def test_support_lies_between_none_and_the_best_of_the_other(own, other, power):
    own, other = (window(*[(a, a + d, s, k) for a, d, s, k in rows]) for rows in (own, other))
    found = rescore(own, other, power).scores
    assert (found >= own.scores / 2 - 1e-6).all()
    best = np.array([max(other.scores[other.labels == k], default=0.0) for k in own.labels])
    assert (found <= (own.scores + best) / 2 + 1e-5).all()


@given(rows_strategy, st.floats(0.5, 3))
def test_two_equal_directions_voting_changes_nothing(rows, power):
    # one candidate per class: with several, the best one of an overlapping neighbour may count
    unique = {k: (a, a + d, s, k) for a, d, s, k in rows}
    own = window(*unique.values())
    np.testing.assert_allclose(rescore(own, own, power).scores, own.scores, rtol=1e-5)


def test_voting_must_be_positive():
    with pytest.raises(ValueError, match="cross_direction_voting 0"):
        merge_directions({}, {}, voting=0)
