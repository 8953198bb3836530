"""Segments on the grid: points of a temporal pyramid, decoding, overlaps, candidates and assignment of targets.

A segment is (start, end) in the last dimension. Elementwise functions take two tensors of the same leading shape. A
point looks at its position and is responsible for a range of lengths; which point answers for which instance is as in
ActionFormer (Zhang et al., ECCV 2022, section 3.3).

B samples, P or T_l points (all, of one level), N or M segments or instances (of a sample, padded to the most in the
batch), C classes, K candidates
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .records import Detections

EPS = 1e-7  # unions and hulls are at least this long; degenerate segments give overlap 0, not NaN
GIOU_EPS = 1e-6  # the same of unions, and what is added to hulls, in the generalized IoU
SIMILAR = 1e-3  # instances whose lengths differ by at most this many grid positions count as equally short


def level_points(
    length: int,
    stride: float,
    regression_range: Sequence[float],
    device: torch.device | str | None = None,
    shift: float = 0.0,
) -> Tensor:
    """Points of one level, at (i + shift) * stride for i = 0, 1, ...  -> (T_l, 4) float32.

    A row is (position on the grid, range low, range high, stride); `regression_range` is (low, high) in grid
    positions. Points sit on the first position of their cell, or in its middle with a `shift` of 0.5.
    """
    low, high = regression_range
    position = torch.arange(length, device=device, dtype=torch.float32).add_(shift) * stride
    return torch.stack([position, *(torch.full_like(position, v) for v in (low, high, stride))], dim=1)


def decode_segments(points: Tensor, distances: Tensor) -> Tensor:
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


def segment_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union, in [0, 1], of segment pairs.  (..., 2), (..., 2) -> (...)"""
    inter, union, _ = _overlap(a, b)
    return inter / union.clamp(min=EPS)


def segment_giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalized IoU, in [-1, 1] (Rezatofighi et al., CVPR 2019).  (..., 2), (..., 2) -> (...)

    Below -1 where an end lies before its start: the union has its negative length, as in the reference, so the loss
    grows with it. Two equal segments without length have -1/11.
    """
    inter, union, hull = _overlap(a, b)
    hull = hull.clamp(min=EPS)
    return inter / union.clamp(min=GIOU_EPS) - (hull - union) / (hull + GIOU_EPS)


def segment_diou(a: Tensor, b: Tensor) -> Tensor:
    """Distance IoU, in [-1, 1] (Zheng et al., AAAI 2020).  (..., 2), (..., 2) -> (...)

    IoU minus the squared distance of the centres over the squared length of the hull. Below -1 where an end lies before
    its start and the centre outside the hull.
    """
    inter, union, hull = _overlap(a, b)
    shift = (a.sum(-1) - b.sum(-1)) / 2
    return inter / union.clamp(min=EPS) - shift.square() / hull.square().clamp(min=EPS)


def pairwise_tiou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of every segment of `a` with every one of `b`.  (N, 2), (M, 2) -> (N, M)"""
    return segment_iou(a[:, None], b[None])


def select_candidates(segments: Tensor, scores: Tensor, *, thresh: float = 0.001, topk: int = 2000) -> Detections:
    """The best point-class pairs of one sample, by falling score; the earlier of equals first.

    With a single class nothing is dropped: every point is a candidate. A score that is NaN is one too, and comes first:
    whoever reads it finds it, where a comparison would have dropped it without a word.

    Args:
        segments: (N, 2) on the grid.
        scores: (N, C) in [0, 1].
        thresh: pairs must score higher than this.
        topk: at most this many pairs.
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


def assign_targets(
    points: Tensor,
    segments: Sequence[Tensor],
    labels: Sequence[Tensor],
    num_classes: int,
    *,
    radius: float | None = 1.5,
    filter_similar_gt: bool = True,
) -> tuple[Tensor, Tensor]:
    """Class and distance targets of every point for every sample of a batch.

    A point may answer for an instance if it lies strictly inside it, at most `radius` strides from its centre, and
    if the longer of its distances to start and end is in the range of its level (ends included). Of several such
    instances the shortest wins, the first of equals; its near equals keep their class as well.

    Args:
        points: (P, 4) rows (position, range low, range high, stride).
        segments: B tensors (N, 2) on the grid; N may be 0.
        labels: B integer tensors (N,).
        num_classes: C.
        radius: how far from the centre, in strides; None for the whole instance.
        filter_similar_gt: False keeps the classes of all candidates, not only of those about as short as the shortest.
    Returns:
        (B, P, C) float32 of 0 and 1; (B, P, 2) float32 distances to start and end in strides (of the first
        instance where no instance wins, zeros where the sample has none).
    """
    padded, classes, real = _pad(points.device, segments, labels)
    position, stride = points[:, 0], points[:, 3]
    distances = torch.stack(
        [position[:, None] - padded[:, None, :, 0], padded[:, None, :, 1] - position[:, None]], dim=-1
    )  # (B, P, N, 2)
    allowed = _inside(points, padded, distances, radius) & real[:, None]
    length = (padded[..., 1] - padded[..., 0])[:, None]  # (B, 1, N)
    cost = torch.where(allowed, length, torch.inf)  # (B, P, N)
    shortest = cost.amin(-1, keepdim=True)
    # the smallest index among equals: argmin promises none
    order = torch.arange(cost.shape[-1], device=cost.device)
    winner = torch.where(cost == shortest, order, cost.shape[-1]).amin(-1)  # (B, P)
    near = allowed & (cost <= shortest + SIMILAR) if filter_similar_gt else allowed
    one_hot = F.one_hot(classes, num_classes).to(cost.dtype)  # (B, N, C)
    cls = (near.to(cost.dtype) @ one_hot).clamp(max=1)
    reg = distances.gather(2, winner[..., None, None].expand(-1, -1, 1, 2)).squeeze(2) / stride[:, None]
    return cls.float(), torch.where(real.any(1)[:, None, None], reg, 0.0)


def _pad(device, segments, labels):
    """Stack instances of all samples.  -> (B, N, 2), (B, N) int64, (B, N) bool True where there is an instance"""
    segments = [s.to(device, torch.float32).reshape(-1, 2) for s in segments]
    counts = torch.tensor([len(s) for s in segments])
    width = max(1, int(counts.max()))
    real = (torch.arange(width) < counts[:, None]).to(device)
    segments = pad_sequence(segments, batch_first=True)
    labels = pad_sequence([label.to(device).long() for label in labels], batch_first=True)
    missing = width - segments.shape[1]  # 1 if no sample has an instance
    return F.pad(segments, (0, 0, 0, missing)), F.pad(labels, (0, missing)), real


def _inside(points, segments, distances, radius):
    """True where a point may answer for an instance.  (P, 4), (B, N, 2), (B, P, N, 2), radius -> (B, P, N)"""
    position, low, high, stride = points.T[..., None]  # (P, 1) each
    if radius is None:
        nearest_end = distances.amin(-1)
    else:
        centre = segments.mean(-1)[:, None]  # (B, 1, N)
        start = torch.maximum(centre - radius * stride, segments[:, None, :, 0])
        end = torch.minimum(centre + radius * stride, segments[:, None, :, 1])
        nearest_end = torch.minimum(position - start, end - position)
    longest = distances.amax(-1)
    return (nearest_end > 0) & (longest >= low) & (longest <= high)
