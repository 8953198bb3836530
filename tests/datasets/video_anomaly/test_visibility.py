"""Visibility of keyframed boxes against their plain definition, and what the modes make of one region."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from region_strategies import LENGTH, regions

from opentad_bi.datasets.video_anomaly.records import Keyframe, Region
from opentad_bi.datasets.video_anomaly.regions import VisibilityTrack

BOX = (0.1, 0.2, 0.5, 0.6)


def region(pattern, *frames, start=None, end=None):
    """A region with keyframes of the pattern ("TF") at the frames."""
    kinds = [letter == "T" for letter in pattern]
    return Region("x", start, end, tuple(Keyframe(f, BOX, kind) for f, kind in zip(frames, kinds, strict=True)))


def visible(region, frame):
    """The definition, for one frame."""
    latest = {keyframe.frame: keyframe for keyframe in region.keyframes}
    own = [latest[number] for number in sorted(latest)]
    if region.start is not None and frame < region.start:
        return False
    if region.end is not None and frame > region.end:
        return False
    if frame in latest:
        return True
    for one, two in pairwise(own):
        if one.frame < frame < two.frame:
            return one.enabled
    return frame > own[-1].frame and own[-1].enabled


def place(region, frame):
    """Where the box is in a frame from the first keyframe on."""
    latest = {keyframe.frame: keyframe for keyframe in region.keyframes}
    own = [latest[number] for number in sorted(latest)]
    for one, two in pairwise(own):
        if one.frame <= frame < two.frame:
            share = (frame - one.frame) / (two.frame - one.frame)
            return [(1 - share) * a + share * b for a, b in zip(one.box, two.box, strict=True)]
    return own[-1].box


@given(regions)
def test_visible_and_box_are_as_defined(region):
    track, frames = VisibilityTrack(region), np.arange(LENGTH)
    seen = track.visible(frames)
    assert seen.tolist() == [visible(region, frame) for frame in frames]
    if seen.any():
        expected = np.array([place(region, frame) for frame in frames[seen]])
        np.testing.assert_allclose(track.box(frames[seen]), expected, atol=1e-6)
    assert track.box(frames).dtype == np.float32 and track.box(frames).shape == (LENGTH, 4)


@given(regions, st.integers(0, LENGTH - 1), st.integers(1, LENGTH), st.sampled_from(["label_studio", "ignore"]))
def test_spans_are_the_visible_frames_of_a_window(region, first, length, mode):
    track, stop = VisibilityTrack(region, enabled_mode=mode), first + length
    spans = track.intervals(first, stop)
    listed = [frame for begin, end in spans for frame in range(begin, end)]
    assert listed == [frame for frame in range(first, stop) if track.visible([frame])[0]]


@given(regions)
def test_ignoring_means_from_the_first_keyframe_to_the_last(region):
    track = VisibilityTrack(region, enabled_mode="ignore")
    numbers = [keyframe.frame for keyframe in region.keyframes]
    frames = np.arange(LENGTH)
    assert track.visible(frames).tolist() == [min(numbers) <= frame <= max(numbers) for frame in frames]


@given(regions)
def test_a_closed_end_hides_what_follows_the_last_keyframe_alone(region):
    frames = np.arange(LENGTH)
    opened, closed = (
        VisibilityTrack(region).visible(frames),
        VisibilityTrack(region, open_end="keyframe").visible(frames),
    )
    after = frames > max(keyframe.frame for keyframe in region.keyframes)
    expected = opened & ~after if region.end is None else opened
    assert (closed == expected).all()


@pytest.mark.parametrize(
    ("pattern", "frames", "limits", "spans"),
    [
        ("TF", (192, 333), {"start": 192, "end": 333}, [(192, 334)]),
        ("T", (50,), {}, [(50, 400)]),
        ("F", (50,), {}, [(50, 51)]),
        ("T", (50,), {"end": 60}, [(50, 61)]),
        ("TTTF", (10, 20, 30, 40), {}, [(10, 41)]),
        ("TFTF", (10, 20, 30, 40), {}, [(10, 21), (30, 41)]),
        ("FF", (10, 20), {}, [(10, 11), (20, 21)]),
        ("TF", (10, 90), {"start": 20, "end": 80}, [(20, 81)]),
        ("TF", (10, 20), {"start": 30}, []),
    ],
)
def test_patterns(pattern, frames, limits, spans):
    found = VisibilityTrack(region(pattern, *frames, **limits)).intervals(0, 400)
    joined = []
    for begin, end in found.tolist():
        if joined and joined[-1][1] == begin:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    assert joined == spans


def test_a_closed_end_leaves_alone_a_region_that_says_its_end():
    given = region("T", 5, end=30)
    assert VisibilityTrack(given, open_end="keyframe").intervals(0, 400).tolist() == [[5, 31]]
    assert VisibilityTrack(region("T", 5), open_end="keyframe").intervals(0, 400).tolist() == [[5, 6]]


def test_mistakes():
    with pytest.raises(ValueError, match=r"enabled_mode 'ignored' .*did you mean 'ignore'"):
        VisibilityTrack(region("T", 1), enabled_mode="ignored")
    with pytest.raises(ValueError, match="open_end 'vide'"):
        VisibilityTrack(region("T", 1), open_end="vide")
    with pytest.raises(ValueError, match="'x' has no keyframe"):
        VisibilityTrack(region(""))
