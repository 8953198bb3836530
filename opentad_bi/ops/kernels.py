"""Sequential loops of non-maximum suppression and of the matching of detections, compiled by numba at first use.

`nms.py` and `average_precision.py` call them and check the arguments. In non-maximum suppression intersections are
divided by lengths that have 1e-6 added, all in float32.
"""

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

Rule = tuple[int, np.float32, np.float32, np.float32, np.float32]  # method, iou_threshold, sigma, t1, t2


def kernel(function: Callable) -> Callable:
    """Compile `function` at its first call, without the GIL; kept on disk where a folder can be written."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package nor the home folder is writable: compile in every process
        return numba.njit(**options)(function)


# N candidates of one class, K kept


LENGTH_EPSILON = np.float32(1e-6)
ONE = np.float32(1)
ZERO = np.float32(0)

# what a candidate's score is multiplied with, for its overlap with a kept segment
HARD, LINEAR, GAUSSIAN, GAUSSIAN_LONG = 0, 1, 2, 3


@kernel
def overlap(
    start_a: np.float32,
    end_a: np.float32,
    length_a: np.float32,
    start_b: np.float32,
    end_b: np.float32,
    length_b: np.float32,
) -> np.float32:
    """Intersection over union of two segments whose lengths are given."""
    inter = min(end_a, end_b) - max(start_a, start_b)
    if inter <= ZERO:
        return ZERO
    return inter / (length_a + length_b - inter)


@kernel
def decay(
    ratio: np.float32, method: int, iou_threshold: np.float32, sigma: np.float32, long_from: np.float32
) -> np.float32:
    """Weight of a candidate that overlaps a kept segment by `ratio`."""
    if method == GAUSSIAN or (method == GAUSSIAN_LONG and ratio >= long_from):
        return ONE if ratio == ZERO else np.float32(math.exp(-(ratio * ratio) / sigma))
    if ratio < iou_threshold or method == GAUSSIAN_LONG:
        return ONE
    return ZERO if method == HARD else ONE - ratio


@kernel
def soft_nms(
    segments: np.ndarray, scores: np.ndarray, limit: int, rule: Rule, min_score: np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """Keep at most `limit` candidates by rising decay of what overlaps them (Bodla et al., ICCV 2017).

    Of equal scores the first in the order given wins.

    Args:
        segments: (N, 2) float32.
        scores: (N,) float32.
        limit: most candidates to keep.
        rule: (method, iou_threshold, sigma, t1, t2), see `nms.batched_nms`.
        min_score: a candidate whose decayed score is below is dropped; a kept one is never tested.
    Returns:
        (indices (K,) int64, scores (K,) float32), in the order of selection.
    """
    method, iou_threshold, sigma, t1, t2 = rule
    alive = len(scores)
    index = np.arange(alive)
    work = np.empty((4, alive), np.float32)  # start, end, length, score
    work[0], work[1], work[3] = segments[:, 0], segments[:, 1], scores
    work[2] = segments[:, 1] - segments[:, 0] + LENGTH_EPSILON
    rows, values = np.empty(min(alive, limit), np.int64), np.empty(min(alive, limit), np.float32)
    kept, best = 0, int(np.argmax(scores))
    while kept < limit and alive > 0:
        start, end, length = work[0, best], work[1, best], work[2, best]
        rows[kept], values[kept] = index[best], work[3, best]
        kept += 1
        long_from = t1 + t2 * length
        left, following, top = 0, 0, -np.float32(np.inf)
        for j in range(alive):
            ratio = overlap(start, end, length, work[0, j], work[1, j], work[2, j])
            value = work[3, j] * decay(ratio, method, iou_threshold, sigma, long_from)
            if j == best or value < min_score:
                continue
            if j > left:  # close the gaps, so that the order given stays
                index[left] = index[j]
                for row in range(3):
                    work[row, left] = work[row, j]
            work[3, left] = value
            if value > top:
                top, following = value, left
            left += 1
        alive, best = left, following
    return rows[:kept], values[:kept]


@kernel
def hard_nms(
    segments: np.ndarray, scores: np.ndarray, limit: int, iou_threshold: np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """Keep at most `limit` candidates, each dropping those that overlap it by `iou_threshold` or more.

    Args and returns as `soft_nms`; `scores` must fall.
    """
    count = len(scores)
    length = segments[:, 1] - segments[:, 0] + LENGTH_EPSILON
    dropped = np.zeros(count, np.bool_)
    index, kept = np.empty(min(count, limit), np.int64), 0
    for i in range(count):
        if dropped[i]:
            continue
        if kept == limit:
            break
        index[kept] = i
        kept += 1
        for j in range(i + 1, count):
            ratio = overlap(segments[i, 0], segments[i, 1], length[i], segments[j, 0], segments[j, 1], length[j])
            dropped[j] |= ratio >= iou_threshold
    return index[:kept], scores[index[:kept]]


@kernel
def soft_nms_by_group(
    segments: np.ndarray, scores: np.ndarray, offsets: np.ndarray, limit: int, rule: Rule, min_score: np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """`soft_nms` of every run of rows between two `offsets`; indices are those of the whole."""
    index = np.empty(len(scores), np.int64)
    decayed = np.empty(len(scores), np.float32)
    total = 0
    for group in range(len(offsets) - 1):
        low, high = offsets[group], offsets[group + 1]
        kept, values = soft_nms(segments[low:high], scores[low:high], limit, rule, min_score)
        index[total : total + len(kept)] = kept + low
        decayed[total : total + len(kept)] = values
        total += len(kept)
    return index[:total], decayed[:total]


@kernel
def ahead(row_a: int, row_b: int, score: np.ndarray, place: np.ndarray) -> bool:
    """True if `row_a` comes before `row_b`: the higher score, then the earlier place."""
    if score[row_a] != score[row_b]:
        return score[row_a] > score[row_b]
    return place[row_a] < place[row_b]


@kernel
def sink(heap: np.ndarray, size: int, score: np.ndarray, place: np.ndarray) -> None:
    """Restore the heap after its first row has fallen behind."""
    row, hole = heap[0], 0
    while True:
        child = 2 * hole + 1
        if child >= size:
            break
        if child + 1 < size and ahead(heap[child + 1], heap[child], score, place):
            child += 1
        if not ahead(heap[child], row, score, place):
            break
        heap[hole] = heap[child]
        hole = child
    heap[hole] = row


@kernel
def lazy_soft_nms(
    segments: np.ndarray,
    scores: np.ndarray,
    place: np.ndarray,
    order: np.ndarray,
    offsets: np.ndarray,
    limit: int,
    rule: Rule,
) -> tuple[np.ndarray, np.ndarray]:
    """The first `limit` rows of `soft_nms_by_group` over all groups, by falling score, without touching the rest.

    Decay only lowers scores, so a row's last known score bounds what it has now: a row is decayed only when it is
    first in line, and is kept if it still is. Needs scores >= 0 and no lowest score.

    Args:
        segments, scores: (N, 2) and (N,) float32, grouped.
        place: (N,) int64, which of equal scores comes first; rising within a group.
        order: (N,) int64, rows by falling score, equals by rising place.
        offsets: (groups + 1,) int64.
        limit: most rows to keep, of each group and in all.
        rule: see `soft_nms`.
    Returns:
        (rows (K,) int64, scores (K,) float32).
    """
    method, iou_threshold, sigma, t1, t2 = rule
    size = len(scores)
    length = segments[:, 1] - segments[:, 0] + LENGTH_EPSILON
    score, heap = scores.copy(), order.copy()
    chosen = np.empty(size, np.int64)  # kept rows of each group, from its offset on
    count = np.zeros(len(offsets) - 1, np.int64)  # of them
    applied = np.zeros(size, np.int64)  # kept rows that a row was decayed by
    group_of = np.zeros(size, np.int64)
    for group in range(len(offsets) - 1):
        group_of[offsets[group] : offsets[group + 1]] = group
    index, kept = np.empty(min(size, limit), np.int64), 0
    while kept < len(index):
        row = heap[0]
        group = group_of[row]
        first, last = offsets[group], offsets[group] + count[group]
        value = score[row]
        for other in chosen[first + applied[row] : last]:
            ratio = overlap(
                segments[other, 0], segments[other, 1], length[other], segments[row, 0], segments[row, 1], length[row]
            )
            value *= decay(ratio, method, iou_threshold, sigma, t1 + t2 * length[other])
        applied[row] = count[group]
        if value != score[row]:
            score[row] = value
            sink(heap, size, score, place)
            continue
        chosen[last], index[kept] = row, row
        kept += 1
        count[group] += 1
        size -= 1
        heap[0] = heap[size]
        sink(heap, size, score, place)
    return index, score[index]


@kernel
def hard_nms_by_group(
    segments: np.ndarray, scores: np.ndarray, offsets: np.ndarray, limit: int, iou_threshold: np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """`hard_nms` of every run of rows between two `offsets`; indices are those of the whole."""
    index = np.empty(len(scores), np.int64)
    total = 0
    for group in range(len(offsets) - 1):
        low, high = offsets[group], offsets[group + 1]
        kept, _ = hard_nms(segments[low:high], scores[low:high], limit, iou_threshold)
        index[total : total + len(kept)] = kept + low
        total += len(kept)
    return index[:total], scores[index[:total]]


@kernel
def vote(kept: np.ndarray, segments: np.ndarray, scores: np.ndarray, iou_threshold: np.float32) -> np.ndarray:
    """Replace each kept segment by the score-weighted mean of the segments that overlap it by `iou_threshold`.

    (K, 2), (N, 2), (N,) float32 -> (K, 2) float32; here lengths have nothing added.
    """
    out = kept.copy()
    for k in range(len(kept)):
        total, start, end = 0.0, 0.0, 0.0
        for n in range(len(scores)):
            inter = max(min(kept[k, 1], segments[n, 1]) - max(kept[k, 0], segments[n, 0]), ZERO)
            union = (kept[k, 1] - kept[k, 0]) + (segments[n, 1] - segments[n, 0]) - inter
            if inter >= iou_threshold * union and inter > ZERO:
                total += scores[n]
                start += scores[n] * segments[n, 0]
                end += scores[n] * segments[n, 1]
        if total > 0:
            out[k, 0], out[k, 1] = start / total, end / total
    return out


# N predictions of falling score, G true segments, T thresholds, K values of k


TINY = 1e-8


@kernel
def intersection_over_union(
    start_a: np.float32, end_a: np.float32, start_b: np.float32, end_b: np.float32
) -> np.float32:
    """Overlap of two segments in time, float64; a union below 1e-8 counts as 1e-8."""
    inter = max(min(end_a, end_b) - max(start_a, start_b), 0.0)
    return inter / max((end_a - start_a) + (end_b - start_b) - inter, TINY)


@kernel
def true_positives(
    segments: np.ndarray, cells: np.ndarray, gt_segments: np.ndarray, gt_offsets: np.ndarray, thresholds: np.ndarray
) -> np.ndarray:
    """Give each prediction the best true segment of its cell that is still free, for every threshold by itself.

    Of true segments with equal overlap the later one is taken first.

    Args:
        segments: (N, 2) float64, in order of falling score within a cell.
        cells: (N,) int64, the pair of class and video a row belongs to; < 0 where there are no true segments.
        gt_segments: (G, 2) float64, those of cell c at rows gt_offsets[c] to gt_offsets[c + 1].
        thresholds: (T,) float64, overlap that is enough.
    Returns:
        (T, N) bool, True where the prediction found one.
    """
    hit = np.zeros((len(thresholds), len(cells)), np.bool_)
    taken = np.zeros((len(thresholds), len(gt_segments)), np.bool_)
    for n in range(len(cells)):
        if cells[n] < 0:
            continue
        low, high = gt_offsets[cells[n]], gt_offsets[cells[n] + 1]
        overlaps = np.empty(high - low)
        for g in range(low, high):
            overlaps[g - low] = intersection_over_union(
                segments[n, 0], segments[n, 1], gt_segments[g, 0], gt_segments[g, 1]
            )
        for t in range(len(thresholds)):
            best, top = -1, thresholds[t]
            for g in range(low, high):
                if overlaps[g - low] >= top and not taken[t, g]:
                    best, top = g, overlaps[g - low]
            if best >= 0:
                taken[t, best] = True
                hit[t, n] = True
    return hit


@kernel
def covered(
    segments: np.ndarray,
    cells: np.ndarray,
    gt_segments: np.ndarray,
    gt_offsets: np.ndarray,
    thresholds: np.ndarray,
    ks: np.ndarray,
) -> np.ndarray:
    """Which true segments are overlapped enough by one of the first k * (true segments of the cell) predictions.

    Args: as `true_positives`; ks (K,) int64.
    Returns:
        (T, K, G) bool.
    """
    found = np.zeros((len(thresholds), len(ks), len(gt_segments)), np.bool_)
    seen = np.zeros(len(gt_offsets) - 1, np.int64)
    for n in range(len(cells)):
        if cells[n] < 0:
            continue
        low, high = gt_offsets[cells[n]], gt_offsets[cells[n] + 1]
        rank = seen[cells[n]]
        seen[cells[n]] += 1
        for g in range(low, high):
            ratio = intersection_over_union(segments[n, 0], segments[n, 1], gt_segments[g, 0], gt_segments[g, 1])
            for k in range(len(ks)):
                if rank < ks[k] * (high - low):
                    for t in range(len(thresholds)):
                        found[t, k, g] |= ratio >= thresholds[t]
    return found
