"""Reverse geometry: the one place where forward time becomes backward time.

A window has V valid grid positions, a prefix of its T. Position p mirrors to V - 1 - p and a segment [s, e] to
[V - 1 - e, V - 1 - s]: points sit on integers, hence the -1. Only the valid part is reversed; padding stays at the
end. All functions are free of host-device synchronisation.
"""

import torch

# B batch, N segments, T grid positions, T' = T * frames per position


def mirror_segments(segments, length):
    """Mirror segments in a window of `length` valid positions, rows in the order given.

    Args:
        segments: (..., 2) start and end on the grid.
        length: V, a number or a 0-d tensor.
    Returns:
        (..., 2): [V - 1 - end, V - 1 - start].
    """
    return (length - 1) - segments.flip(-1)


def reverse_time(x, lengths, *, dim, pad="edge"):
    """Reverse the first `lengths[b]` entries of sample b along `dim`.

    Args:
        x: (B, ...) tensor.
        lengths: (B,) int64 valid lengths along `dim`, on the device of `x`.
        dim: the time axis of `x`, counted with the batch axis.
        pad: what stands after the valid part: "edge" repeats the reversed sample's last valid entry (the first of
            the original), as frames are padded; "keep" leaves the former padding, as zero-padded features need.
    Returns:
        a new tensor like `x`.
    """
    if pad not in ("edge", "keep"):
        raise ValueError(f"pad {pad!r} is not one of 'edge', 'keep'")
    position = torch.arange(x.shape[dim], device=x.device)
    mirrored = lengths[:, None] - 1 - position  # (B, T'), negative in the padding
    source = mirrored.clamp(min=0) if pad == "edge" else torch.where(mirrored >= 0, mirrored, position)
    return torch.stack([sample.index_select(dim - 1, index) for sample, index in zip(x, source, strict=True)])


def reverse_ground_truth(segments, labels, length):
    """Ground truth of the reversed window: segments mirrored, order of actions reversed.  (N, 2), (N,) -> the same."""
    return mirror_segments(segments, length).flip(0), labels.flip(0)


def reverse_batch(batch):
    """The batch of the reversed windows.

    Args:
        batch: dict with `inputs` (B, 3, T', H, W) uint8 frames, (B, 1, 3, T', H, W) or (B, C, T) features; `masks`
            (B, T) bool, prefix-shaped; optionally lists `gt_segments` of (N, 2) and `gt_labels` of (N,); the rest
            is passed on.
    Returns:
        a new dict of the same layout. `meta` still describes the window in forward time.
    """
    lengths = batch["masks"].sum(dim=1)
    inputs = batch["inputs"]
    features = inputs.ndim == 3
    dim = 2 if features else inputs.ndim - 3
    per_position = inputs.shape[dim] // batch["masks"].shape[1]
    reversed_batch = dict(batch)
    reversed_batch["inputs"] = reverse_time(inputs, lengths * per_position, dim=dim, pad="keep" if features else "edge")
    if "gt_segments" in batch:
        pairs = [
            reverse_ground_truth(segments, labels, length)
            for segments, labels, length in zip(batch["gt_segments"], batch["gt_labels"], lengths, strict=True)
        ]
        reversed_batch["gt_segments"] = [segments for segments, _ in pairs]
        reversed_batch["gt_labels"] = [labels for _, labels in pairs]
    return reversed_batch


def reverse_sample(sample):
    """The reversed window of one sample (the layout of `reverse_batch` without the batch axis)."""
    batch = {key: [value] for key, value in sample.items()}
    batch["inputs"] = sample["inputs"][None]
    batch["masks"] = sample["masks"][None]
    return {key: value[0] for key, value in reverse_batch(batch).items()}
