"""Segments on a line: decoding from distances, and how much two of them have in common.

A segment is (start, end) in the last dimension. Elementwise functions take two tensors of the same leading shape.
"""

import torch

# N, M segments or points

EPS = 1e-7  # unions and hulls are at least this long; degenerate segments give overlap 0, not NaN
GIOU_EPS = 1e-6  # the same of unions, and what is added to hulls, in the generalized IoU


def decode_segments(points, distances):
    """Segments from distances to their start and end, given in strides.  (N, 4), (..., N, 2) -> (..., N, 2)

    `points` are rows (position, range low, range high, stride); segments are in grid positions, not clipped.
    """
    position, stride = points[:, 0], points[:, 3]
    start = position - distances[..., 0] * stride
    end = position + distances[..., 1] * stride
    return torch.stack([start, end], dim=-1)


def _overlap(a, b):
    """Lengths of intersection, union and hull of segment pairs.  (..., 2), (..., 2) -> three (...)

    A segment whose end lies before its start has a negative length and meets no other; union and hull may be negative.
    """
    inner = torch.minimum(a[..., 1], b[..., 1]) - torch.maximum(a[..., 0], b[..., 0])
    inter = inner.clamp(min=0)
    union = (a[..., 1] - a[..., 0]) + (b[..., 1] - b[..., 0]) - inter
    hull = torch.maximum(a[..., 1], b[..., 1]) - torch.minimum(a[..., 0], b[..., 0])
    return inter, union, hull


def segment_iou(a, b):
    """Intersection over union, in [0, 1], of segment pairs.  (..., 2), (..., 2) -> (...)"""
    inter, union, _ = _overlap(a, b)
    return inter / union.clamp(min=EPS)


def segment_giou(a, b):
    """Generalized IoU, in [-1, 1] (Rezatofighi et al., CVPR 2019).  (..., 2), (..., 2) -> (...)

    Below -1 where an end lies before its start: the union has its negative length, as in the reference, so the loss
    grows with it. Two equal segments without length have -1/11.
    """
    inter, union, hull = _overlap(a, b)
    hull = hull.clamp(min=EPS)
    return inter / union.clamp(min=GIOU_EPS) - (hull - union) / (hull + GIOU_EPS)


def segment_diou(a, b):
    """Distance IoU, in [-1, 1] (Zheng et al., AAAI 2020).  (..., 2), (..., 2) -> (...)

    IoU minus the squared distance of the centres over the squared length of the hull. Below -1 where an end lies before
    its start and the centre outside the hull.
    """
    inter, union, hull = _overlap(a, b)
    shift = (a.sum(-1) - b.sum(-1)) / 2
    return inter / union.clamp(min=EPS) - shift.square() / hull.square().clamp(min=EPS)


def pairwise_tiou(a, b):
    """IoU of every segment of `a` with every one of `b`.  (N, 2), (M, 2) -> (N, M)"""
    return segment_iou(a[:, None], b[None])
