"""Attention of a learned query over time."""

import torch
from torch import nn

from ...registry import POOLINGS
from .mean import MeanPooling

# B batch, T time steps, D width


@POOLINGS.register_module()
class AttentionPooling(nn.Module):
    """Multi-head attention of one learned query over the steps.

    With random weights it turns features away from the joint space, so a network on top of frozen features starts
    from nothing; `residual` starts as the mean.

    Args:
        width: D.
        heads: number of heads.
        residual: give mean + g * attention with a learned g that starts at 0.
    """

    def __init__(self, width, heads=1, residual=False):
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, width))
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.gain = nn.Parameter(torch.zeros(())) if residual else None
        self.mean = MeanPooling()

    def forward(self, features, mask=None):
        """(B, T, D), (B, T) bool or None -> (B, D)"""
        padding = None if mask is None else ~mask
        query = self.query.expand(len(features), -1, -1).to(features.dtype)
        found = self.attention(query, features, features, key_padding_mask=padding, need_weights=False)[0].squeeze(1)
        return found if self.gain is None else self.mean(features, mask) + self.gain * found
