"""Sequential loops that match predicted segments to true ones; `average_precision.py` is the door."""

# N predictions of falling score, G true segments, T thresholds, K values of k

import numpy as np

from .compiled import kernel

TINY = 1e-8


@kernel
def intersection_over_union(start_a, end_a, start_b, end_b):
    """Overlap of two segments in time, float64; a union below 1e-8 counts as 1e-8."""
    inter = max(min(end_a, end_b) - max(start_a, start_b), 0.0)
    return inter / max((end_a - start_a) + (end_b - start_b) - inter, TINY)


@kernel
def true_positives(segments, cells, gt_segments, gt_offsets, thresholds):
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
def covered(segments, cells, gt_segments, gt_offsets, thresholds, ks):
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
