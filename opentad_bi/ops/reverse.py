"""Reverse geometry: the one place where forward time becomes backward time.

A window has V valid grid positions, a prefix of its T. Position p mirrors to V - 1 - p and a segment [s, e] to
[V - 1 - e, V - 1 - s]: points sit on integers, hence the -1. Only the valid part is reversed; padding stays at the
end. All functions are free of host-device synchronisation.

The points of a level with stride s are not mirror-symmetric: a point at p mirrors to V - 1 - p, which is in general no
point. So raw maps of the reversed window are not flipped but realigned: every point takes what the nearest point of the
reversed window says, with its distances counted from where the point itself stands.
"""

import torch
from torch import Tensor

from .records import Prediction

# B batch, C classes, N segments, T grid positions, T' = T * frames per position, T_l points of level l


def mirror_segments(segments: Tensor, length: int | Tensor) -> Tensor:
    """Mirror segments in a window of `length` valid positions, rows in the order given.

    Args:
        segments: (..., 2) start and end on the grid.
        length: V, a number or a 0-d tensor.
    Returns:
        (..., 2): [V - 1 - end, V - 1 - start].
    """
    return (length - 1) - segments.flip(-1)


def reverse_time(x: Tensor, lengths: Tensor, *, dim: int, pad: str = "edge") -> Tensor:
    """Reverse the first `lengths[b]` entries of sample b along `dim`.  Returns a new tensor like `x`.

    Args:
        x: (B, ...) tensor.
        lengths: (B,) int64 valid lengths along `dim`, on the device of `x`.
        dim: the time axis of `x`, counted with the batch axis.
        pad: what stands after the valid part: "edge" repeats the reversed sample's last valid entry (the first of
            the original), as frames are padded; "keep" leaves the earlier padding, as zero-padded features need.
    """
    if pad not in ("edge", "keep"):
        raise ValueError(f"pad {pad!r} is not one of 'edge', 'keep'")
    position = torch.arange(x.shape[dim], device=x.device)
    mirrored = lengths[:, None] - 1 - position  # (B, T'), negative in the padding
    source = mirrored.clamp(min=0) if pad == "edge" else torch.where(mirrored >= 0, mirrored, position)
    return torch.stack([sample.index_select(dim - 1, index) for sample, index in zip(x, source, strict=True)])


def reverse_ground_truth(segments: Tensor, labels: Tensor, length: int | Tensor) -> tuple[Tensor, Tensor]:
    """Ground truth of the reversed window: segments mirrored, order of actions reversed.  (N, 2), (N,) -> the same."""
    return mirror_segments(segments, length).flip(0), labels.flip(0)


def reverse_batch(batch: dict) -> dict:
    """The batch of the reversed windows.

    Args:
        batch: dict with `masks` (B, T) bool, prefix-shaped; optionally `inputs` (B, 3, T', H, W) uint8 frames,
            (B, 1, 3, T', H, W) or (B, C, T) features, and lists `gt_segments` of (N, 2) and `gt_labels` of (N,);
            the rest is passed on.
    Returns:
        a new dict of the same layout. `meta` still describes the window in forward time.
    """
    lengths = batch["masks"].sum(dim=1)
    reversed_batch = dict(batch)
    if "inputs" in batch:
        inputs = batch["inputs"]
        features = inputs.ndim == 3
        dim = 2 if features else inputs.ndim - 3
        frames = lengths * (inputs.shape[dim] // batch["masks"].shape[1])
        reversed_batch["inputs"] = reverse_time(inputs, frames, dim=dim, pad="keep" if features else "edge")
    if "gt_segments" in batch:
        pairs = [
            reverse_ground_truth(segments, labels, length)
            for segments, labels, length in zip(batch["gt_segments"], batch["gt_labels"], lengths, strict=True)
        ]
        reversed_batch["gt_segments"] = [segments for segments, _ in pairs]
        reversed_batch["gt_labels"] = [labels for _, labels in pairs]
    return reversed_batch


def reverse_sample(sample: dict) -> dict:
    """The reversed window of one sample (the layout of `reverse_batch` without the batch axis)."""
    batch = {key: [value] for key, value in sample.items()}
    batch["inputs"] = sample["inputs"][None]
    batch["masks"] = sample["masks"][None]
    return {key: value[0] for key, value in reverse_batch(batch).items()}


def nearest_mirrored(points: Tensor, mask: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """For every point of a level, the nearest valid point of the reversed window and how far off it lies.

    Point i mirrors between two points of the reversed window, or beyond its last valid one: as i counts up the nearest
    one counts down, from a number that depends on V alone. Where two are equally near, those are taken with which all
    points and partners are each other's; else that holds for all but one point at an end, which mirrors to where no
    point is.

    Args:
        points: (T_l, 4) rows (position, range low, range high, stride), evenly spaced by the stride.
        mask: (B, T_l) bool, prefix-shaped.
        lengths: (B,) V of every sample.
    Returns:
        index (B, T_l) int64 of points in the reversed window; offset (B, T_l) float32 in strides: position of that
        point in forward time minus position of the own point.
    """
    position, first, stride = points[:, 0], points[0, 0], points[0, 3]
    last = lengths.to(position.dtype)[:, None] - 1
    final = mask.sum(dim=1, keepdim=True).clamp(min=1) - 1  # last valid point
    exact = (last - 2 * first) / stride  # partner of point 0, between two points
    low, high = (exact - 0.5).ceil().long(), (exact + 0.5).floor().long()  # they differ in a tie only
    start = torch.where(low == final, low, high)
    rows = torch.arange(len(points), device=points.device)
    index = (start - rows).clamp(min=0).minimum(final)
    return index, (last - position[index] - position) / stride


def realign(prediction: Prediction, lengths: Tensor) -> Prediction:
    """The prediction for the reversed window, given at the points of the forward one (or the other way round).

    Distances (start, end) from a point of the reversed window become (end - offset, start + offset) from its partner,
    in strides: the decoded segment is the mirrored one, exactly. Distances can come out negative, of a segment that
    does not hold its new point. Padded points
    hold copies of valid ones.

    Args:
        prediction: Prediction of the reversed window.
        lengths: (B,) V of every sample, on the device of the maps.
    Returns:
        a new Prediction with the masks and points given; differentiable in `cls` and `reg`.
    """
    cls, reg = [], []
    for c, r, mask, points in zip(prediction.cls, prediction.reg, prediction.masks, prediction.points, strict=True):
        index, offset = nearest_mirrored(points, mask, lengths)
        index = index[:, None]
        cls.append(c.gather(2, index.expand(-1, c.shape[1], -1)))
        swapped = r.flip(1).gather(2, index.expand(-1, 2, -1))
        reg.append(swapped + torch.stack([-offset, offset], dim=1))
    return Prediction(cls=cls, reg=reg, masks=prediction.masks, points=prediction.points)
