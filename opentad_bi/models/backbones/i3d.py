"""Inflated 3-D Inception network, the RGB stream (I3D: Carreira and Zisserman, CVPR 2017), and its released weights, as
the array file of the JAX port has them.

K clips, F frames of a clip, S frame size, C channels, t h w feature steps
"""

import re
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...contracts import Network
from ...registry import BACKBONES

# channels out of: branch 0 | branch 1 reduced, out | branch 2 reduced, out | branch 3
_MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
# max pooling (kernel, stride) in front of these layers
_POOLS = {
    "Conv3d_2b_1x1": ((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}
_ENTRIES = (
    (re.compile(r"^params/Logits/Conv3d_0c_1x1/Conv_0/kernel$"), "logits.weight"),
    (re.compile(r"^params/Logits/Conv3d_0c_1x1/Conv_0/bias$"), "logits.bias"),
    (re.compile(r"^params/(.+)/Conv_0/kernel$"), r"layers.\1.conv.weight"),
    (re.compile(r"^params/(.+)/BatchNorm_0/bias$"), r"layers.\1.bn.bias"),
    (re.compile(r"^batch_stats/(.+)/BatchNorm_0/mean$"), r"layers.\1.bn.running_mean"),
    (re.compile(r"^batch_stats/(.+)/BatchNorm_0/var$"), r"layers.\1.bn.running_var"),
)


@BACKBONES.register_module()
class I3D(Network, nn.Module):
    """Feature map of 1024 channels, one step per 8 frames and 32 pixels; fully convolutional, any length and size.

    Frames are RGB in [-1, 1] (mean and std 127.5 on the 0-255 scale); weights may be those of the array file.

    Args:
        num_classes: size of the classifier behind `classify`; None: there is none.
    """

    def __init__(self, num_classes: int | None = None) -> None:
        super().__init__()
        layers: dict[str, nn.Module] = {
            "Conv3d_1a_7x7": ConvUnit(3, 64, 7, 2),
            "Conv3d_2b_1x1": ConvUnit(64, 64),
            "Conv3d_2c_3x3": ConvUnit(64, 192, 3),
        }
        channels = 192
        for name, widths in _MIXED.items():
            layers[name] = Mixed(channels, widths)
            channels = widths[0] + widths[2] + widths[4] + widths[5]
        self.layers = nn.ModuleDict(layers)
        self.logits = nn.Linear(channels, num_classes) if num_classes else None

    def forward(self, clips: Tensor) -> Tensor:
        """(K, 3, F, S, S') float32 -> (K, 1024, ceil(F/8), ceil(S/32), ceil(S'/32))."""
        x = clips
        for name, layer in self.layers.items():
            if name in _POOLS:
                kernel, stride = _POOLS[name]
                x = F.max_pool3d(pad_same(x, kernel, stride, float("-inf")), kernel, stride)
            x = layer(x)
        return x

    def adapt_state_dict(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Bring weights from the published array file to this network's keys; others pass as they are.

        Raises:
            KeyError: an entry of another layout among those of the array file.
        """
        return convert_arrays(state) if any(name.startswith("params/") for name in state) else state

    def classify(self, clips: Tensor) -> Tensor:
        """Class logits, averaged over pairs of neighbouring steps.  (K, 3, F, S, S') -> (K, classes)"""
        if self.logits is None:
            raise ValueError("this I3D has no classifier: build it with num_classes")
        x = self(clips).mean((3, 4))
        x = F.avg_pool1d(x, min(2, x.shape[-1]), stride=1).mean(-1)
        return self.logits(x)


class ConvUnit(nn.Module):
    """Convolution with "same" padding, batch norm, ReLU."""

    def __init__(self, channels: int, out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels, out, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """(K, C, t, h, w) -> (K, C', t', h', w')."""
        x = self.conv(pad_same(x, self.conv.kernel_size, self.conv.stride))
        return F.relu(self.bn(x), inplace=True)


class Mixed(nn.Module):
    """Inception module: four branches over one input, joined along the channels."""

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        b0, b1_in, b1, b2_in, b2, b3 = widths
        self.Branch_0 = nn.ModuleDict({"Conv3d_0a_1x1": ConvUnit(channels, b0)})
        self.Branch_1 = nn.ModuleDict(
            {"Conv3d_0a_1x1": ConvUnit(channels, b1_in), "Conv3d_0b_3x3": ConvUnit(b1_in, b1, 3)}
        )
        self.Branch_2 = nn.ModuleDict(
            {"Conv3d_0a_1x1": ConvUnit(channels, b2_in), "Conv3d_0b_3x3": ConvUnit(b2_in, b2, 3)}
        )
        self.Branch_3 = nn.ModuleDict({"Conv3d_0b_1x1": ConvUnit(channels, b3)})

    def forward(self, x: Tensor) -> Tensor:
        """(K, C, t, h, w) -> (K, C', t, h, w)."""
        outputs = []
        for branch in (self.Branch_0, self.Branch_1, self.Branch_2, self.Branch_3):
            y = F.max_pool3d(x, 3, stride=1, padding=1) if branch is self.Branch_3 else x
            for unit in branch.values():
                y = unit(y)
            outputs.append(y)
        return torch.cat(outputs, dim=1)


def pad_same(x: Tensor, kernel: Sequence[int], stride: Sequence[int], value: float = 0.0) -> Tensor:
    """Pad (K, C, t, h, w) so that `ceil(size / stride)` windows fit; an odd surplus goes to the end."""
    pads: list[int] = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value) if any(pads) else x


def convert_arrays(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """{name in the array file, such as params/<unit>/Conv_0/kernel: tensor} to a state dict of `I3D`, float32.

    Kernels there are (t, h, w, in, out); the batch norms have no scale, which is a scale of 1.
    """
    state = {}
    for name, value in arrays.items():
        key = _own_key(name)
        state[key] = _own_value(key, value.float())
    for key in [key for key in state if key.endswith(".bn.bias")]:
        state[key.replace(".bn.bias", ".bn.weight")] = torch.ones_like(state[key])
        state[key.replace(".bn.bias", ".bn.num_batches_tracked")] = torch.tensor(0)
    return state


def _own_key(name):
    for pattern, replacement in _ENTRIES:
        if pattern.match(name):
            return pattern.sub(replacement, name).replace("/", ".")
    raise KeyError(f"I3D weights: entry {name!r} is not of an I3D array file (params/<unit>/Conv_0/kernel, ...)")


def _own_value(key, value):
    if key == "logits.weight":
        return value.flatten(0, 3).t().contiguous()
    if key.endswith("conv.weight"):
        return value.permute(4, 3, 0, 1, 2).contiguous()
    return value.flatten()
