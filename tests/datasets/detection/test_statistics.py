"""Statistics of a data set against counting by hand, and the laws that proposed settings keep."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from opentad_bi.datasets.detection.statistics import (
    FOREVER,
    answers,
    describe,
    inside_one,
    level_shares,
    overlaps,
    propose,
    propose_levels,
    read_subset,
    share_inside,
)
from opentad_bi.ops.windows import cut_windows
from opentad_bi.registry import POINT_GENERATORS

lengths_frames = st.lists(st.integers(1, 5000), min_size=1, max_size=30)
segments_list = st.lists(st.tuples(st.floats(0, 90), st.floats(0.1, 40)), min_size=1, max_size=12)


def generator(strides, ranges):
    return POINT_GENERATORS.build({"type": "PointGenerator", "strides": strides, "regression_range": ranges})


@given(segments_list)
def test_overlapping_actions_are_those_that_any_other_meets(rows):
    segments = np.array([[start, start + length] for start, length in rows], dtype=np.float32)
    pairs = (segments[:, None, 0] < segments[None, :, 1]) & (segments[None, :, 0] < segments[:, None, 1])
    np.fill_diagonal(pairs, False)
    assert overlaps(segments).tolist() == pairs.any(1).tolist()


@given(segments_list, st.integers(1, 150), st.sampled_from([0, 0.25, 0.5, 0.75]))
def test_an_action_is_inside_if_some_window_holds_it(rows, window, overlap):
    assume(int(window * (1 - overlap)) >= 1)
    segments = np.array([[start, start + length] for start, length in rows])
    windows = cut_windows(135, window, overlap)
    held = [[bool(start <= s and e <= end) for start, end in windows] for s, e in segments]
    assert inside_one(segments, 135, window, overlap).tolist() == [any(row) for row in held]
    assert share_inside([segments, segments[:1]], [135, 135], window, overlap) == pytest.approx(
        (sum(map(any, held)) + any(held[0])) / (len(held) + 1)
    )


@given(lengths_frames, st.sampled_from([0.5, 0.9, 0.99, 1.0]), st.sampled_from([0.25, 0.5, 0.75]), st.data())
def test_the_proposed_window_holds_the_asked_share_with_context(lengths, share, overlap, data):
    context = data.draw(st.sampled_from([0.0, 0.5, 1.0]))
    frames = [data.draw(st.integers(max(lengths), 4 * max(lengths)), label="frames of the longest video")]
    made = propose(lengths, frames, coverage=share, context=context, overlap=overlap)
    n = -(-frames[0] // made.feature_stride)
    held = 0
    for length in np.array(lengths) / made.feature_stride:
        start = data.draw(st.floats(0, n - length)) if length < n else 0.0
        wide = [max(start - context * length, 0) + 1e-6, min(start + (1 + context) * length, n) - 1e-6]
        held += bool(inside_one(np.array([wide]), n, made.window_size, overlap)[0])
    assert held >= share * len(lengths) - 1e-9
    assert made.window_size % 16 == 0 and made.window_size % max(made.strides) == 0


@given(lengths_frames, st.sampled_from([0.5, 0.95, 1.0]))
def test_ranges_tile_and_the_last_is_for_the_rest_alone(lengths, share):
    made = propose(lengths, [max(lengths)], coverage=share)
    lows, highs = zip(*made.regression_range, strict=True)
    assert lows[0] == 0 and highs[-1] == FOREVER and lows[1:] == highs[:-1]
    assert made.strides == [2**level for level in range(len(lows))]
    reached = np.array(lengths) / made.feature_stride / 2 <= lows[-1]
    assert reached.mean() >= share - 1e-9
    if len(lows) > 2:  # one level less would not do
        assert (np.array(lengths) / made.feature_stride / 2 <= lows[-2]).mean() < share


@given(st.floats(1, 1500), st.floats(1.001, 3000), st.data())
def test_every_action_longer_than_a_position_gets_a_point(longest, length, data):
    strides, ranges = propose_levels(longest)
    window = max(strides) * (1 + int(length) // max(strides))
    assume(length <= window - 1)
    start = data.draw(st.floats(0, window - 1 - length))
    points = torch.cat(generator(strides, ranges)([window // stride for stride in strides]))
    assert answers(points, np.array([[start, start + length]]), 1.5, True).any()


@given(lengths_frames, st.sampled_from([1, 2, 8]))
def test_short_actions_span_their_positions(lengths, unit):
    made = propose(lengths, [max(lengths)], unit=unit)
    short = np.quantile(lengths, 0.05, method="inverted_cdf")
    assert made.feature_stride % unit == 0
    assert made.feature_stride == unit or short / made.feature_stride >= 4
    assert short / (2 * made.feature_stride) < 4
    assert propose(lengths, [max(lengths)], stride=3).feature_stride == 3


def test_levels_share_actions_as_worked_out_by_hand():
    points = generator([1, 2], [(0, 4), (4, 10000)])
    # 3.8 long: no point near its middle is 4 away from an end, so the finest level alone; 12 long: the other alone;
    # half a position: no point inside; 60 long: no window of 32 holds more than three quarters of it
    segments = [np.array([[4.6, 8.4], [12.5, 24.5]]), np.array([[3.2, 3.7], [4.0, 64.0]])]
    found = level_shares(segments, [32, 70], points, window=32, overlap=0.5)
    assert found["actions"] == [0.25, 0.25]
    assert (found["unanswered"], found["outside"]) == (0.25, 0.25)
    # strictly within 1.5 of 6.5: 6, 7; strictly within 3 of 18.5, and even: 16, 18, 20
    assert found["points"] == pytest.approx([2 / 5, 3 / 5])


def test_points_in_the_tail_that_no_stride_divides_count():
    points = generator([4], [(0, 10000)])
    found = level_shares([np.array([[8.0, 9.0]])], [10], points, window=10, overlap=0.5, radius=None)
    assert (found["actions"], found["unanswered"]) == ([0.0], 1.0)  # position 8 is its border, not inside
    found = level_shares([np.array([[7.5, 9.0]])], [10], points, window=10, overlap=0.5, radius=None)
    assert (found["actions"], found["unanswered"]) == ([1.0], 0.0)


def test_a_shorter_action_inside_takes_the_points_of_a_longer_one():
    points = torch.cat(generator([1], [(0, 10000)])([32]))
    found = answers(points, np.array([[8.5, 11.5], [9.5, 10.7]]), 1.5, True)
    assert found.nonzero().tolist() == [[9, 0], [10, 1], [11, 0]]


def test_what_a_subset_holds(make, database):
    subset = read_subset(make(feature_stride=5))
    database["still"] = {**database["long"], "annotations": [{"segment": [0, 1], "label": "Ambiguous"}]}
    again = read_subset(make("ThumosSlidingDataset", feature_stride=5, window_size=16, test_mode=True))
    assert (subset.empty, again.empty) == (0, 1)
    found = describe(again)
    assert found["counts"] == {
        "videos": 3,
        "videos_without_actions": 1,
        "actions": 5,  # of `short`, one of two equal ones
        "classes": 3,
        "classes_in_class_map": 3,
        "overlapping_actions": pytest.approx(2 / 5),
    }
    seconds = found["percentiles"]["action, seconds"]
    assert seconds["0"] == pytest.approx(0.8, abs=0.05) and seconds["100"] == pytest.approx(2.4, abs=0.05)
    assert found["percentiles"]["action, positions"]["100"] == pytest.approx(60 / 5, abs=0.21)
    assert found["percentiles"]["video, positions"] | {"0": 10, "100": 46} == found["percentiles"]["video, positions"]
    assert found["percentiles"]["actions of a video"]["50"] == 2.5


def test_what_cannot_be_counted_is_refused(make, database):
    with pytest.raises(ValueError, match="PairedDataset is not a dataset over an annotation file"):
        read_subset({"type": "PairedDataset", "dataset": make()})
    for entry in database.values():
        entry["annotations"] = []
    with pytest.raises(ValueError, match="none of 2 videos has ground truth"):
        read_subset(make())
    with pytest.raises(ValueError, match=r"coverage 1\.5 must be in \(0, 1\]"):
        propose([10], [100], coverage=1.5)
