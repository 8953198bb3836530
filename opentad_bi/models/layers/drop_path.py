"""A residual branch with learned channel scales that is skipped at random in training."""

import torch
from torch import nn

# B batch, C channels, T time


class ScaledDropPath(nn.Module):
    """Scale channels, then drop whole samples (stochastic depth: Huang et al., ECCV 2016).

    Args:
        channels: C.
        drop_prob: chance that a sample's branch is dropped in training; survivors are scaled up to keep the mean.
        init_scale: first value of every channel's scale.
    """

    def __init__(self, channels, drop_prob, init_scale=1e-4):
        super().__init__()
        self.scale = nn.Parameter(torch.full((1, channels, 1), init_scale))
        self.drop_prob = drop_prob

    def forward(self, x):
        """(B, C, T) -> (B, C, T)"""
        x = x * self.scale
        if not self.training or self.drop_prob == 0:
            return x
        keep = 1 - self.drop_prob
        return x * (x.new_empty(len(x), 1, 1).bernoulli_(keep) / keep)
