"""Samples and batches of features.

B batch, U rows of a unit, D width
"""

import numpy as np
import torch
from torch.utils.data import get_worker_info

from ..ops.records import UnitMeta, UnitMetas

_BY_VALUE = 1 << 20  # bytes; below, copying through a pipe is quicker than passing shared memory for every tensor


class FeatureSample(tuple):
    """(features (U, D) float32, label, video) that also knows its `meta` (UnitMeta) and `weight` (float or None)."""

    def __new__(cls, features, label, video, *, meta=None, weight=None):
        sample = super().__new__(cls, (features, label, video))
        sample.meta, sample.weight = meta or UnitMeta(video, 0, len(features)), weight
        return sample

    def __reduce__(self):
        return _sample, (*self, self.meta, self.weight)


def _sample(features, label, video, meta, weight):
    return FeatureSample(features, label, video, meta=meta, weight=weight)


class FeatureBatch(dict):
    """A batch that is cheap to send from a loader's worker: below a megabyte it travels by value, as plain bytes.

    "inputs" float32 (B, U, D), "labels" int64 (B,), "meta" UnitMetas, "weights" float32 (B,) if there are any.

    Args:
        source: array that the inputs were made of, of half the bytes perhaps; sent in their place by `pack`.
    """

    def __init__(self, *args, source=None, **items):
        super().__init__(*args, **items)
        self.source, self.packed = source, None

    def __copy__(self):
        return FeatureBatch(self)

    def __reduce__(self):
        if self["inputs"].nbytes > _BY_VALUE:
            return FeatureBatch, (dict(self),)
        return _unpack, self.packed or self._pack(self["inputs"].numpy())

    def pack(self):
        """Fix what is sent, in the thread that made the batch: for the one that sends it, it takes longer."""
        if self["inputs"].nbytes <= _BY_VALUE:
            self.packed = self._pack(self["inputs"].numpy() if self.source is None else self.source)
        return self

    def _pack(self, inputs):
        weights = self["weights"].tolist() if "weights" in self else None
        return inputs.tobytes(), inputs.dtype.str, inputs.shape, self["labels"].tolist(), self["meta"], weights


def _unpack(data, dtype, shape, labels, meta, weights):
    """The batch of what `FeatureBatch` sent."""
    numbers = np.frombuffer(data, dtype).astype(np.float32).reshape(shape)
    batch = FeatureBatch(inputs=torch.from_numpy(numbers), labels=torch.tensor(labels), meta=meta)
    if weights is not None:
        batch["weights"] = torch.tensor(weights)
    return batch


def collate(samples):
    """Make a batch of a list of B samples; a batch passes through."""
    if isinstance(samples, FeatureBatch):
        return samples.pack() if get_worker_info() else samples
    samples = [s if isinstance(s, FeatureSample) else FeatureSample(*s) for s in samples]
    metas = [sample.meta for sample in samples]
    batch = FeatureBatch(
        inputs=torch.stack([sample[0] for sample in samples]),
        labels=torch.tensor([sample[1] for sample in samples]),
        meta=UnitMetas([m.video for m in metas], [m.start for m in metas], [m.rows for m in metas]),
    )
    if samples[0].weight is not None:
        batch["weights"] = torch.tensor([sample.weight for sample in samples])
    return batch
