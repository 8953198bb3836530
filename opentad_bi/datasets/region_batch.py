"""Batches of videos with captions and described regions.

B batch, T frames, S side, R regions of a video, K regions of the batch
"""

import torch
from torch.utils.data import default_collate

from ..ops.records import UnitMetas

COUNTED = ("outside", "missed", "moved", "short", "too_many")  # what `SampledRegions` counts


def collate(samples):
    """Make a batch of B samples of `RegionVideoDataset`.

    Returns:
        dict of `inputs` uint8 (B, T, 3, S, S), `valid` bool (B, T), `captions` (B texts), `boxes` float32 (K, T, 4),
        `box_mask` bool (K, T), `region_video` int64 (K,), places in the batch, `region_captions` (K texts),
        `region_negatives` (K tuples of texts), `labels` int64 (B,), `abnormal` bool (B,), `counts` ({name: 0-d float32,
        mean over the videos} of `COUNTED`) and `meta` (UnitMetas). K may be 0.
    """
    counts = torch.tensor([len(sample["region_captions"]) for sample in samples])
    metas = [sample["meta"] for sample in samples]
    return {
        # in a loader's worker the frames are stacked in shared memory, so that they are not copied once more
        "inputs": default_collate([sample["inputs"] for sample in samples]),
        "valid": torch.stack([sample["valid"] for sample in samples]),
        "captions": [sample["caption"] for sample in samples],
        "boxes": torch.cat([sample["boxes"] for sample in samples]),
        "box_mask": torch.cat([sample["box_mask"] for sample in samples]),
        "region_video": torch.repeat_interleave(torch.arange(len(samples)), counts),
        "region_captions": [text for sample in samples for text in sample["region_captions"]],
        "region_negatives": [texts for sample in samples for texts in sample["region_negatives"]],
        "labels": torch.tensor([sample["label"] for sample in samples]),
        "abnormal": torch.tensor([sample["abnormal"] for sample in samples]),
        "counts": {name: torch.tensor([float(s["counts"][name]) for s in samples]).mean() for name in COUNTED},
        "meta": UnitMetas([m.video for m in metas], [m.start for m in metas], [m.rows for m in metas]),
    }
