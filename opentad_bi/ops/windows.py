"""Windows over a video: how they are cut and stitched again, what of an action is inside; and means over seconds.

n grid positions of the video, W windows, N segments or frames, R seconds, D channels
"""

import numpy as np
from numpy.typing import ArrayLike

OVERLAP = 0.25  # share of a window that the next one repeats, where nothing is said
# times of frames are sums of ticks of a clock: a frame that is due at a full second may come this much early
TOLERANCE_SEC = 1e-4


def cut_windows(n: int, window: int, overlap: float, reference: bool = False) -> np.ndarray:
    """`sliding_windows` or `reference_windows` for an overlap.  Returns (W, 2) int64 rows [start, end)."""
    return (reference_windows if reference else sliding_windows)(n, window, window_stride(window, overlap))


def window_stride(window: int, overlap: float) -> int:
    """Grid positions from one window to the next, for an overlap in [0, 1)."""
    stride = int(window * (1 - overlap))
    if not 0 <= overlap < 1 or stride < 1:
        raise ValueError(f"window_overlap_ratio {overlap} of a window of {window} must be in [0, 1)")
    return stride


def sliding_windows(n: int, window: int, stride: int) -> np.ndarray:
    """Windows that cover all n positions, none twice: a start every `stride`, the last moved back to end at n.

    Returns:
        (W, 2) int64 rows [start, end); a video shorter than a window is one shorter row.
    """
    if n <= window:
        return np.asarray([[0, n]], dtype=np.int64)
    starts = np.append(np.arange(0, n - window, stride, dtype=np.int64), n - window)
    return np.stack([starts, starts + window], axis=1)


def reference_windows(n: int, window: int, stride: int) -> np.ndarray:
    """The windows of the reference, faults included: the last may appear twice, the tail of a video may be missed.

    Returns:
        (W, 2) int64 rows [start, end).
    """
    rows = []
    for i in range(max(1, n // stride)):
        start, end = i * stride, i * stride + window
        if end > n:
            rows.append((max(0, n - window), n))
            break
        rows.append((start, end))
    return np.asarray(rows, dtype=np.int64)


def clip_segments(segments: np.ndarray, start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    """The part of each segment inside [start, end].

    Returns:
        clipped (N, 2), and the share (N,) in [0, 1] of each segment that is inside (0 for an empty one).
    """
    clipped = np.clip(segments, start, end)
    inside = clipped[:, 1] - clipped[:, 0]
    length = segments[:, 1] - segments[:, 0]
    return clipped, np.where(inside > 0, inside / np.maximum(length, 1e-6), 0).astype(segments.dtype)


def central_parts(windows: ArrayLike) -> np.ndarray:
    """Divide the positions among the windows: each goes to the one in whose middle it lies best.

    Two neighbours part in the middle of what both cover, so a position near the border of a window, where a network
    sees one side only, is taken from its neighbour where there is one.

    Args:
        windows: (W, 2) int rows [start, end), rising, without gaps between them.
    Returns:
        (W, 2) int64 rows [first, stop): parts of the windows that cover every position once.
    Raises:
        ValueError: windows that do not rise, or leave a gap.
    """
    rows = np.asarray(windows, dtype=np.int64)
    starts, ends = rows.T
    if (np.diff(starts) < 0).any() or (np.diff(ends) < 0).any() or (starts[1:] > ends[:-1]).any():
        raise ValueError(f"windows {rows.tolist()} do not follow each other without gaps")
    borders = (ends[:-1] + starts[1:] + 1) // 2
    return np.stack([np.append(starts[0], borders), np.append(borders, ends[-1])], axis=1)


def second_of_frames(times: ArrayLike) -> np.ndarray:
    """The second in which each frame appears: float64 (N,) seconds from the first frame on -> int64 (N,)."""
    return np.floor(np.asarray(times, dtype=np.float64) + TOLERANCE_SEC).astype(np.int64)


def spread(seconds: np.ndarray, count: int | None) -> np.ndarray:
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

    def __init__(self, rows: int, channels: int) -> None:
        self.sums = np.zeros((rows, channels))
        self.counts = np.zeros(rows, dtype=np.int64)
        self.last = np.zeros((rows, channels), dtype=np.float32)

    def add(self, features: np.ndarray, seconds: np.ndarray) -> None:
        """Take in the next frames: float32 (N, D) and the second of each, int64 (N,)."""
        found, starts, lengths = np.unique(seconds, return_index=True, return_counts=True)
        self.sums[found] += np.add.reduceat(features.astype(np.float64), starts)
        self.counts[found] += lengths
        self.last[found] = features[starts + lengths - 1]

    def means(self) -> np.ndarray:
        """float32 (R, D); ValueError if there is no frame in the first second."""
        if not self.counts[0]:
            raise ValueError("no frame was given of the first second")
        held = np.maximum.accumulate(np.where(self.counts > 0, np.arange(len(self.counts)), 0))
        rows = self.sums / np.maximum(self.counts, 1)[:, None]
        return np.where(self.counts[:, None] > 0, rows, self.last[held]).astype(np.float32)
