"""A convolution over both directions, time and classes."""

import torch
from torch import nn

from ...registry import MIXERS
from .time_fc import start_from

# B batch, K classes, T_l points of level l


@MIXERS.register_module()
class ClassConv3d(nn.Module):
    """Kernel (2, 3, 3) over (directions, time, classes), padding (0, 1, 1), stride 1: (2, T_l, K) -> (T_l, K).

    One kernel for all levels.

    Args:
        start: "average" of both directions, or "random", see `TimeFC`.
    """

    def __init__(self, start="average"):
        super().__init__()
        self.conv = nn.Conv3d(1, 1, kernel_size=(2, 3, 3), padding=(0, 1, 1))
        if start_from(start) == "average":
            with torch.no_grad():
                self.conv.weight.zero_()[..., 1, 1] = 0.5
                self.conv.bias.zero_()

    def forward(self, own, other, masks):
        """Lists of (B, K, T_l) -> list of (B, K, T_l)"""
        return [self._mix(*pair) for pair in zip(own, other, strict=True)]

    def _mix(self, own, other):
        stacked = torch.stack([own, other], dim=1).transpose(2, 3)  # (B, 2, T_l, K)
        return self.conv(stacked[:, None])[:, 0, 0].transpose(1, 2)
