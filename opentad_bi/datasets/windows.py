"""Sliding windows over a video, and what of an action lies inside a window.

n grid positions of the video, W windows, N segments
"""

import numpy as np

OVERLAP = 0.25  # share of a window that the next one repeats, where nothing is said


def cut_windows(n, window, overlap, reference=False):
    """`sliding_windows` or `reference_windows` for an overlap.  Returns (W, 2) int64 rows [start, end)."""
    return (reference_windows if reference else sliding_windows)(n, window, window_stride(window, overlap))


def window_stride(window, overlap):
    """Grid positions from one window to the next, for an overlap in [0, 1)."""
    stride = int(window * (1 - overlap))
    if not 0 <= overlap < 1 or stride < 1:
        raise ValueError(f"window_overlap_ratio {overlap} of a window of {window} must be in [0, 1)")
    return stride


def sliding_windows(n, window, stride):
    """Windows that cover all n positions, none twice: a start every `stride`, the last moved back to end at n.

    Returns:
        (W, 2) int64 rows [start, end); a video shorter than a window is one shorter row.
    """
    if n <= window:
        return np.asarray([[0, n]], dtype=np.int64)
    starts = np.append(np.arange(0, n - window, stride, dtype=np.int64), n - window)
    return np.stack([starts, starts + window], axis=1)


def reference_windows(n, window, stride):
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


def clip_segments(segments, start, end):
    """The part of each segment inside [start, end].

    Returns:
        clipped (N, 2), and the share (N,) in [0, 1] of each segment that is inside (0 for an empty one).
    """
    clipped = np.clip(segments, start, end)
    inside = clipped[:, 1] - clipped[:, 0]
    length = segments[:, 1] - segments[:, 0]
    return clipped, np.where(inside > 0, inside / np.maximum(length, 1e-6), 0).astype(segments.dtype)
