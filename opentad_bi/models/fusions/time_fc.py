"""A fully connected layer along time."""

import torch
from torch import nn

from ...registry import MIXERS

# B batch, C channels, T_l points of level l, P points of all levels

STARTS = ("average", "random")


@MIXERS.register_module()
class TimeFC(nn.Module):
    """The 2 T_l values of a channel, both directions one behind the other, to T_l values; the same for every channel.

    It is tied to windows of one length; `PointFC` takes any.

    Args:
        lengths: T_l of each level in a window.
        window: grid positions of a window, for messages.
        joined: one layer 2P -> P over all levels at once, as experiment 3-1 is written, instead of one per level.
            It mixes distances in strides of different lengths.
        start: "average" of both directions, or "random" as the layer comes, which destroys what trained detectors
            say (kept to measure that).
    """

    def __init__(self, lengths, window, *, joined=False, start="average"):
        super().__init__()
        self.lengths, self.window, self.joined = list(lengths), window, joined
        sizes = [sum(lengths)] if joined else lengths
        self.layers = nn.ModuleList(nn.Linear(2 * size, size) for size in sizes)
        if start_from(start) == "average":
            for layer in self.layers:
                start_as_average(layer)

    def forward(self, own, other, masks):
        """Lists of (B, C, T_l) -> list of (B, C, T_l)

        Raises:
            ValueError: a window of another length than this was built for.
        """
        lengths = [x.shape[2] for x in own]
        if lengths != self.lengths:
            raise ValueError(
                f"TimeFC was built for windows of {self.window} positions (levels of {self.lengths}), but got levels "
                f"of {lengths}; evaluate in windows of that length, without minimal_padding, or use PointFC, "
                "which takes any"
            )
        if self.joined:
            own, other = ([torch.cat(maps, dim=2)] for maps in (own, other))
        mixed = [layer(torch.cat(pair, dim=2)) for layer, *pair in zip(self.layers, own, other, strict=True)]
        return list(mixed[0].split(lengths, dim=2)) if self.joined else mixed


def start_from(start):
    """`start`, one of STARTS; else a ValueError."""
    if start not in STARTS:
        raise ValueError(f"start {start!r} is not one of {', '.join(map(repr, STARTS))}")
    return start


@torch.no_grad()
def start_as_average(layer):
    """Make a linear layer (2n -> n) the mean of the two halves of its input."""
    layer.weight.copy_((torch.eye(layer.out_features) / 2).repeat(1, 2))
    layer.bias.zero_()
