"""Batches of clips, or of the features of their frames.

B batch, V views, T frames of a view, K classes, S side, E width
"""

import torch
from torch.nn.functional import pad
from torch.utils.data import default_collate

from ..ops.records import UnitMetas


def collate(samples):
    """Make a batch of B samples.

    Args:
        samples: dicts of `inputs` (V, T, 3, S, S) uint8 or (V, T, E) float32, `label`, `meta`, and, where clips are
            mixed, `target` (K,) float32.
    Returns:
        dict of `inputs` (B, V, T, ...), `labels` int64 (B,), `meta` (UnitMetas), `targets` float32 (B, K) of mixed
        clips, and `masks` bool (B, V, T) if samples differ in T: frames of zeros are filled in at the end.
    Raises:
        ValueError: samples of different views or sizes.
    """
    inputs, metas = [sample["inputs"] for sample in samples], [sample["meta"] for sample in samples]
    shapes = {(*x.shape[:1], *x.shape[2:]) for x in inputs}
    if len(shapes) > 1:
        raise ValueError(
            "clips of different views or sizes cannot be in one batch: "
            + ", ".join(f"{meta.video} {tuple(x.shape)}" for meta, x in zip(metas, inputs, strict=True))
        )
    lengths = torch.tensor([x.shape[1] for x in inputs])
    longest = int(lengths.max())
    batch = {
        # in a loader's worker the batch is made in shared memory, so that it is not copied once more
        "inputs": default_collate([_filled(x, longest) for x in inputs]),
        "labels": torch.tensor([sample["label"] for sample in samples]),
        "meta": UnitMetas([m.video for m in metas], [m.start for m in metas], [m.rows for m in metas]),
    }
    if "target" in samples[0]:
        batch["targets"] = torch.stack([sample["target"] for sample in samples])
    if (lengths != longest).any():
        masks = torch.arange(longest) < lengths[:, None]
        batch["masks"] = masks[:, None].repeat(1, inputs[0].shape[0], 1)
    return batch


def _filled(x, length):
    """(V, T, ...) -> (V, length, ...)"""
    lacking = length - x.shape[1]
    return pad(x, [0, 0] * (x.ndim - 2) + [0, lacking]) if lacking else x
