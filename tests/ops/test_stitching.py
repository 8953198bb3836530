"""Overlapping windows divide a video between them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.ops.windows import central_parts


@given(st.integers(1, 200), st.integers(1, 40), st.data())
def test_every_position_is_taken_once_and_from_the_best_window(n, window, data):
    stride = data.draw(st.integers(1, window))
    starts = [*range(0, n - window, stride), n - window] if n > window else [0]
    windows = np.asarray([(start, min(start + window, n)) for start in starts])
    parts = central_parts(windows)
    owner = np.repeat(np.arange(len(parts)), parts[:, 1] - parts[:, 0])
    assert np.array_equal(np.concatenate([np.arange(*part) for part in parts]), np.arange(n))
    # distance to the nearer border of a window, where the ends of the video are none
    position = np.arange(n)[:, None]
    left = np.where(windows[:, 0] == 0, n, position - windows[:, 0])
    right = np.where(windows[:, 1] == n, n, windows[:, 1] - 1 - position)
    depth = np.minimum(left, right)
    inner = (position >= windows[:, 0]) & (position < windows[:, 1])
    best = np.where(inner, depth, -1).max(axis=1)
    assert (depth[np.arange(n), owner] >= best - 1).all()


@pytest.mark.parametrize("windows", [[(0, 4), (5, 9)], [(3, 8), (0, 4)]])
def test_windows_that_do_not_cover_are_refused(windows):
    with pytest.raises(ValueError, match="gaps"):
        central_parts(windows)
