"""Windows cover the video exactly; ours differ from the reference's only where those are at fault."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.ops.windows import clip_segments, reference_windows, sliding_windows, window_stride

lengths = st.integers(1, 4000)
windows = st.integers(1, 800)
overlaps = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75])


def stride_of(window, overlap):
    return max(1, int(window * (1 - overlap)))


@given(n=lengths, window=windows, overlap=overlaps)
def test_every_position_is_covered_and_no_window_is_there_twice(n, window, overlap):
    rows = sliding_windows(n, window, stride_of(window, overlap))
    covered = np.zeros(n, dtype=bool)
    for start, end in rows:
        assert 0 <= start < end <= n
        assert end - start == min(window, n)
        covered[start:end] = True
    assert covered.all()
    assert (np.diff(rows[:, 0]) > 0).all()
    assert rows[-1, 1] == n


@given(n=lengths, window=windows, overlap=overlaps)
def test_differs_from_the_reference_only_by_its_faults(n, window, overlap):
    stride = stride_of(window, overlap)
    ours, theirs = sliding_windows(n, window, stride), reference_windows(n, window, stride)
    unrepeated = list(dict.fromkeys(map(tuple, theirs.tolist())))
    assert list(map(tuple, ours.tolist()))[: len(unrepeated)] == unrepeated or unrepeated[-1][1] == n
    if unrepeated[-1][1] == n:
        assert list(map(tuple, ours.tolist())) == unrepeated


def test_faults_of_the_reference():
    assert reference_windows(8, 4, 2).tolist() == [[0, 4], [2, 6], [4, 8], [4, 8]]
    assert sliding_windows(8, 4, 2).tolist() == [[0, 4], [2, 6], [4, 8]]
    assert reference_windows(5, 4, 3).tolist() == [[0, 4]]
    assert sliding_windows(5, 4, 3).tolist() == [[0, 4], [1, 5]]


@pytest.mark.parametrize("overlap", [1.0, -0.1, 0.99])
def test_impossible_overlap(overlap):
    with pytest.raises(ValueError, match=f"window_overlap_ratio {overlap}"):
        window_stride(10, overlap)


def test_clip_segments():
    segments = np.asarray([[0, 4], [3, 5], [6, 9], [2, 2]], dtype=np.float32)
    clipped, share = clip_segments(segments, 1, 4)
    assert clipped[:2].tolist() == [[1, 4], [3, 4]]
    assert share.tolist() == [0.75, 0.5, 0, 0]
    assert clipped.dtype == share.dtype == np.float32
