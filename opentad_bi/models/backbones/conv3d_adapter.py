"""A small 3-D convolutional network that a CPU can train from scratch, with the adapters of the large ones.

K windows, F frames of a window, S frame size, D width, h w size of a stage's map
"""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ...contracts import Network
from ...registry import BACKBONES
from .adapters import Adapter

Size = int | tuple[int, int, int]


class ConvStage(nn.Module):
    """Convolution over time and space, batch norm, ReLU, then the adapters."""

    def __init__(
        self,
        channels: int,
        width: int,
        *,
        kernel: Size,
        stride: Size,
        padding: Size,
        adapters: Sequence[str],
        frames: int,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels, width, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm3d(width)
        for name in adapters:
            self.add_module(name, Adapter(width, temporal_size=frames))
        self.adapters = tuple(adapters)

    def forward(self, x: Tensor) -> Tensor:
        """(K, D', F, h', w') -> (K, D, F, h, w)."""
        x = F.relu(self.norm(self.conv(x)), inplace=True)
        shape = x.shape
        for name in self.adapters:
            tokens = self.get_submodule(name)(x.flatten(2).transpose(1, 2), *shape[3:])
            x = tokens.transpose(1, 2).reshape(shape)
        return x


@BACKBONES.register_module()
class Conv3DAdapter(Network, nn.Module):
    """Three stages: 5 x 5 pixels at stride 4, then 3 frames of 3 x 3 at stride 2, then 3 frames of all that is left.

    The last stage sees where things are, not only that they are. After every stage stands a TIA `adapter` and, if
    asked for, a `bi_adapter`, as in `VisionTransformerAdapter`. In a `VideoBackbone` it takes whole windows
    (`clip_frames=None`).

    Args:
        total_frames: frames F of a window.
        image_size: side S of the frames, a multiple of 8.
        widths: channels of the three stages.
        adapter: put in the `adapter`.
        bi_adapter: put in the `bi_adapter`, after it.
    """

    def __init__(
        self,
        *,
        total_frames: int,
        image_size: int,
        widths: Sequence[int] = (24, 48, 96),
        adapter: bool = True,
        bi_adapter: bool = False,
    ) -> None:
        super().__init__()
        if image_size % 8:
            raise ValueError(f"image_size {image_size} must be a multiple of 8")
        names = [name for name, wanted in (("adapter", adapter), ("bi_adapter", bi_adapter)) if wanted]
        left = image_size // 8
        shapes: tuple[dict[str, Any], ...] = (
            {"kernel": (1, 5, 5), "stride": (1, 4, 4), "padding": (0, 2, 2)},
            {"kernel": (3, 3, 3), "stride": (1, 2, 2), "padding": (1, 1, 1)},
            {"kernel": (3, left, left), "stride": 1, "padding": (1, 0, 0)},
        )
        stages = [
            ConvStage(channels, width, adapters=names, frames=total_frames, **shape)
            for channels, width, shape in zip((3, *widths), widths, shapes, strict=False)
        ]
        self.blocks = nn.Sequential(*stages)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised frames (K, 3, F, S, S) -> map (K, D, F, 1, 1)."""
        return self.blocks(x)
