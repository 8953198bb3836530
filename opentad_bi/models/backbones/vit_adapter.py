"""The VideoMAE vision transformer (Tong et al., NeurIPS 2022) with the adapters of AdaTAD (Liu et al., CVPR 2024).

In order: the network, its parts, the table of positions, and the key styles in which weights are published.

K clips, F frames of a clip, S frame size, D width, H heads, d = D / H, P positions
N tokens of a clip, t h w of them along time, height and width
"""

import re
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...contracts import Network
from ...registry import BACKBONES
from ...utils.validation import check_choice
from .adapters import Adapter, Linear, PlainAdapter, linear

TUBELET = 2  # frames that make one token along time
ADAPTERS = ("Adapter", "PlainAdapter")
# of a whole detector, the wrapper, a recogniser, the pre-training; longer ones first
_PREFIXES = ("backbone.model.backbone.", "model.backbone.", "backbone.", "encoder.")
_RENAMED = (
    (re.compile(r"^patch_embed\.proj\."), "patch_embed.projection."),
    (re.compile(r"^(blocks\.\d+\.mlp\.)fc1\."), r"\1layers.0.0."),
    (re.compile(r"^(blocks\.\d+\.mlp\.)fc2\."), r"\1layers.1."),
    (re.compile(r"^head\."), "cls_head.fc_cls."),
)


