"""Average precision and recall of predicted segments, the protocol of ActivityNet and THUMOS14."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

# N predictions, G true segments, C classes, V videos, T thresholds, K values of k


@dataclass(frozen=True)
class Segments:
    """Segments of many videos, one row each; predictions have `scores`.

    Args:
        segments: (N, 2) float64, seconds.
        labels: (N,) int64 class indices; rows below 0 are ignored.
        videos: (N,) int64 video indices.
        scores: (N,) float64, or empty for true segments.
    """

    segments: np.ndarray
    labels: np.ndarray
    videos: np.ndarray
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, index: np.ndarray) -> "Segments":
        """The rows of `index`, an index array or a mask."""
        scores = self.scores[index] if len(self.scores) else self.scores
        return Segments(self.segments[index], self.labels[index], self.videos[index], scores)


@dataclass(frozen=True)
class Matching:
    """Predictions ranked within their class, and where to find the true segments each may match."""

    ranked: Segments
    truth: Segments
    class_offsets: np.ndarray  # (C + 1,) rows of each class in `ranked`
    cells: np.ndarray  # (N,) pair of class and video, -1 where it has no true segment
    cell_offsets: np.ndarray  # (cells + 1,) rows of each cell in `truth`


def match(truth: Segments, predictions: Segments, num_classes: int) -> Matching:
    """Sort both sides so that one pass over the ranked predictions can match them.

    Within a class predictions go by falling score, equals in the order given: the sort is stable, as numpy's default
    one orders equals by what instructions the CPU has, which moves the numbers of rounded scores.
    """
    keys = truth.labels * _videos(truth, predictions) + truth.videos
    truth_order = np.argsort(keys, kind="stable")
    occupied, starts = np.unique(keys[truth_order], return_index=True)
    order = np.lexsort((-predictions.scores, predictions.labels))  # stable, the last key first
    offsets = np.searchsorted(predictions.labels[order], np.arange(num_classes + 1))
    ranked = predictions.rows(order[offsets[0] : offsets[-1]])
    wanted = ranked.labels * _videos(truth, predictions) + ranked.videos
    place = np.searchsorted(occupied, wanted).clip(max=len(occupied) - 1)
    cells = np.where(occupied[place] == wanted, place, -1)
    return Matching(ranked, truth.rows(truth_order), offsets - offsets[0], cells, np.append(starts, len(truth_order)))


def average_precision(matching: Matching, thresholds: Sequence[float]) -> np.ndarray:
    """Area under the precision envelope of every class (all points interpolated).  Returns (T, C) float64.

    A class without predictions has 0.

    Args:
        matching: from `match`; every class needs true segments for its number to mean anything.
        thresholds: (T,) overlaps.
    """
    from . import kernels

    hit = kernels.true_positives(
        matching.ranked.segments,
        matching.cells,
        matching.truth.segments,
        matching.cell_offsets,
        np.asarray(thresholds, np.float64),
    )
    borders = zip(matching.class_offsets[:-1], matching.class_offsets[1:], strict=True)
    totals = _per_class(matching)
    areas = [area_under_envelope(hit[:, low:high], total) for (low, high), total in zip(borders, totals, strict=True)]
    return np.stack(areas, axis=1)


def area_under_envelope(hit: np.ndarray, total: int) -> np.ndarray:
    """Average precision of ranked hits and misses.  (T, N) bool, number of true segments -> (T,) float64."""
    found = hit.cumsum(axis=1)
    precision = found / np.arange(1, hit.shape[1] + 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    gain = np.diff(found / max(total, 1), axis=1, prepend=0.0)
    return (gain * envelope).sum(axis=1)


def top_k_recall(matching: Matching, thresholds: Sequence[float], ks: Sequence[int]) -> np.ndarray:
    """Share of true segments covered by the first k * (true segments) predictions of their video and class.

    Args:
        matching: from `match`.
        thresholds: (T,) overlaps.
        ks: (K,) multiples of the number of true segments.
    Returns:
        (T, K, C) float64.
    """
    from . import kernels

    found = kernels.covered(
        matching.ranked.segments,
        matching.cells,
        matching.truth.segments,
        matching.cell_offsets,
        np.asarray(thresholds, np.float64),
        np.asarray(ks, np.int64),
    )
    totals = _per_class(matching)
    borders = np.concatenate([[0], np.cumsum(totals)])
    counts = np.concatenate([np.zeros((*found.shape[:2], 1)), found.cumsum(axis=2)], axis=2)
    return np.diff(counts[..., borders], axis=2) / np.maximum(totals, 1)


def _videos(truth, predictions):
    """One more than the largest video index."""
    return 1 + max(truth.videos.max(initial=0), predictions.videos.max(initial=0))


def _per_class(matching):
    """Number of true segments of every class, (C,)."""
    return np.bincount(matching.truth.labels, minlength=len(matching.class_offsets) - 1)
