"""Chosen frames: even by integers, in their window, and no region missed where there are frames for all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from region_strategies import LENGTH, regions

from opentad_bi.datasets.video_anomaly.records import Keyframe, Region
from opentad_bi.datasets.video_anomaly.regions import VisibilityTrack
from opentad_bi.datasets.video_anomaly.sampling import (
    POLICIES,
    ensure_regions,
    frame_window,
    sample_regions,
    uniform_frames,
)

lives = st.lists(regions.map(VisibilityTrack), max_size=6)
windows = st.tuples(st.integers(0, LENGTH - 1), st.integers(1, LENGTH))
counts = st.integers(1, 24)


def alive(track, first, stop):
    """Numbers of the frames of a window in which a region is."""
    return [frame for frame in range(first, stop) if track.visible([frame])[0]]


def point(frame, box=(0, 0, 1, 1)):
    return VisibilityTrack(Region("x", None, None, (Keyframe(frame, box, False),)))


@given(windows, counts)
def test_even_frames_are_those_of_the_formula(window, count):
    first, length = window
    frames, valid = uniform_frames(first, first + length, count)
    if length >= count:
        middle = [first + (length - 1) // 2]
        even = [first + j * (length - 1) // (count - 1) for j in range(count)] if count > 1 else middle
        assert frames.tolist() == even and valid.all() and len(set(even)) == count
    else:
        assert frames.tolist() == [first + min(j, length - 1) for j in range(count)]
        assert valid.tolist() == [j < length for j in range(count)]


@given(lives, windows, counts, st.integers(1, 5))
def test_no_region_is_missed_where_there_are_frames_for_all(lives, window, count, minimum):
    first, stop = window[0], window[0] + window[1]
    sampled = sample_regions(lives, first, stop, count, minimum=minimum)
    own = sampled.frames[sampled.valid]
    assert (np.diff(own) > 0).all() and own[0] >= first and own[-1] < stop
    assert (sampled.frames[~sampled.valid] == own[-1]).all()
    spans = [len(alive(track, first, stop)) for track in lives]
    hits = [int(track.visible(own).sum()) for track in lives]
    lacking = [n for n, (span, hit) in enumerate(zip(spans, hits, strict=True)) if hit < min(span, minimum)]
    assert sampled.short == len(lacking)
    if count >= sum(min(span, minimum) for span in spans) or not sampled.valid.all():
        assert not lacking
    assert sampled.outside == spans.count(0)
    assert sampled.regions == [n for n, hit in enumerate(hits) if hit]


@given(lives, windows, counts, st.integers(1, 3))
def test_nothing_is_taken_that_another_region_needs(lives, window, count, minimum):
    first, stop = window[0], window[0] + window[1]
    even, valid = uniform_frames(first, stop, count)
    frames = sample_regions(lives, first, stop, count, minimum=minimum).frames
    spans = [len(alive(track, first, stop)) for track in lives]
    scarce = count < sum(min(minimum, span) for span in spans)
    for track, span in zip(lives, spans, strict=True):
        need = min(1 if scarce else minimum, span)
        before, after = track.visible(even[valid]).sum(), track.visible(frames[valid]).sum()
        assert after >= min(before, need)


@given(st.data(), st.integers(1, 12), st.integers(12, LENGTH), st.integers(1, 5))
def test_as_many_frames_as_regions_miss_none(data, count, length, minimum):
    lives = data.draw(st.lists(regions.map(VisibilityTrack), max_size=count))
    sampled = sample_regions(lives, 0, length, count, minimum=minimum)
    assert sampled.regions == [number for number, track in enumerate(lives) if alive(track, 0, length)]


@given(lives, windows, counts, st.sampled_from(POLICIES), st.integers(1, 3))
def test_masks_and_boxes_belong_to_their_frames(lives, window, count, policy, minimum):
    first, stop = window[0], window[0] + window[1]
    sampled = sample_regions(lives, first, stop, count, policy=policy, minimum=minimum)
    assert sampled.boxes.shape == (len(sampled.regions), count, 4) and sampled.boxes.dtype == np.float32
    assert sampled.mask.shape == (len(sampled.regions), count)
    assert sampled.mask.any(axis=1).all() and not (sampled.mask & ~sampled.valid).any()
    assert (sampled.boxes[~sampled.mask] == 0).all()
    for number, mask, boxes in zip(sampled.regions, sampled.mask, sampled.boxes, strict=True):
        seen = lives[number].visible(sampled.frames) & sampled.valid
        if seen.any():
            assert (mask == seen).all()
            assert (boxes[mask] == lives[number].box(sampled.frames)[mask]).all()
        else:
            assert policy == "nearest" and mask.sum() == 1


@given(lives, windows, counts)
def test_dropping_leaves_the_even_frames(lives, window, count):
    first, stop = window[0], window[0] + window[1]
    even, valid = uniform_frames(first, stop, count)
    dropped, near = (sample_regions(lives, first, stop, count, policy=policy) for policy in ("drop", "nearest"))
    assert (dropped.frames == even).all() and (near.frames == even).all()
    hit = [number for number, track in enumerate(lives) if (track.visible(even) & valid).any()]
    assert dropped.regions == hit and dropped.moved == near.moved == 0
    assert near.regions == [number for number, track in enumerate(lives) if len(track.intervals(first, stop))]
    assert dropped.missed == near.missed == len(near.regions) - len(hit)


def test_the_nearest_even_frame_makes_way_for_the_middle_of_a_region():
    span = np.array([[31, 36], [38, 40]])  # 31 32 33 34 35 38 39
    frames, moved, short = ensure_regions(np.array([0, 30, 60, 90]), [span], 1)
    assert frames.tolist() == [0, 34, 60, 90] and (moved, short) == (1, 0)
    frames, moved, short = ensure_regions(np.array([0, 10, 30, 60, 90]), [span], 3)
    assert frames.tolist() == [0, 32, 34, 38, 90] and (moved, short) == (3, 0)


def test_every_region_gets_a_frame_before_any_gets_two():
    long, late = np.array([[0, 10]]), np.array([[50, 61]])
    frames, moved, short = ensure_regions(np.array([0, 4, 8]), [long, late], 3)
    assert (long[0, 0] <= frames).sum() == 3 and (frames >= 50).sum() == 1 and (moved, short) == (1, 2)


def test_a_first_frame_is_taken_from_no_region_that_needs_it_while_others_are_free():
    spans = [np.array([[40, 50]]), np.array([[52, 54]])]
    frames, moved, short = ensure_regions(np.array([0, 40, 44, 49, 90]), spans, 3)
    assert frames.tolist() == [40, 44, 49, 52, 53] and (moved, short) == (2, 0)


@pytest.mark.parametrize("turned", [False, True])
def test_the_rarest_region_comes_first_where_there_are_too_few_frames(turned):
    spans = [np.array([[0, 10]]), np.array([[20, 21]]), np.array([[30, 35]])]
    frames, moved, short = ensure_regions(np.array([80, 90]), spans[::-1] if turned else spans, 1)
    assert frames.tolist() == [20, 32] and (moved, short) == (2, 1)


def test_what_cannot_be_had_is_counted():
    sampled = sample_regions([point(5), point(9), point(11)], 0, 100, 2)
    assert len(sampled.regions) == 2 and sampled.short == 1 and sampled.moved == 2
    assert sampled.missed == 3


def test_the_nearest_frame_has_the_box_of_the_nearest_moment():
    moving = Region("x", None, None, (Keyframe(10, (0, 0, 0.1, 0.1), True), Keyframe(20, (0, 0, 0.9, 0.9), False)))
    sampled = sample_regions([VisibilityTrack(moving)], 0, 100, 4, policy="nearest")
    assert sampled.frames.tolist() == [0, 33, 66, 99] and sampled.mask.tolist() == [[True, False, False, False]]
    np.testing.assert_allclose(sampled.boxes[0, 0], [0, 0, 0.1, 0.1])


@pytest.mark.parametrize(
    ("window", "fps", "length", "found"),
    [
        (None, 0, 7, (0, 7)),
        ((0.5, 1.01), 10, 100, (5, 11)),
        ((0.55, 99), 10, 100, (5, 100)),
        ((9.99, 10), 10, 100, (99, 100)),
    ],
)
def test_windows_in_seconds(window, fps, length, found):
    assert frame_window(window, fps, length) == found


def test_windows_that_cannot_be():
    with pytest.raises(ValueError, match="10 to 12 s begins beyond the 100 frames at 10 per second"):
        frame_window((10, 12), 10, 100)
    with pytest.raises(ValueError, match="needs frames per second"):
        frame_window((1, 2), 0, 100)
