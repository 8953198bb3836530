"""Seconds of a video: which frames belong to each, and the mean of what is known of them.

N frames, R seconds, D channels
"""

import numpy as np

# times of frames are sums of ticks of a clock: a frame that is due at a full second may come this much early
TOLERANCE_SEC = 1e-4


def second_of_frames(times):
    """The second in which each frame appears: float64 (N,) seconds from the first frame on -> int64 (N,)."""
    return np.floor(np.asarray(times, dtype=np.float64) + TOLERANCE_SEC).astype(np.int64)


def spread(seconds, count):
    """Numbers of at most `count` frames of each second, evenly spaced among its frames.

    Args:
        seconds: int64 (N,), rising, the second of each frame.
        count: frames per second; None for all.
    Returns:
        int64 rising frame numbers.
    """
    if count is None:
        return np.arange(len(seconds))
    _, starts, lengths = np.unique(seconds, return_index=True, return_counts=True)
    places = (np.arange(count) + 0.5) / count
    return np.unique(starts[:, None] + (places[None] * lengths[:, None]).astype(np.int64))


class SecondMeans:
    """The mean of the frames of each second, gathered a few frames at a time in their order.

    A second in which no frame appears still shows the last one before it, and is given that.

    Args:
        rows: number of seconds, R.
        channels: D.
    """

    def __init__(self, rows, channels):
        self.sums = np.zeros((rows, channels))
        self.counts = np.zeros(rows, dtype=np.int64)
        self.last = np.zeros((rows, channels), dtype=np.float32)

    def add(self, features, seconds):
        """Take in the next frames: float32 (N, D) and the second of each, int64 (N,)."""
        found, starts, lengths = np.unique(seconds, return_index=True, return_counts=True)
        self.sums[found] += np.add.reduceat(features.astype(np.float64), starts)
        self.counts[found] += lengths
        self.last[found] = features[starts + lengths - 1]

    def means(self):
        """float32 (R, D); ValueError if there is no frame in the first second."""
        if not self.counts[0]:
            raise ValueError("no frame was given of the first second")
        held = np.maximum.accumulate(np.where(self.counts > 0, np.arange(len(self.counts)), 0))
        rows = self.sums / np.maximum(self.counts, 1)[:, None]
        return np.where(self.counts[:, None] > 0, rows, self.last[held]).astype(np.float32)
