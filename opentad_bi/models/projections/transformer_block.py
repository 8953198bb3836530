"""Transformer block over time that can halve the sequence (ActionFormer, section 3.2)."""

import torch.nn.functional as F
from torch import nn

from ..layers.drop_path import ScaledDropPath
from ..layers.norm import ChannelNorm
from ..layers.time_conv import TimeConv
from .attention import MaskedAttention

# B batch, C channels, T time, T' = T / stride

EXPANSION = 4  # width of the hidden layer of the perceptron, in channels of the block


class TransformerBlock(nn.Module):
    """Pre-norm attention and perceptron; the shortcut of a strided block is max-pooled.

    Args:
        channels: C.
        n_head, stride, window, proj_pdrop: as for `MaskedAttention`; `proj_pdrop` also acts in the perceptron.
        path_pdrop: stochastic depth; at 0 the branches have no channel scales at all.
    """

    def __init__(self, channels, *, n_head, stride=1, window=-1, path_pdrop=0.0, proj_pdrop=0.0):
        super().__init__()
        self.stride = stride
        self.ln1 = ChannelNorm(channels)
        self.ln2 = ChannelNorm(channels)
        self.attn = MaskedAttention(channels, n_head=n_head, stride=stride, window=window, proj_pdrop=proj_pdrop)
        self.mlp = nn.Sequential(
            TimeConv(channels, EXPANSION * channels, 1),
            nn.GELU(),
            nn.Dropout(proj_pdrop),
            TimeConv(EXPANSION * channels, channels, 1),
            nn.Dropout(proj_pdrop),
        )
        self.drop_path_attn = ScaledDropPath(channels, path_pdrop) if path_pdrop > 0 else nn.Identity()
        self.drop_path_mlp = ScaledDropPath(channels, path_pdrop) if path_pdrop > 0 else nn.Identity()

    def forward(self, x, mask):
        """(B, C, T), (B, T) bool -> (B, C, T'), (B, T') bool."""
        out, mask = self.attn(self.ln1(x), mask)
        keep = mask[:, None].to(x.dtype)
        x = self._pool(x) * keep + self.drop_path_attn(out)
        return x + self.drop_path_mlp(self.mlp(self.ln2(x)) * keep), mask

    def _pool(self, x):
        if self.stride == 1:
            return x
        kernel = self.stride + 1
        return F.max_pool2d(x.unsqueeze(2), (1, kernel), (1, self.stride), (0, kernel // 2)).squeeze(2)