@BACKBONES.register_module()
class VisionTransformerAdapter(Network, nn.Module):
    """VideoMAE transformer that gives a feature map per clip; the final pooling norm `fc_norm` is kept, not used.

    Args:
        img_size: frame size the position table is made for; other sizes resize the table.
        patch_size: side of a token in pixels; frame sizes must be multiples of it.
        embed_dims, depth, num_heads, mlp_ratio, qkv_bias: S (384, 12, 6), B (768, 12, 12), L (1024, 24, 16),
            H (1280, 32, 16) with ratio 4; g (1408, 40, 16) with ratio 48/11 and patch size 14.
        num_frames: frames of one clip.
        drop_path_rate: stochastic depth of the last block, growing linearly from 0 in the first.
        norm_cfg: dict(type="LN", eps=...).
        with_cp: recompute each block in the backward pass instead of keeping its activations.
        total_frames: frames of one video window, that is of all its clips; adapters see its whole time.
        adapter_index: blocks that have an adapter; None: all of them.
        adapter_type: "Adapter" (looks along time) or "PlainAdapter".
        adapter_mlp_ratio: inner width of the adapters in units of `embed_dims`.
        bi_adapter: whether a second adapter, `bi_adapter`, follows each first one.
    """

    pos_embed: Tensor

    def __init__(
        self,
        *,
        img_size: int = 224,
        patch_size: int = 16,
        embed_dims: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4,
        qkv_bias: bool = True,
        num_frames: int = 16,
        drop_path_rate: float = 0.0,
        norm_cfg: dict | None = None,
        with_cp: bool = False,
        total_frames: int = 768,
        adapter_index: Sequence[int] | None = None,
        adapter_type: str = "Adapter",
        adapter_mlp_ratio: float = 0.25,
        bi_adapter: bool = False,
    ) -> None:
        super().__init__()
        eps = _eps(norm_cfg or {"type": "LN", "eps": 1e-6})
        adapted = _adapted_blocks(adapter_index, depth)
        check_choice("adapter_type", adapter_type, ADAPTERS)
        if total_frames % num_frames or num_frames % TUBELET:
            raise ValueError(f"total_frames {total_frames} must be whole clips of an even num_frames {num_frames}")
        self.patch_size, self.with_cp = patch_size, with_cp
        self.grid = (num_frames // TUBELET, img_size // patch_size, img_size // patch_size)

        def adapter(wanted: bool) -> nn.Module | None:
            if not wanted:
                return None
            if adapter_type == "PlainAdapter":
                return PlainAdapter(embed_dims, adapter_mlp_ratio)
            return Adapter(embed_dims, adapter_mlp_ratio, temporal_size=total_frames // TUBELET)

        positions = self.grid[0] * self.grid[1] * self.grid[2]
        self.register_buffer("pos_embed", sine_cosine_table(positions, embed_dims)[None])
        self._resized: tuple | None = None  # table it came from, (its version, h, w), resized table
        self.patch_embed = PatchEmbed(embed_dims, patch_size)
        self.blocks = nn.ModuleList(
            VitBlock(
                embed_dims,
                num_heads,
                mlp_ratio,
                qkv_bias=qkv_bias,
                eps=eps,
                drop_path_rate=drop_path_rate * i / max(depth - 1, 1),
                adapter=adapter(i in adapted),
                bi_adapter=adapter(bi_adapter and i in adapted),
            )
            for i in range(depth)
        )
        self.fc_norm = nn.LayerNorm(embed_dims, eps=eps)

    def forward(self, clips: Tensor) -> Tensor:
        """(K, 3, F, S, S') float32, normalised -> (K, D, F/2, h, w), a view whose channels lie last in memory.

        The clips of one window follow each other in K.
        """
        frames, *size = clips.shape[2:]
        h, w = (side // self.patch_size for side in size)
        if frames != self.grid[0] * TUBELET or [h * self.patch_size, w * self.patch_size] != list(size):
            raise ValueError(
                f"clips of {frames} frames of {size[0]} x {size[1]}; expected {self.grid[0] * TUBELET} frames "
                f"and sides that are multiples of {self.patch_size}"
            )
        x = self.patch_embed(clips)
        x = x + self._positions(h, w)
        for block in self.blocks:
            if self.with_cp and x.requires_grad:
                x = checkpoint(block, x, h, w, use_reentrant=False)
            else:
                x = block(x, h, w)
        return x.reshape(len(x), self.grid[0], h, w, -1).permute(0, 4, 1, 2, 3)

    def _positions(self, h, w):
        """Position table for an h x w grid, resized once per table and size.  -> (1, t*h*w, D)"""
        source = self.pos_embed
        state = (source._version, h, w)
        if self._resized is None or self._resized[0] is not source or self._resized[1] != state:
            with torch.inference_mode(False), torch.no_grad():
                self._resized = (source, state, resize_table(source, self.grid, (h, w)))
        return self._resized[2]

    def adapt_state_dict(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Bring weights of this network in another key style to its own keys; see `adapt_vit_keys`."""
        return adapt_vit_keys(state)


def _eps(norm_cfg):
    """Epsilon of a `norm_cfg`; anything but a layer norm is an error."""
    if norm_cfg.get("type") != "LN" or set(norm_cfg) - {"type", "eps"}:
        raise ValueError(f"norm_cfg {dict(norm_cfg)} is not dict(type='LN', eps=...)")
    return norm_cfg.get("eps", 1e-5)


def _adapted_blocks(adapter_index, depth):
    """The set of blocks with adapters; an index outside the network is an error."""
    adapted = set(range(depth)) if adapter_index is None else set(adapter_index)
    if not adapted <= set(range(depth)):
        raise ValueError(f"adapter_index {sorted(adapted)} names blocks outside 0 ... {depth - 1}")
    return adapted


class PatchEmbed(nn.Module):
    """Cut clips into tubes of 2 frames and `patch_size` pixels squared, each mapped to one token."""

    def __init__(self, embed_dims: int, patch_size: int) -> None:
        super().__init__()
        kernel = (TUBELET, patch_size, patch_size)
        self.projection = nn.Conv3d(3, embed_dims, kernel, stride=kernel)

    def forward(self, clips: Tensor) -> Tensor:
        """(K, 3, F, S, S) -> (K, t*h*w, D).  One matrix product: tubes do not overlap."""
        weight = self.projection.weight
        kt, kh, kw = weight.shape[2:]
        n, c, f, height, width = clips.shape
        tubes = clips.reshape(n, c, f // kt, kt, height // kh, kh, width // kw, kw)
        tubes = tubes.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(n, -1, c * kt * kh * kw)
        return linear(tubes, weight.flatten(1), self.projection.bias)


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
        embed_dims: int,
        num_heads: int,
        mlp_ratio: float = 4,
        *,
        qkv_bias: bool = True,
        eps: float = 1e-6,
        drop_path_rate: float = 0.0,
        adapter: nn.Module | None = None,
        bi_adapter: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps=eps)
        self.attn = ClipAttention(embed_dims, num_heads, qkv_bias)
        self.drop_path = DropPath(drop_path_rate)
        self.norm2 = nn.LayerNorm(embed_dims, eps=eps)
        self.mlp = FeedForward(embed_dims, int(embed_dims * mlp_ratio))
        self.adapter = adapter
        self.bi_adapter = bi_adapter

    def forward(self, x: Tensor, h: int, w: int) -> Tensor:
        """(K, N, D) tokens in (t, h, w) order -> (K, N, D)."""
        x = self.drop_path(x, self.attn(self.norm1(x)))
        x = self.drop_path(x, self.mlp(self.norm2(x)))
        for adapter in (self.adapter, self.bi_adapter):
            if adapter is not None:
                x = adapter(x, h, w)
        return x


class ClipAttention(nn.Module):
    """Multi-head attention among the tokens of one clip; queries and values have a bias, keys have none.

    Args:
        embed_dims: width D.
        num_heads: heads H; must divide D.
        qkv_bias: whether queries and values have a bias.
    """

    def __init__(self, embed_dims: int, num_heads: int, qkv_bias: bool = True) -> None:
        super().__init__()
        if embed_dims % num_heads:
            raise ValueError(f"embed_dims {embed_dims} is not a multiple of num_heads {num_heads}")
        self.num_heads = num_heads
        self.q_bias = nn.Parameter(torch.zeros(embed_dims)) if qkv_bias else None
        self.v_bias = nn.Parameter(torch.zeros(embed_dims)) if qkv_bias else None
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims, bias=False)
        self.proj = Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        """(K, N, D) -> (K, N, D)."""
        clips, tokens, width = x.shape
        bias = None
        if self.q_bias is not None and self.v_bias is not None:
            bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = linear(x, self.qkv.weight, bias).view(clips, tokens, 3, self.num_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (K, H, N, d) each
        x = F.scaled_dot_product_attention(q, k, v)
        x = x.transpose(1, 2).reshape(clips, tokens, width)
        return self.proj(x)


class FeedForward(nn.Module):
    """Linear, exact GELU, Linear; the parameter names are those of the released checkpoints."""

    def __init__(self, embed_dims: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Sequential(Linear(embed_dims, hidden), nn.GELU()), Linear(hidden, embed_dims))

    def forward(self, x: Tensor) -> Tensor:
        """(K, N, D) -> (K, N, D)."""
        return self.layers(x)


class DropPath(nn.Module):
    """Add a residual branch, in training dropped for whole clips (stochastic depth: Huang et al., ECCV 2016).

    Args:
        rate: probability that a clip's branch is dropped; the kept ones are scaled by 1 / (1 - rate).
    """

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"drop_path_rate must lie in [0, 1), got {rate}")
        self.rate = rate

    def forward(self, x: Tensor, branch: Tensor) -> Tensor:
        """x + branch, or x alone for dropped clips.  (K, ...), (K, ...) -> (K, ...)"""
        if not self.training or self.rate == 0:
            return x + branch
        keep = x.new_empty((len(x),) + (1,) * (x.dim() - 1)).bernoulli_(1 - self.rate)
        return torch.addcmul(x, branch, keep.div_(1 - self.rate))


def sine_cosine_table(positions: int, width: int) -> Tensor:
    """Table of Vaswani et al. (NeurIPS 2017): sine in even columns, cosine in odd ones.  -> (P, D) float32.

    Column j of row p is the angle p / 10000^(2 floor(j/2) / D); angles are taken in float64.
    """
    column = torch.arange(width, dtype=torch.float64)
    frequency = 10000.0 ** (-2 * torch.div(column, 2, rounding_mode="floor") / width)
    angle = torch.arange(positions, dtype=torch.float64)[:, None] * frequency
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()


def resize_table(table: Tensor, grid: Sequence[int], size: Sequence[int]) -> Tensor:
    """Resize a table laid over `grid` = (t, h, w) to `size` = (h', w'), each frame by bicubic interpolation.

    (1, t*h*w, D) -> (1, t*h'*w', D); the same tensor comes back where nothing changes.
    """
    frames, *source = grid
    if tuple(source) == tuple(size):
        return table
    maps = table.reshape(frames, *source, -1).permute(0, 3, 1, 2)
    maps = F.interpolate(maps, size=tuple(size), mode="bicubic", align_corners=False)
    return maps.permute(0, 2, 3, 1).reshape(1, -1, table.shape[-1])


def adapt_vit_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return `state` under the keys of `VisionTransformerAdapter`; a strict load reports entries of other names.

    Understood, each with or without a leading `module.`: whole detectors (`backbone.model.backbone.*`), recognisers
    of mmaction2 (`backbone.*`, `cls_head.*`), the original VideoMAE after fine-tuning (`mlp.fc1`,
    `patch_embed.proj`, `head.*`) and after pre-training (`encoder.*`), and our own keys.
    """
    state = strip_prefix(state, "module.")
    for prefix in _PREFIXES:
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return {_rename(key): value for key, value in state.items()}


def strip_prefix(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Take `prefix` off every key if all of them have it."""
    if state and all(key.startswith(prefix) for key in state):
        return {key[len(prefix) :]: value for key, value in state.items()}
    return dict(state)


def _rename(key):
    for pattern, replacement in _RENAMED:
        key = pattern.sub(replacement, key)
    return key
