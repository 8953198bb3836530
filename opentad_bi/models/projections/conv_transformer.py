"""The feature pyramid of ActionFormer: convolutions, then transformer blocks (Zhang et al., ECCV 2022, section 3.2).

B batch, C channels, T time, L levels, T_l = T / 2^l
"""

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import PROJECTIONS, nearest
from ..backbones.vit_adapter import sine_cosine_table
from ..layers.conv import EPS, ConvUnit, channels_last
from .attention import TransformerBlock


@PROJECTIONS.register_module()
class Conv1DTransformerProj(nn.Module):
    """Convolutions, transformer blocks at full length, then one halving block for each further level.

    Args:
        in_channels: channels of the features; a list where several streams lie one after another.
        out_channels: C; with several streams a list, one width each, and C is their sum.
        arch: numbers of convolutions, of blocks at full length, and of halving blocks (L - 1).
        conv_cfg: `kernel_size` of the convolutions, `proj_pdrop` dropout inside the blocks.
        norm_cfg: dict(type="LN", eps=1e-6) of the convolutions, or None for none.
        attn_cfg: `n_head` and `n_mha_win_size`: the window of the attention, one for all levels or L of them; at
            most 1 for the whole sequence.
        path_pdrop: stochastic depth of the blocks.
        use_abs_pe: add a sine-cosine position table after the convolutions.
        max_seq_len: length the detector pads to, and length of the position table.
        input_pdrop: chance that an input channel is dropped in training.
    Attributes:
        length_divisors: L numbers that must divide the length of a sequence.
    Raises:
        ValueError: if windows and levels differ in number, or `max_seq_len` does not fit them.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        out_channels: int | Sequence[int],
        *,
        arch: tuple[int, int, int] = (2, 2, 5),
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        attn_cfg: dict | None = None,
        path_pdrop: float = 0.0,
        use_abs_pe: bool = False,
        max_seq_len: int = 2304,
        input_pdrop: float = 0.0,
    ) -> None:
        super().__init__()
        convs, stems, halvings = arch
        kernel, proj_pdrop = _options("conv_cfg", conv_cfg, kernel_size=3, proj_pdrop=0.0)
        n_head, windows = _options("attn_cfg", attn_cfg, n_head=4, n_mha_win_size=-1)
        norm = {"norm": norm_cfg is not None, "eps": _norm_eps(norm_cfg)}
        windows = _per_level(windows, 1 + halvings)
        self.max_seq_len = max_seq_len
        self.length_divisors = _length_divisors(windows, max_seq_len)
        self.drop = nn.Dropout1d(input_pdrop) if input_pdrop > 0 else nn.Identity()
        enter, leave = ([widths] if isinstance(widths, int) else list(widths) for widths in (in_channels, out_channels))
        self.in_channels, self.out_channels = sum(enter), sum(leave)
        width = self.out_channels
        self.proj = None if isinstance(in_channels, int) else Streams(enter, leave, **norm)
        first = self.in_channels if self.proj is None else width
        self.embed = nn.ModuleList(
            ConvUnit(width if i else first, width, kernel_size=kernel, **norm) for i in range(convs)
        )
        self.positions = PositionTable(width, max_seq_len) if use_abs_pe else None
        block = partial(TransformerBlock, width, n_head=n_head, path_pdrop=path_pdrop, proj_pdrop=proj_pdrop)
        self.stem = nn.ModuleList(block(window=windows[0]) for _ in range(stems))
        self.branch = nn.ModuleList(block(stride=2, window=window) for window in windows[1:])
        for module in self.modules():
            if isinstance(module, nn.Conv1d) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(B, C_in, T), (B, T) bool -> L features (B, C, T_l), L masks (B, T_l) bool; ValueError for another C_in."""
        if x.shape[1] != self.in_channels:
            raise ValueError(
                f"features have {x.shape[1]} channels, but the network takes in_channels={self.in_channels}"
            )
        x = self.drop(channels_last(x))
        if self.proj is not None:
            x = self.proj(x, mask)
        for unit in self.embed:
            x, mask = unit(x, mask)
        if self.positions is not None:
            x = self.positions(x, mask)
        for block in self.stem:
            x, mask = block(x, mask)
        features, masks = [x], [mask]
        for block in self.branch:
            x, mask = block(x, mask)
            features.append(x)
            masks.append(mask)
        return features, masks


