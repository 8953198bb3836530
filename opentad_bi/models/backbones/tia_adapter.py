"""Small trainable modules put into a frozen video transformer (AdaTAD: Liu et al., CVPR 2024, section 3.3)."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .frozen_linear import linear

# K clips of all videos, N tokens of a clip = t*h*w, D width, r inner width, T tokens along the time of a video


class PlainAdapter(nn.Module):
    """Bottleneck without a look along time: x + gamma * up(GELU(down(x))); the identity at the start.

    Args:
        embed_dims: width D of the tokens.
        mlp_ratio: inner width r as a fraction of D.
    """

    def __init__(self, embed_dims, mlp_ratio=0.25):
        super().__init__()
        inner = int(embed_dims * mlp_ratio)
        self.gamma = nn.Parameter(torch.ones(1))
        self._build_mixer(inner)
        self.down_proj = nn.Linear(embed_dims, inner)
        self.up_proj = nn.Linear(inner, embed_dims)
        nn.init.trunc_normal_(self.down_proj.weight, std=0.02)
        for zero in (self.down_proj.bias, self.up_proj.weight, self.up_proj.bias):
            nn.init.zeros_(zero)

    def _build_mixer(self, inner):
        """Make what `mix` needs; here nothing."""

    def mix(self, z, h, w):
        """Change the inner tokens before they go up; here not at all.  (K, N, r) -> (K, N, r)"""
        return z

    def forward(self, x, h, w):
        """(K, N, D) tokens in (t, h, w) order -> (K, N, D)."""
        z = self.mix(F.gelu(linear(x, self.down_proj.weight, self.down_proj.bias)), h, w)
        # gamma goes into the small weight: a product with the whole map would have to be kept for its gradient
        up = self.up_proj
        return x + linear(z, self.gamma * up.weight, self.gamma * up.bias)


class Adapter(PlainAdapter):
    """Temporal-informative adapter: the bottleneck sees its neighbours in time, across the clips of a video.

    Args:
        embed_dims, mlp_ratio: as for `PlainAdapter`.
        kernel_size: steps along time that one token sees, odd.
        dilation: distance of these steps.
        temporal_size: tokens along time T of one video; its clips lie one after another in the batch.
    Raises:
        ValueError: in `forward`, if the tokens do not make whole videos.
    """

    def __init__(self, embed_dims, mlp_ratio=0.25, *, kernel_size=3, dilation=1, temporal_size=384):
        self.kernel_size, self.dilation, self.temporal_size = kernel_size, dilation, temporal_size
        super().__init__(embed_dims, mlp_ratio)

    def _build_mixer(self, inner):
        self.dwconv = nn.Conv1d(inner, inner, self.kernel_size, groups=inner)
        self.conv = nn.Conv1d(inner, inner, 1)
        nn.init.normal_(self.dwconv.weight, std=math.sqrt(2 / self.kernel_size))
        nn.init.normal_(self.conv.weight, std=math.sqrt(2 / inner))
        nn.init.zeros_(self.dwconv.bias)
        nn.init.zeros_(self.conv.bias)

    def mix(self, z, h, w):
        """Add what a depth-wise, then a point-wise convolution along time make.  (K, N, r) -> (K, N, r)"""
        clips, tokens, inner = z.shape
        if clips * tokens % (self.temporal_size * h * w):
            raise ValueError(
                f"{clips} clips of {tokens} tokens are {clips * tokens / (h * w):g} steps along time, "
                f"not a multiple of the {self.temporal_size} of one video; see total_frames"
            )
        # channels are last already, so an image of (time, place) in channels-last layout costs no copy
        image = z.view(-1, self.temporal_size, h * w, inner).permute(0, 3, 1, 2)
        pad = self.dilation * (self.kernel_size - 1) // 2
        depthwise = self.dwconv
        u = F.conv2d(
            image,
            depthwise.weight[..., None],
            depthwise.bias,
            padding=(pad, 0),
            dilation=(self.dilation, 1),
            groups=inner,
        )
        u = u.permute(0, 2, 3, 1).reshape(clips, tokens, inner)
        return z + linear(u, self.conv.weight[..., 0], self.conv.bias)
