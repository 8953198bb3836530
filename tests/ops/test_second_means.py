"""Seconds of a video: frames belong to the second in which they appear, and every second has the mean of its own."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.ops.windows import SecondMeans, second_of_frames, spread

RATES = [Fraction(n) for n in (5, 24, 25, 30, 50, 60)] + [Fraction(n * 1000, 1001) for n in (24, 30, 60)]


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("ticks", [None, 90_000, 12_800])
def test_frames_belong_to_the_second_in_which_they_appear(rate, ticks):
    frames = np.arange(2000)
    due = [n / rate for n in frames.tolist()]
    # clocks of files count whole ticks; the time of a frame is rounded to one
    times = [float(t) for t in due] if ticks is None else [round(t * ticks) * (1 / ticks) for t in due]
    assert second_of_frames(times).tolist() == [int(t) for t in due]


def test_a_whole_rate_gives_every_second_as_many_frames():
    assert (np.bincount(second_of_frames(np.arange(30 * 50) / 30)) == 30).all()


SECONDS = st.lists(st.integers(0, 6), min_size=1, max_size=40).map(lambda s: np.sort([0, *s]))


@given(SECONDS, st.one_of(st.none(), st.integers(1, 9)))
def test_spread_takes_as_many_of_each_second_as_there_are(seconds, count):
    wanted = spread(seconds, count)
    assert (np.diff(wanted) > 0).all()
    have, taken = np.bincount(seconds), np.bincount(seconds[wanted], minlength=seconds[-1] + 1)
    assert (taken == (have if count is None else np.minimum(have, count))).all()


def test_spread_is_even():
    assert spread(np.repeat([0, 1], [10, 5]), 2).tolist() == [2, 7, 11, 13]
    assert spread(np.repeat([0, 1], [9, 1]), 1).tolist() == [4, 9]


@given(SECONDS, st.integers(1, 50), st.integers(0, 99))
def test_means_are_those_of_a_plain_loop_however_frames_come(seconds, size, seed):
    features = np.random.default_rng(seed).normal(size=(len(seconds), 3)).astype(np.float32)
    gathered = SecondMeans(int(seconds[-1]) + 1, 3)
    for start in range(0, len(seconds), size):
        gathered.add(features[start : start + size], seconds[start : start + size])
    rows = gathered.means()
    assert rows.dtype == np.float32 and len(rows) == seconds[-1] + 1
    for second, row in enumerate(rows):
        own = features[seconds == second]
        shown = own.mean(0) if len(own) else features[seconds < second][-1]
        np.testing.assert_allclose(row, shown, atol=1e-5)


def test_a_video_begins_with_a_frame():
    gathered = SecondMeans(2, 3)
    gathered.add(np.ones((1, 3), np.float32), np.array([1]))
    with pytest.raises(ValueError, match="no frame was given of the first second"):
        gathered.means()
