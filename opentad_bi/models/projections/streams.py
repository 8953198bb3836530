"""Several feature streams, each brought to its own width."""

import torch
from torch import nn

from ..layers.conv_unit import EPS, ConvUnit

# B batch, T time


class Streams(nn.ModuleList):
    """One point-wise convolution unit per stream; the streams lie one after another in the channels.

    Args:
        in_channels, out_channels: widths of every stream before and after.
        norm: normalise each stream over its channels.
        eps: of the normalisation.
    """

    def __init__(self, in_channels, out_channels, *, norm=True, eps=EPS):
        pairs = zip(in_channels, out_channels, strict=True)
        super().__init__(ConvUnit(n_in, n_out, kernel_size=1, norm=norm, eps=eps) for n_in, n_out in pairs)
        self.widths = list(in_channels)

    def forward(self, x, mask):
        """(B, sum(in_channels), T), (B, T) bool -> (B, sum(out_channels), T)"""
        parts = zip(self, x.split(self.widths, dim=1), strict=True)
        return torch.cat([unit(part, mask)[0] for unit, part in parts], dim=1)
