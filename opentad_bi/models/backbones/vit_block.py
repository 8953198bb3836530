"""One block of a video transformer: attention within a clip, feed-forward layer, adapters."""

import torch
import torch.nn.functional as F
from torch import nn

from .frozen_linear import linear

# K clips, N tokens of a clip, D width, H heads, d = D / H


class ClipAttention(nn.Module):
    """Multi-head attention among the tokens of one clip; queries and values have a bias, keys have none.

    Args:
        embed_dims: width D.
        num_heads: heads H; must divide D.
        qkv_bias: whether queries and values have a bias.
    """

    def __init__(self, embed_dims, num_heads, qkv_bias=True):
        super().__init__()
        if embed_dims % num_heads:
            raise ValueError(f"embed_dims {embed_dims} is not a multiple of num_heads {num_heads}")
        self.num_heads = num_heads
        self.q_bias = nn.Parameter(torch.zeros(embed_dims)) if qkv_bias else None
        self.v_bias = nn.Parameter(torch.zeros(embed_dims)) if qkv_bias else None
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims, bias=False)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x):
        """(K, N, D) -> (K, N, D)."""
        clips, tokens, width = x.shape
        bias = None
        if self.q_bias is not None:
            bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = linear(x, self.qkv.weight, bias).view(clips, tokens, 3, self.num_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (K, H, N, d) each
        x = F.scaled_dot_product_attention(q, k, v)
        x = x.transpose(1, 2).reshape(clips, tokens, width)
        return linear(x, self.proj.weight, self.proj.bias)


class FeedForward(nn.Module):
    """Linear, exact GELU, Linear; the parameter names are those of the released checkpoints."""

    def __init__(self, embed_dims, hidden):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Sequential(nn.Linear(embed_dims, hidden), nn.GELU()), nn.Linear(hidden, embed_dims)
        )

    def forward(self, x):
        """(K, N, D) -> (K, N, D)."""
        (enter, activation), leave = self.layers
        x = activation(linear(x, enter.weight, enter.bias))
        return linear(x, leave.weight, leave.bias)


class DropPath(nn.Module):
    """Add a residual branch, in training dropped for whole clips (stochastic depth: Huang et al., ECCV 2016).

    Args:
        rate: probability that a clip's branch is dropped; the kept ones are scaled by 1 / (1 - rate).
    """

    def __init__(self, rate=0.0):
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"drop_path_rate must lie in [0, 1), got {rate}")
        self.rate = rate

    def forward(self, x, branch):
        """x + branch, or x alone for dropped clips.  (K, ...), (K, ...) -> (K, ...)"""
        if not self.training or self.rate == 0:
            return x + branch
        keep = x.new_empty((len(x),) + (1,) * (x.dim() - 1)).bernoulli_(1 - self.rate)
        return torch.addcmul(x, branch, keep.div_(1 - self.rate))

    def extra_repr(self):
        return f"rate={self.rate:g}"


class VitBlock(nn.Module):
    """Pre-norm transformer block, followed by its adapters.

    Args:
        embed_dims, num_heads, qkv_bias: see `ClipAttention`.
        mlp_ratio: hidden width of the feed-forward layer in units of `embed_dims`.
        eps: of the layer norms.
        drop_path_rate: see `DropPath`.
        adapter, bi_adapter: modules called as `module(tokens, h, w)` one after the other, or None.
    """

    def __init__(
        self,
        embed_dims,
        num_heads,
        mlp_ratio=4,
        *,
        qkv_bias=True,
        eps=1e-6,
        drop_path_rate=0.0,
        adapter=None,
        bi_adapter=None,
    ):
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps=eps)
        self.attn = ClipAttention(embed_dims, num_heads, qkv_bias)
        self.drop_path = DropPath(drop_path_rate)
        self.norm2 = nn.LayerNorm(embed_dims, eps=eps)
        self.mlp = FeedForward(embed_dims, int(embed_dims * mlp_ratio))
        self.adapter = adapter
        self.bi_adapter = bi_adapter

    def forward(self, x, h, w):
        """(K, N, D) tokens in (t, h, w) order -> (K, N, D)."""
        x = self.drop_path(x, self.attn(self.norm1(x)))
        x = self.drop_path(x, self.mlp(self.norm2(x)))
        for adapter in (self.adapter, self.bi_adapter):
            if adapter is not None:
                x = adapter(x, h, w)
        return x
