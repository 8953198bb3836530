"""Multi-head attention over time with convolutional queries, keys and values (ActionFormer, section 3.2)."""

from torch import nn

from ..layers.conv_unit import ConvUnit
from ..layers.norm import ChannelNorm
from ..layers.time_conv import TimeConv
from .attention_kernels import global_attention, local_attention

# B batch, C channels, T time, T' = T / stride


class MaskedAttention(nn.Module):
    """Attention that never looks into the padding.

    Args:
        channels: C.
        n_head: number of heads; divides C.
        stride: output positions are this far apart.
        window: positions in reach of a query, centred on it; at most 1 for all of the sequence.
        proj_pdrop: dropout after the output projection.
    """

    def __init__(self, channels, *, n_head, stride=1, window=-1, proj_pdrop=0.0):
        super().__init__()
        if channels % n_head:
            raise ValueError(f"n_head {n_head} does not divide {channels} channels")
        self.n_head, self.window = n_head, window
        kernel = stride + 1 if stride > 1 else 3
        for name in ("query", "key", "value"):
            unit = ConvUnit(
                channels,
                channels,
                kernel_size=kernel,
                stride=stride,
                groups=channels,
                norm=False,
                act=False,
                bias=False,
            )
            self.add_module(f"{name}_conv", unit)
            self.add_module(f"{name}_norm", ChannelNorm(channels))
        self.key = TimeConv(channels, channels, 1)
        self.query = TimeConv(channels, channels, 1)
        self.value = TimeConv(channels, channels, 1)
        self.proj = TimeConv(channels, channels, 1)
        self.proj_drop = nn.Dropout(proj_pdrop)

    def forward(self, x, mask):
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
