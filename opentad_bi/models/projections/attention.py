"""The transformer block of ActionFormer (Zhang et al., ECCV 2022, section 3.2): attention over time that is masked,
global or in local windows, linear in memory along time; the block can halve the sequence.

B batch, C channels, T time, T' = T / stride
In the kernels: H heads, D width of a head, R reach = window // 2, S block length, K = ceil(T / S) blocks
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.conv import ConvUnit, TimeConv
from ..layers.norm import ChannelNorm, ScaledDropPath

EXPANSION = 4  # width of the hidden layer of the perceptron, in channels of the block
BLOCK = 32  # queries that share one stretch of keys; the fastest on CPU for windows of 5 to 33
PADDED_KEY = -1e4  # added to the logits of padded keys: no weight beside a real key, and finite in float16


class TransformerBlock(nn.Module):
    """Pre-norm attention and perceptron; the shortcut of a strided block is max-pooled.

    Args:
        channels: C.
        n_head, stride, window, proj_pdrop: as for `MaskedAttention`; `proj_pdrop` also acts in the perceptron.
        path_pdrop: stochastic depth; at 0 the branches have no channel scales at all.
    """

    def __init__(
        self,
        channels: int,
        *,
        n_head: int,
        stride: int = 1,
        window: int = -1,
        path_pdrop: float = 0.0,
        proj_pdrop: float = 0.0,
    ) -> None:
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

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
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


class MaskedAttention(nn.Module):
    """Attention that never looks into the padding.

    Args:
        channels: C.
        n_head: number of heads; divides C.
        stride: output positions are this far apart.
        window: positions in reach of a query, centred on it; at most 1 for all of the sequence.
        proj_pdrop: dropout after the output projection.
    """

    def __init__(
        self, channels: int, *, n_head: int, stride: int = 1, window: int = -1, proj_pdrop: float = 0.0
    ) -> None:
        super().__init__()
        if channels % n_head:
            raise ValueError(f"n_head {n_head} does not divide {channels} channels")
        self.n_head, self.window = n_head, window
        kernel = stride + 1 if stride > 1 else 3

        def depthwise() -> ConvUnit:
            shape = {"kernel_size": kernel, "stride": stride, "groups": channels}
            return ConvUnit(channels, channels, **shape, norm=False, act=False, bias=False)

        self.query_conv, self.query_norm = depthwise(), ChannelNorm(channels)
        self.key_conv, self.key_norm = depthwise(), ChannelNorm(channels)
        self.value_conv, self.value_norm = depthwise(), ChannelNorm(channels)
        self.key, self.query, self.value, self.proj = (TimeConv(channels, channels, 1) for _ in range(4))
        self.proj_drop = nn.Dropout(proj_pdrop)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, T), (B, T) bool -> (B, C, T'), (B, T') bool; zeros in the padding."""
        query, small = self.query_conv(x, mask)
        key, _ = self.key_conv(x, mask)
        value, _ = self.value_conv(x, mask)
        query = self._heads(self.query(self.query_norm(query)))
        key = self._heads(self.key(self.key_norm(key)))
        value = self._heads(self.value(self.value_norm(value)))
        if self.window > 1:
            out = local_attention(query, key, value, small, self.window)
        else:
            out = global_attention(query, key, value, small)
        out = self.proj_drop(self.proj(out.flatten(2).transpose(1, 2)))
        return out * small[:, None].to(out.dtype), small

    def _heads(self, x):
        """(B, C, T) -> (B, T, heads, C / heads)"""
        return x.transpose(1, 2).unflatten(2, (self.n_head, -1))


def global_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Every position looks at all that are not padding.  3 x (B, T, H, D), (B, T) bool -> (B, T, H, D)"""
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None]).transpose(1, 2)


def local_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, window: int) -> Tensor:
    """Every position looks at those at most window // 2 away.  3 x (B, T, H, D), (B, T) bool -> (B, T, H, D)

    Queries are taken in blocks; a block meets only the keys its members can reach, so time and memory grow with
    T * window. What comes out at padded positions means nothing.
    """
    batch, length, heads, width = query.shape
    reach = window // 2
    size = max(reach, min(BLOCK, length))
    count = -(-length // size)
    query = F.pad(query, (0, 0, 0, 0, 0, count * size - length)).reshape(batch * count, size, heads, width)
    key, value = (_stretches(x, size, count, reach) for x in (key, value))
    out = F.scaled_dot_product_attention(
        query.transpose(1, 2),
        key.transpose(1, 2),
        value.transpose(1, 2),
        attn_mask=_band_bias(mask, size, count, reach).to(query.dtype),
    )
    return out.transpose(1, 2).reshape(batch, count * size, heads, width)[:, :length]


def _stretches(x, size, count, reach):
    """Each block with `reach` positions on both sides.  (B, T, ...) -> (B * K, S + 2R, ...), zeros outside"""
    right = (count + 1) * size - x.shape[1]
    x = F.pad(x, (0, 0) * (x.dim() - 2) + (size, right)).unflatten(1, (count + 2, size))
    x = torch.cat([x[:, :-2, size - reach :], x[:, 1:-1], x[:, 2:, :reach]], dim=2)
    return x.flatten(0, 1)


def _band_bias(mask, size, count, reach):
    """What to add to the logits: -inf outside the band, PADDED_KEY at padded keys.  (B, T) -> (B * K, 1, S, S + 2R)

    Positions outside the sequence count as padding; every row of the band keeps a finite entry, so no row is NaN.
    """
    row = torch.arange(size, device=mask.device)[:, None]
    column = torch.arange(-reach, size + reach, device=mask.device)
    band = torch.where((row - column).abs() <= reach, 0.0, -torch.inf)  # (S, S + 2R)
    real = _stretches(mask, size, count, reach)  # (B * K, S + 2R)
    return (band + torch.where(real, 0.0, PADDED_KEY)[:, None])[:, None]
