"""Samples to batches."""

import torch
from torch.nn.functional import pad

# B batch, T grid positions, C channels


def collate(samples):
    """Stack `masks` and any `inputs`, keep the rest as lists; features of different lengths are padded with zeros.

    Args:
        samples: list of B dicts with the same keys.
    Raises:
        ValueError: features with different numbers of channels; names a video of each.
    """
    if "inputs" in samples[0] and samples[0]["inputs"].ndim == 2:
        samples = _same_length(samples)
    batch = {key: [sample[key] for sample in samples] for key in samples[0]}
    return batch | {key: torch.stack(batch[key]) for key in ("inputs", "masks") if key in batch}


def collate_pairs(samples):
    """Collate each direction of B paired samples: {"for": batch} or {"for": batch, "back": batch}."""
    return {direction: collate([sample[direction] for sample in samples]) for direction in samples[0]}


def _same_length(samples):
    """Features (C, T) and masks (T,) padded to the longest T; ValueError for features of several C."""
    channels = {len(sample["inputs"]): sample for sample in samples}
    if len(channels) > 1:
        named = (f"{getattr(sample.get('meta'), 'video', '?')!r} {count}" for count, sample in channels.items())
        raise ValueError(f"features of one batch have different numbers of channels: {', '.join(named)}")
    longest = max(sample["inputs"].shape[1] for sample in samples)
    return [
        sample | {key: pad(sample[key], (0, longest - sample[key].shape[-1])) for key in ("inputs", "masks")}
        for sample in samples
    ]
