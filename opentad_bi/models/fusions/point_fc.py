"""A fully connected layer at every point."""

import torch
from torch import nn

from ...registry import MIXERS

# B batch, C channels, T_l points of level l


@MIXERS.register_module()
class PointFC(nn.Module):
    """The 2C values that both directions give at a point to C values, one layer per level, for windows of any length.

    It starts as the average of both directions.

    Args:
        outputs: channels of each output; C is their sum.
        lengths: points of each level in a window; only their number counts.
    """

    def __init__(self, outputs, lengths):
        super().__init__()
        channels = sum(outputs)
        self.levels = nn.ModuleList(nn.Conv1d(2 * channels, channels, 1) for _ in lengths)
        for layer in self.levels:
            nn.init.zeros_(layer.bias)
            with torch.no_grad():
                layer.weight.copy_((torch.eye(channels) / 2).repeat(1, 2)[..., None])

    def forward(self, own, other, masks):
        """Lists of (B, C, T_l) -> list of (B, C, T_l)"""
        return [layer(torch.cat(pair, dim=1)) for layer, *pair in zip(self.levels, own, other, strict=True)]
