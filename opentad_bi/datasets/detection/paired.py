"""Batches of windows, and windows of both directions: played forward, and played in reverse.

B batch, T grid positions, C channels
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import pad

from ...contracts import Dataset, sample_name
from ...ops.names import BACKWARD, FORWARD
from ...ops.reverse import reverse_sample
from ...registry import DATASETS
from ..transforms.compose import Sample


def collate(samples: list[Sample]) -> Sample:
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


def collate_pairs(samples: list[dict[str, Sample]]) -> dict[str, Sample]:
    """Collate each direction of B paired samples: {"for": batch} or {"for": batch, "back": batch}."""
    return {direction: collate([sample[direction] for sample in samples]) for direction in samples[0]}


def _same_length(samples):
    """Features (C, T) and masks (T,) padded to the longest T; ValueError for features of several C."""
    channels = {len(sample["inputs"]): sample for sample in samples}
    if len(channels) > 1:
        named = (f"{sample_name(sample.get('meta', '?'))!r} {count}" for count, sample in channels.items())
        raise ValueError(f"features of one batch have different numbers of channels: {', '.join(named)}")
    longest = max(sample["inputs"].shape[1] for sample in samples)
    return [
        sample | {key: pad(sample[key], (0, longest - sample[key].shape[-1])) for key in ("inputs", "masks")}
        for sample in samples
    ]


@DATASETS.register_module()
class PairedDataset(Dataset):
    """Samples {"for": sample, "back": sample} of one underlying dataset.

    Args:
        dataset: config of the dataset of the forward videos.
        source: "device": the backward sample is the forward one reversed; only "for" is given, and the model reverses
            the batch where it lies. "files": it is read from reversed video (or features) files: the same window, at
            the mirrored frame numbers, with the same random numbers of all transforms.
        back_data_path: for "files", the folder (or list of folders) of the reversed files, of the same names.
    """

    collate = staticmethod(collate_pairs)

    def __init__(
        self,
        dataset: Mapping[str, Any],
        source: str = "device",
        back_data_path: str | Path | Sequence[str | Path] | None = None,
    ) -> None:
        if source not in ("device", "files"):
            raise ValueError(f"source {source!r} is not one of 'device', 'files'")
        if (source == "files") != (back_data_path is not None):
            raise ValueError(
                f"source {source!r} with back_data_path {back_data_path!r}: 'files' needs it, 'device' not"
            )
        self.dataset = DATASETS.build(dataset)
        self._source = source
        self.back_data_path = back_data_path

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Sample]:
        index, seed = key if isinstance(key, tuple) else (key, key)
        sample = self.dataset.sample(index, seed, self.back_data_path)
        if self._source == "device" or "raw" in sample:  # kept predictions hold both directions
            return {FORWARD: sample}
        # frames (3, T', H, W) stand behind each other along time, features (C, T) along channels
        forward, backward = sample["inputs"].chunk(2, dim=1 if sample["inputs"].ndim == 4 else 0)
        return {FORWARD: sample | {"inputs": forward}, BACKWARD: reverse_sample(sample | {"inputs": backward})}
