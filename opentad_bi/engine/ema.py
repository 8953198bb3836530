"""Averages of the weights over the course of training."""

import copy

import torch
from torch import nn

from ..registry import EMAS


@EMAS.register_module()
class ExponentialMovingAverage:
    """shadow <- decay * shadow + (1 - decay) * live, after every iteration, for parameters and float buffers.

    Frozen parameters, and buffers that are no part of the state dict (masks, tables of positions), are shared with the
    live model: they do not change, and an average of masks with infinities in them would be NaN.

    Args:
        model: the live model, on its device, frozen parameters marked by `requires_grad=False`.
        decay: share of the former average.
    """

    def __init__(self, model, decay=0.999):
        if not 0 <= decay < 1:
            raise ValueError(f"EMA decay {decay} must be in [0, 1)")
        shared = {id(p): p for p in model.parameters() if not p.requires_grad}
        saved = set(model.state_dict())
        shared |= {id(buffer): buffer for name, buffer in model.named_buffers() if name not in saved}
        self.module = copy.deepcopy(model, shared).eval()
        self.decay = decay
        self._pairs = []
        for shadow, live in zip(self.module.parameters(), model.parameters(), strict=True):
            if live.requires_grad:
                shadow.requires_grad_(False)
                self._pairs.append((shadow, live))
        buffers = zip(self.module.buffers(), model.buffers(), strict=True)
        self._pairs += [(shadow, live) for shadow, live in buffers if shadow is not live]

    @torch.no_grad()
    def update(self):
        """Move the average one step towards the live weights."""
        floats = [(s, m) for s, m in self._pairs if s.is_floating_point() and s.shape == m.shape]
        if floats:
            shadows, lives = zip(*floats, strict=True)
            torch._foreach_lerp_(list(shadows), list(lives), 1 - self.decay)
        for shadow, live in self._pairs:
            if not shadow.is_floating_point():
                shadow.copy_(live)


@EMAS.register_module()
class NoAverage:
    """No average: evaluation uses the live weights."""

    def __init__(self, model):
        self.module: nn.Module = model

    def update(self):
        """Nothing to do: the live model is the average."""
