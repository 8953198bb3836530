"""Norm over channels, a learned factor, and residual branches that are skipped at random.

B batch, C channels, T time
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelNorm(nn.LayerNorm):
    """Normalise every position over its channels."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)"""
        x = F.layer_norm(x.transpose(1, 2), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.transpose(1, 2)


class Scale(nn.Module):
    """Multiply by a learned scalar that starts at 1."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        """(...) -> (...)"""
        return x * self.scale


class ScaledDropPath(nn.Module):
    """Scale channels, then drop whole samples (stochastic depth: Huang et al., ECCV 2016).

    Args:
        channels: C.
        drop_prob: chance that a sample's branch is dropped in training; survivors are scaled up to keep the mean.
        init_scale: first value of every channel's scale.
    """

    def __init__(self, channels: int, drop_prob: float, init_scale: float = 1e-4) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1, channels, 1), init_scale))
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)"""
        x = x * self.scale
        if not self.training or self.drop_prob == 0:
            return x
        keep = 1 - self.drop_prob
        return x * (x.new_empty(len(x), 1, 1).bernoulli_(keep) / keep)
