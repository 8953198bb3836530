"""Which point of the pyramid answers for which instance (ActionFormer: Zhang et al., ECCV 2022, section 3.3)."""

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence

# B samples, P points, N instances of a sample (padded to the most in the batch), C classes

SIMILAR = 1e-3  # instances whose lengths differ by at most this many grid positions count as equally short


def assign_targets(points, segments, labels, num_classes, *, radius=1.5, filter_similar_gt=True):
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
    segments, labels, real = _pad(points.device, segments, labels)
    position, stride = points[:, 0], points[:, 3]
    distances = torch.stack(
        [position[:, None] - segments[:, None, :, 0], segments[:, None, :, 1] - position[:, None]], dim=-1
    )  # (B, P, N, 2)
    allowed = _inside(points, segments, distances, radius) & real[:, None]
    length = (segments[..., 1] - segments[..., 0])[:, None]  # (B, 1, N)
    cost = torch.where(allowed, length, torch.inf)  # (B, P, N)
    shortest = cost.amin(-1, keepdim=True)
    # the smallest index among equals: argmin promises none
    order = torch.arange(cost.shape[-1], device=cost.device)
    winner = torch.where(cost == shortest, order, cost.shape[-1]).amin(-1)  # (B, P)
    near = allowed & (cost <= shortest + SIMILAR) if filter_similar_gt else allowed
    one_hot = F.one_hot(labels, num_classes).to(cost.dtype)  # (B, N, C)
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
