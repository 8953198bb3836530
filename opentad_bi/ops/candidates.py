"""From scores of points x classes to the candidate segments that go into non-maximum suppression."""

from .prediction import Detections

# N points, C classes, K candidates


def select_candidates(segments, scores, *, thresh=0.001, topk=2000):
    """The best point-class pairs of one sample, by falling score; the earlier of equals first.

    With a single class nothing is dropped: every point is a candidate. A score that is NaN is one too, and comes first:
    whoever reads it finds it, where a comparison would have dropped it without a word.

    Args:
        segments: (N, 2) on the grid.
        scores: (N, C) in [0, 1].
        thresh: pairs must score higher than this.
        topk: at most so many pairs.
    Returns:
        Detections with K <= min(topk, N * C) entries.
    """
    classes = scores.shape[1]
    flat = scores.float().flatten()
    if classes == 1:
        thresh, topk = -1.0, len(flat)
    pairs = (flat <= thresh).logical_not().nonzero().squeeze(1)
    best, order = flat[pairs].sort(descending=True, stable=True)
    pairs = pairs[order[:topk]]
    return Detections(segments.float()[pairs // classes], best[:topk], pairs % classes)
