"""From the candidates of windows to the final segments of each video: merged directions, seconds, NMS, rounding.

N candidates of a window in one direction, M in the other, K segments of a video
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ...ops.average_precision import Segments
from ...ops.nms import batched_nms
from ...ops.records import SampleMeta
from .io import Predictions

SEGMENT_DECIMALS = 2
SCORE_DECIMALS = 4
MAX_THREADS = 16


@dataclass(frozen=True)
class Window:
    """Candidates of one window of a video, as arrays.

    Args:
        meta: where the window lies.
        segments: (N, 2) float32 grid positions.
        scores: (N,) float32.
        labels: (N,) int64.
    """

    meta: SampleMeta
    segments: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def joined(self, other: "Window") -> "Window":
        """The candidates of both, which lie on the same grid."""
        pairs = ((self.segments, other.segments), (self.scores, other.scores), (self.labels, other.labels))
        return Window(self.meta, *map(np.concatenate, pairs))


def final_predictions(windows: Mapping[str, list[Window]], classes: Sequence[str], nms: dict | None) -> Predictions:
    """Final segments of all videos, as Predictions.

    The videos run in threads, as the compiled loops leave the GIL; the result does not depend on how many.

    Args:
        windows: {video: [Window, ...]} in the order in which the windows came.
        classes: names of the classes.
        nms: arguments of `batched_nms`, or None for none.
    """
    threads = min(MAX_THREADS, os.cpu_count() or 1, max(1, len(windows)))
    with ThreadPoolExecutor(threads) as pool:
        blocks = list(pool.map(lambda video: video_segments(windows[video], nms), windows))
    counts = [len(scores) for _, scores, _ in blocks]
    segments, scores, labels = zip(*blocks, strict=True) if blocks else ((), (), ())
    rows = Segments(
        np.concatenate([np.zeros((0, 2)), *segments]),
        np.concatenate([np.zeros(0, np.int64), *labels]),
        np.repeat(np.arange(len(counts)), np.array(counts, np.int64)),
        np.concatenate([np.zeros(0), *scores]),
    )
    return Predictions(rows, list(classes), list(windows))


def video_segments(windows: Sequence[Window], nms: dict | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Final segments of one video: (K, 2) and (K,) float64 rounded to 2 and 4 decimals, (K,) int64.

    A whole video is thinned out on its grid, before rounding; the windows of a sliding video are thinned out
    together, after rounding, which is the order published numbers were made with.
    """
    sliding = any(window.meta.sliding for window in windows)
    blocks = [_rounded_window(window, None if sliding else nms) for window in windows]
    segments, scores, labels = map(np.concatenate, zip(*blocks, strict=True))
    if not sliding or nms is None or len(scores) == 0:
        return segments, scores, labels
    segments, scores, labels = batched_nms(segments, scores, labels, **nms)
    return *_rounded(segments, scores), labels


def _rounded_window(window, nms):
    """Candidates of a window in seconds, clipped to the video and rounded, after `nms` on the grid."""
    segments, scores, labels = window.segments, window.scores, window.labels
    if nms is not None:
        segments, scores, labels = batched_nms(segments, scores, labels, **nms)
    return *_rounded(window.meta.to_seconds(segments), scores), labels.astype(np.int64, copy=False)


def _rounded(segments, scores):
    """Round float32 to decimals, as float64 (exact: a float32 times 10^4 fits)."""
    return (
        np.round(segments.astype(np.float64), SEGMENT_DECIMALS),
        np.round(scores.astype(np.float64), SCORE_DECIMALS),
    )


def merge_directions(
    forward: Mapping[str, list[Window]], backward: Mapping[str, list[Window]], voting: float | None = None
) -> dict[str, list[Window]]:
    """The candidates of both directions, which hold the same windows in the same order.

    Args:
        forward, backward: {video: [Window, ...]}, both in forward time.
        voting: None: candidates stay as they are. A number p: of the other direction's candidates of the class,
            the one with the highest support tIoU ** p * score votes. The score becomes the mean of its own and of
            the support, so what one direction alone finds counts half; start and end become means weighted
            by the own score and half the support.
    Returns:
        {video: [Window, ...]}
    """
    if voting is not None and voting <= 0:
        raise ValueError(f"cross_direction_voting {voting} must be a positive number, or None")
    merged = {}
    for video, windows in forward.items():
        pairs = list(zip(windows, backward[video], strict=True))
        if voting is not None:
            pairs = [(rescore(own, other, voting), rescore(other, own, voting)) for own, other in pairs]
        merged[video] = [own.joined(other) for own, other in pairs]
    return merged


def rescore(own: Window, other: Window, power: float) -> Window:
    """`own` (N candidates) averaged with its best supporters among `other` (M), see `merge_directions`: a new Window.

    N x M overlaps of one class are held at a time.
    """
    import torch  # only here: evaluating saved results does without it

    from ...ops.segments import pairwise_tiou

    support, partner = np.zeros_like(own.scores), own.segments.copy()
    for label in np.intersect1d(own.labels, other.labels):
        mine, theirs = own.labels == label, other.labels == label
        overlap = pairwise_tiou(*(torch.from_numpy(x) for x in (own.segments[mine], other.segments[theirs]))).numpy()
        # float64, as the last bit of a float32 power depends on the CPU
        found = overlap.astype(np.float64) ** power * other.scores[theirs]  # (N, M)
        support[mine], partner[mine] = found.max(axis=1), other.segments[theirs][found.argmax(axis=1)]
    weight = (support / 2 / np.maximum(own.scores + support / 2, 1e-9))[:, None]
    segments = own.segments + weight * (partner - own.segments)
    return Window(own.meta, segments, (own.scores + support) / 2, own.labels)
