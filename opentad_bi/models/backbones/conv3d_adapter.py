"""A small 3-D convolutional network that a CPU can train from scratch, with the adapters of the large ones."""

import torch.nn.functional as F
from torch import nn

from ...registry import BACKBONES
from .tia_adapter import Adapter

# K windows, F frames of a window, S frame size, D width, h w size of a stage's map


class ConvStage(nn.Module):
    """Convolution over time and space, batch norm, ReLU, then the adapters."""

    def __init__(self, channels, width, kernel, stride, adapters, total_frames):
        super().__init__()
        padding = tuple(k // 2 for k in kernel)
        self.conv = nn.Conv3d(channels, width, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm3d(width)
        for name in adapters:
            self.add_module(name, Adapter(width, temporal_size=total_frames))
        self.adapters = tuple(adapters)

    def forward(self, x):
        """(K, D', F, h', w') -> (K, D, F, h, w)."""
        x = F.relu(self.norm(self.conv(x)), inplace=True)
        shape = x.shape
        for name in self.adapters:
            tokens = self.get_submodule(name)(x.flatten(2).transpose(1, 2), *shape[3:])
            x = tokens.transpose(1, 2).reshape(shape)
        return x


@BACKBONES.register_module()
class Conv3DAdapter(nn.Module):
    """A stage per width: 5 x 5 pixels at stride 4 first, then 3 x 3 at stride 2; 3 frames at stride 1 everywhere.

    After every stage stands a TIA `adapter` and, if asked for, a `bi_adapter`, as in `VisionTransformerAdapter`. In a
    `VideoBackbone` it takes whole windows (`clip_frames=None`).

    Args:
        total_frames: frames F of a window.
        widths: channels of the stages; their last is `out_channels`.
        adapter: put in the `adapter`.
        bi_adapter: put in the `bi_adapter`, after it.
    """

    def __init__(self, *, total_frames, widths=(24, 48, 96), adapter=True, bi_adapter=False):
        super().__init__()
        names = [name for name, wanted in (("adapter", adapter), ("bi_adapter", bi_adapter)) if wanted]
        stages, channels = [], 3
        for i, width in enumerate(widths):
            kernel, stride = ((3, 5, 5), (1, 4, 4)) if i == 0 else ((3, 3, 3), (1, 2, 2))
            stages.append(ConvStage(channels, width, kernel, stride, names, total_frames))
            channels = width
        self.blocks = nn.Sequential(*stages)
        self.out_channels = channels

    def forward(self, x):
        """Normalised frames (K, 3, F, S, S) -> map (K, D, F, h, w)."""
        return self.blocks(x)
