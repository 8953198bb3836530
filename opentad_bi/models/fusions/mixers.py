"""What mixes realigned maps of both directions; each starts as their exact average.

The reversal of whole arrays, as the first 3-x experiments had it: kept to measure what it costs.

The mean of both directions, with nothing to learn.

A fully connected layer along time.

A convolution over both directions, time and classes.

The smallest mixer that learns.

A fully connected layer at every point.
"""

import torch
from torch import nn

from ...ops.records import Prediction
from ...registry import MIXERS


def flip(prediction):
    """Maps in reversed order of points, start and end distances swapped, padding and lattice not heeded."""
    return Prediction(
        cls=[x.flip(2) for x in prediction.cls],
        reg=[x.flip(1, 2) for x in prediction.reg],
        masks=prediction.masks,
        points=prediction.points,
    )


@MIXERS.register_module()
class ClassMean(nn.Module):
    """Average the maps of both directions (3-3 has it for class logits)."""

    def forward(self, own, other, masks):
        """Lists of (B, C, T_l) -> list of (B, C, T_l)"""
        return [(a + b) / 2 for a, b in zip(own, other, strict=True)]


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
