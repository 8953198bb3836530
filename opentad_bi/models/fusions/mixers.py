"""What mixes realigned maps of both directions. Each mixer starts as their exact average, so that the first step of a
fusion is the plain ensemble.

B batch, C channels, K classes, L levels, T_l points of level l
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...registry import MIXERS
from ...utils.validation import check_choice

STARTS = ("average", "random")


@MIXERS.register_module()
class ClassMean(nn.Module):
    """Average the maps of both directions (3-3 has it for class logits)."""

    def forward(self, own: list[Tensor], other: list[Tensor], masks: list[Tensor]) -> list[Tensor]:
        """Lists of (B, C, T_l) -> list of (B, C, T_l)"""
        return [(a + b) / 2 for a, b in zip(own, other, strict=True)]


@MIXERS.register_module()
class TimeFC(nn.Module):
    """The 2 T_l values of a channel, both directions one behind the other, to T_l values; the same for every channel.

    It is tied to windows of one length; `PointFC` takes any.

    Args:
        lengths: T_l of each level in a window.
        window: grid positions of a window, for messages.
        joined: one layer 2 sum(T_l) -> sum(T_l) over all levels at once, as experiment 3-1 is written, instead of one
            per level. It mixes distances in strides of different lengths.
        start: "average" of both directions, or "random" as the layer comes, which destroys what trained detectors
            found (kept to measure that).
    """

    def __init__(self, lengths: Sequence[int], window: int, *, joined: bool = False, start: str = "average") -> None:
        super().__init__()
        self.lengths, self.window, self.joined = list(lengths), window, joined
        sizes = [sum(lengths)] if joined else lengths
        self.layers = nn.ModuleList(nn.Linear(2 * size, size) for size in sizes)
        if check_choice("start", start, STARTS) == "average":
            for layer in self.layers:
                _start_as_average(layer)

    def forward(self, own: list[Tensor], other: list[Tensor], masks: list[Tensor]) -> list[Tensor]:
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


@MIXERS.register_module()
class ClassConv3d(nn.Module):
    """Kernel (2, 3, 3) over (directions, time, classes), padding (0, 1, 1), stride 1: (2, T_l, K) -> (T_l, K).

    One kernel for all levels.

    Args:
        start: "average" of both directions, or "random", see `TimeFC`.
    """

    def __init__(self, start: str = "average") -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 1, kernel_size=(2, 3, 3), padding=(0, 1, 1))
        if check_choice("start", start, STARTS) == "average":
            weight, bias = self.conv.parameters()
            with torch.no_grad():
                weight.zero_()[..., 1, 1] = 0.5
                bias.zero_()

    def forward(self, own: list[Tensor], other: list[Tensor], masks: list[Tensor]) -> list[Tensor]:
        """Lists of (B, K, T_l) -> list of (B, K, T_l)"""
        return [self._mix(*pair) for pair in zip(own, other, strict=True)]

    def _mix(self, own, other):
        stacked = torch.stack([own, other], dim=1).transpose(2, 3)  # (B, 2, T_l, K)
        return self.conv(stacked[:, None])[:, 0, 0].transpose(1, 2)


@MIXERS.register_module()
class GatedAverage(nn.Module):
    """A weighted mean of both directions with one learned weight per direction, level and output.

    The two weights of a level and output are a softmax over the directions, so they sum to one.

    Args:
        outputs: channels of each output.
        lengths: points of each level in a window; only their number counts.
    """

    output_of_channel: Tensor

    def __init__(self, outputs: Sequence[int], lengths: Sequence[int]) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(2, len(lengths), len(outputs)))
        self.register_buffer(
            "output_of_channel", torch.arange(len(outputs)).repeat_interleave(torch.tensor(outputs)), persistent=False
        )

    def forward(self, own: list[Tensor], other: list[Tensor], masks: list[Tensor]) -> list[Tensor]:
        """Lists of (B, C, T_l) -> list of (B, C, T_l)"""
        weights = self.gate.softmax(dim=0)[..., self.output_of_channel, None]  # (2, L, C, 1)
        return [mine * a + theirs * b for mine, theirs, a, b in zip(*weights, own, other, strict=True)]


@MIXERS.register_module()
class PointFC(nn.Module):
    """The 2C values that both directions give at a point to C values, one layer per level, for windows of any length.

    It starts as the average of both directions.

    Args:
        outputs: channels of each output; C is their sum.
        lengths: points of each level in a window; only their number counts.
    """

    def __init__(self, outputs: Sequence[int], lengths: Sequence[int]) -> None:
        super().__init__()
        channels = sum(outputs)
        self.levels = nn.ModuleList(nn.Conv1d(2 * channels, channels, 1) for _ in lengths)
        for layer in self.levels:
            _start_as_average(layer)

    def forward(self, own: list[Tensor], other: list[Tensor], masks: list[Tensor]) -> list[Tensor]:
        """Lists of (B, C, T_l) -> list of (B, C, T_l)"""
        return [layer(torch.cat(pair, dim=1)) for layer, *pair in zip(self.levels, own, other, strict=True)]


@torch.no_grad()
def _start_as_average(layer: nn.Module) -> None:
    """Make a linear layer, or a convolution of one tap, (2n -> n) the mean of the two halves of its input."""
    weight, bias = layer.parameters()
    weight.copy_((torch.eye(len(weight)) / 2).repeat(1, 2).view_as(weight))
    bias.zero_()
