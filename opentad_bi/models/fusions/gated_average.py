"""The smallest mixer that learns."""

import torch
from torch import nn

from ...registry import MIXERS

# B batch, C channels, L levels, Q outputs (quantities such as start distance), T_l points of level l


@MIXERS.register_module()
class GatedAverage(nn.Module):
    """A weighted mean of both directions with one learned weight per direction, level and output.

    The two weights of a level and output are a softmax over the directions, so they sum to one.

    Args:
        outputs: channels of each output.
        lengths: points of each level in a window; only their number counts.
    """

    def __init__(self, outputs, lengths):
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(2, len(lengths), len(outputs)))
        self.register_buffer(
            "output_of_channel", torch.arange(len(outputs)).repeat_interleave(torch.tensor(outputs)), persistent=False
        )

    def forward(self, own, other, masks):
        """Lists of (B, C, T_l) -> list of (B, C, T_l)"""
        weights = self.gate.softmax(dim=0)[..., self.output_of_channel, None]  # (2, L, C, 1)
        return [mine * a + theirs * b for mine, theirs, a, b in zip(*weights, own, other, strict=True)]
