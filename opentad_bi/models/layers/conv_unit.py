"""Convolution, normalisation and activation of a sequence with padding."""

import torch.nn.functional as F
from torch import nn

from .norm import ChannelNorm
from .time_conv import TimeConv

# B batch, C channels, T time, T' = ceil(T / stride)

EPS = 1e-6


class ConvUnit(nn.Module):
    """Masked convolution along time; what lies in the padding comes out as zero, but goes in as it is.

    Args:
        in_channels, out_channels, kernel_size, stride, groups: as for `nn.Conv1d`; kernels are odd and centred.
        norm: normalise over channels (the convolution then has no bias).
        act: apply ReLU at the end.
        bias: give the convolution a bias; never with `norm`.
        eps: of the normalisation.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        *,
        kernel_size=3,
        stride=1,
        groups=1,
        norm=True,
        act=True,
        bias=True,
        eps=EPS,
    ):
        super().__init__()
        self.conv = TimeConv(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            groups=groups,
            bias=bias and not norm,
        )
        self.norm = ChannelNorm(out_channels, eps=eps) if norm else None
        self.act = act

    def forward(self, x, mask):
        """(B, C, T), (B, T) bool -> (B, C', T'), (B, T') bool."""
        x = self.conv(x)
        mask = mask[:, :: self.conv.stride[0]]
        if self.norm is not None:
            x = self.norm(x)
        if self.act:
            x = F.relu(x)
        # normalisation acts on each position alone, so masking once, at the end, is enough
        return x * mask[:, None].to(x.dtype), mask