class PositionTable(nn.Module):
    """Add a sine-cosine table of `max_seq_len` positions over sqrt(C), zero in the padding.

    In evaluation a sequence at least that long gets the table stretched linearly; in training it must fit.
    """

    table: Tensor

    def __init__(self, channels: int, max_seq_len: int) -> None:
        super().__init__()
        table = sine_cosine_table(max_seq_len, channels).T[None] / channels**0.5
        self.register_buffer("table", table, persistent=False)  # (1, C, max_seq_len)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, C, T), (B, T) bool -> (B, C, T)"""
        table, length = self.table, x.shape[-1]
        if length > table.shape[-1] and self.training:
            raise ValueError(f"{length} positions in training, but max_seq_len is {table.shape[-1]}")
        if length >= table.shape[-1] and not self.training:
            table = F.interpolate(table, length, mode="linear", align_corners=False)
        return x + table[..., :length] * mask[:, None].to(x.dtype)


class Streams(nn.ModuleList):
    """One point-wise convolution unit per stream; the streams lie one after another in the channels.

    Args:
        in_channels, out_channels: widths of every stream before and after.
        norm: normalise each stream over its channels.
        eps: of the normalisation.
    """

    def __init__(
        self, in_channels: Sequence[int], out_channels: Sequence[int], *, norm: bool = True, eps: float = EPS
    ) -> None:
        pairs = zip(in_channels, out_channels, strict=True)
        super().__init__(ConvUnit(n_in, n_out, kernel_size=1, norm=norm, eps=eps) for n_in, n_out in pairs)
        self.widths = list(in_channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, sum(in_channels), T), (B, T) bool -> (B, sum(out_channels), T)"""
        parts = zip(self, x.split(self.widths, dim=1), strict=True)
        return torch.cat([unit(part, mask)[0] for unit, part in parts], dim=1)


def _options(name, cfg, **defaults):
    """Values of `cfg` in the order of `defaults`; KeyError for a name that is not among them."""
    for key in cfg or {}:
        if key not in defaults:
            raise KeyError(f"{name} has no entry {key!r}; {nearest(key, defaults)}")
    return ({**defaults, **(cfg or {})}).values()


def _norm_eps(norm_cfg):
    """Epsilon of a `norm_cfg`; ValueError for anything but a layer norm or None."""
    if norm_cfg is not None and (norm_cfg.get("type") != "LN" or set(norm_cfg) - {"type", "eps"}):
        raise ValueError(f"norm_cfg {norm_cfg!r} is neither dict(type='LN', eps=...) nor None")
    return (norm_cfg or {}).get("eps", EPS)


def _per_level(windows, levels):
    """One attention window per level, from one for all or a sequence of them."""
    windows = [windows] * levels if isinstance(windows, int) else list(windows)
    if len(windows) != levels:
        raise ValueError(f"n_mha_win_size has {len(windows)} windows, but the pyramid has {levels} levels")
    return windows


def _length_divisors(windows, max_seq_len):
    """What must divide the length of a sequence, level by level; ValueError if `max_seq_len` does not fit.

    A level of stride s needs multiples of s; with a window w > 1, of 2 * (w // 2) * s.
    """
    divisors = [2**level * (2 * (w // 2) if w > 1 else 1) for level, w in enumerate(windows)]
    for divisor in divisors:
        if max_seq_len % divisor:
            raise ValueError(f"max_seq_len {max_seq_len} must be a multiple of {divisor}; its levels need {divisors}")
    return divisors
