"""Non-maximum suppression of segments in time: hard, soft, with voting."""

import math

import numpy as np

from .records import Rows

# N candidates, K kept

GAUSSIAN_METHODS = (2, 3)


def batched_nms(
    segments: Rows,
    scores: Rows,
    labels: Rows,
    *,
    iou_threshold: float = 0,
    min_score: float = 0,
    max_seg_num: int = 100,
    use_soft_nms: bool = True,
    multiclass: bool = True,
    sigma: float = 0.5,
    voting_thresh: float = 0,
    method: int = 2,
    t1: float = 0,
    t2: float = 0,
) -> tuple[Rows, Rows, Rows]:
    """Thin out overlapping candidates and sort what is kept by falling score, equals in the order given.

    Args:
        segments: (N, 2) start and end, numpy array or CPU tensor; the results are of the same kind, float32.
        scores: (N,).
        labels: (N,) class indices; the dtype is kept.
        iou_threshold: overlap from which a candidate is dropped (hard) or decayed (soft, methods 0 and 1).
        min_score: soft: what decays below it is dropped; hard: only scores above it take part (0: all).
        max_seg_num: most candidates to keep, of each class and in all.
        use_soft_nms: decay the scores of overlapping candidates (Bodla et al., ICCV 2017) rather than drop them.
        multiclass: treat every class by itself; otherwise all candidates compete.
        sigma: width of the Gaussian decay.
        voting_thresh: if > 0 and not `multiclass`, a kept segment becomes the score-weighted mean of all
            candidates that overlap it by this much. Without effect with `multiclass`.
        method: soft decay for overlap r: 0 drops to 0 and 1 multiplies by 1 - r from `iou_threshold` on,
            2 multiplies by exp(-r^2 / sigma), 3 does so where r >= t1 + t2 * length of the kept segment.
        t1, t2: see method 3.
    Returns:
        (segments (K, 2), scores (K,), labels (K,)); K <= max_seg_num.
    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, an unknown method, a sigma <= 0.
    """
    if not isinstance(segments, np.ndarray):
        return _on_tensors(segments, scores, labels, locals())
    _check(segments, scores, labels, method, sigma)
    segments = np.ascontiguousarray(segments, np.float32)
    scores = np.ascontiguousarray(scores, np.float32)
    if len(scores) == 0:
        return segments, scores, labels
    every_segment, every_score = segments, scores
    if not use_soft_nms and min_score > 0:
        above = scores > np.float32(min_score)
        segments, scores, labels = segments[above], scores[above], labels[above]
    rule = (method, *(np.float32(x) for x in (iou_threshold, sigma, t1, t2)))
    order, offsets = _groups(scores, labels, by_class=multiclass, falling=not use_soft_nms)
    limits = order, offsets, max_seg_num, rule, np.float32(min_score)
    index, kept_scores = (_soft if use_soft_nms else _hard)(segments[order], scores[order], *limits)
    index = order[index]
    kept = segments[index]
    if voting_thresh > 0 and not multiclass:
        kept = vote_segments(kept, every_segment, every_score, voting_thresh)
    best = np.lexsort((index, -kept_scores))[:max_seg_num]  # the last key first
    return kept[best], kept_scores[best], labels[index[best]]


def vote_segments(kept: np.ndarray, segments: np.ndarray, scores: np.ndarray, iou_threshold: float) -> np.ndarray:
    """Move each kept segment to the score-weighted mean of all that overlap it.  (K, 2), (N, 2), (N,) -> (K, 2)."""
    from . import kernels  # compiled at first use

    kept, segments, scores = (np.ascontiguousarray(x, np.float32) for x in (kept, segments, scores))
    return kernels.vote(kept, segments, scores, np.float32(iou_threshold))


def _soft(segments, scores, place, offsets, limit, rule, min_score):
    """Rows that soft-NMS keeps in every group, and their scores; where none is dropped, only the best in all.

    `place` (N,) says which of equal scores was given first.
    """
    from . import kernels

    if min_score > 0 or scores.min() < 0:
        return kernels.soft_nms_by_group(segments, scores, offsets, limit, rule, min_score)
    by_score = np.lexsort((place, -scores))
    return kernels.lazy_soft_nms(segments, scores, place, by_score, offsets, limit, rule)


def _hard(segments, scores, place, offsets, limit, rule, min_score):
    """As `_soft`, for hard suppression; scores fall, equals by place, and `min_score` has been applied."""
    from . import kernels

    return kernels.hard_nms_by_group(segments, scores, offsets, limit, rule[1])


def _groups(scores, labels, *, by_class, falling):
    """Rows in order of class (one group if not `by_class`) and the borders between classes; both int64.

    Within a class the given order stays, or the score falls.
    """
    keys = [-scores] if falling else []
    if by_class:
        keys.append(labels)
    order = np.lexsort(keys) if keys else np.arange(len(scores))
    if not by_class:
        return order, np.array([0, len(scores)])
    borders = np.flatnonzero(np.diff(labels[order])) + 1
    return order, np.concatenate([[0], borders, [len(scores)]])


def _on_tensors(segments, scores, labels, arguments):
    """Run `batched_nms` on the arrays behind CPU tensors and wrap what it returns."""
    import torch

    options = {k: v for k, v in arguments.items() if k not in ("segments", "scores", "labels")}
    arrays = (x.detach().numpy() for x in (segments, scores, labels))
    return tuple(torch.from_numpy(x) for x in batched_nms(*arrays, **options))


def _check(segments, scores, labels, method, sigma):
    """Refuse arguments that would give a silent nonsense."""
    if segments.ndim != 2 or segments.shape[1] != 2:
        raise ValueError(f"segments must be (N, 2); got {segments.shape}")
    if scores.shape != segments.shape[:1] or labels.shape != segments.shape[:1]:
        raise ValueError(
            f"scores {scores.shape} and labels {labels.shape} must have one entry per segment {segments.shape}"
        )
    if not (np.isfinite(segments).all() and np.isfinite(scores).all()):
        raise ValueError("segments and scores must be finite; there are NaN or infinite ones")
    if method not in (0, 1, 2, 3):
        raise ValueError(f"method {method!r} is unknown; known: 0 (drop), 1 (linear), 2, 3 (Gaussian)")
    if method in GAUSSIAN_METHODS and not (sigma > 0 and math.isfinite(sigma)):
        raise ValueError(f"sigma must be positive; got {sigma!r}")
