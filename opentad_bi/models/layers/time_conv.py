"""Convolution along time that keeps channels last in memory."""

import torch
import torch.nn.functional as F
from torch import nn

from .cpu_conv import same_conv

# B batch, C channels, T time


def channels_last(x):
    """The same sequence with its channels side by side in memory.  (B, C, T) -> (B, C, T)"""
    return x.transpose(1, 2).contiguous().transpose(1, 2)


class TimeConv(nn.Conv1d):
    """`nn.Conv1d` with a centred kernel, computed in the memory layout of its input; channels-last is fast.

    In that layout normalisation over channels, attention heads and depth-wise kernels read memory in order.
    """

    def __init__(self, in_channels, out_channels, kernel_size, *, stride=1, groups=1, bias=True):
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            groups=groups,
            bias=bias,
        )
        self.dense = stride == 1 and groups == 1 and kernel_size % 2 == 1

    def forward(self, x):
        """(B, C, T) -> (B, C', T')"""
        if self.dense and _plain_cpu(x):
            return same_conv(x, self.weight, self.bias)
        if self.dense and self.kernel_size == (1,):
            return F.linear(x.transpose(1, 2), self.weight.squeeze(2), self.bias).transpose(1, 2)
        stride, padding = (1, *self.stride), (0, *self.padding)
        x = F.conv2d(x.unsqueeze(2), self.weight.unsqueeze(2), self.bias, stride, padding, groups=self.groups)
        return x.squeeze(2)


def _plain_cpu(x):
    return x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
