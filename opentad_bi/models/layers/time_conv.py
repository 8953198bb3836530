"""Convolution along time that keeps channels last in memory."""

import torch.nn.functional as F
from torch import nn

# B batch, C channels, T time


def channels_last(x):
    """The same sequence with its channels side by side in memory.  (B, C, T) -> (B, C, T)"""
    return x.transpose(1, 2).contiguous().transpose(1, 2)


class TimeConv(nn.Conv1d):
    """`nn.Conv1d` computed in the memory layout of its input; fast where that is channels-last.

    In that layout normalisation over channels, attention heads and depth-wise kernels read memory in order.
    """

    def forward(self, x):
        """(B, C, T) -> (B, C', T')"""
        if self.kernel_size == (1,) and self.stride == (1,) and self.groups == 1:
            return self._pointwise(x)
        weight = self.weight.unsqueeze(2)
        stride, padding, dilation = (1, *self.stride), (0, *self.padding), (1, *self.dilation)
        return F.conv2d(x.unsqueeze(2), weight, self.bias, stride, padding, dilation, self.groups).squeeze(2)

    def _pointwise(self, x):
        if x.device.type != "cpu":
            return F.linear(x.transpose(1, 2), self.weight.squeeze(2), self.bias).transpose(1, 2)
        # Dilation means nothing to one tap, but with it torch takes oneDNN on a single thread as well,
        # twice as fast there as the plain matrix product (measured with AVX-512).
        weight = self.weight.unsqueeze(2)
        return F.conv2d(x.unsqueeze(2), weight, self.bias, dilation=(1, 2)).squeeze(2)
