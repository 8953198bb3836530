"""Video transformer of VideoMAE with adapters (Tong et al., NeurIPS 2022; AdaTAD: Liu et al., CVPR 2024)."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from ...registry import BACKBONES, nearest
from .frozen_linear import linear
from .positions import resize_table, sine_cosine_table
from .tia_adapter import Adapter, PlainAdapter
from .vit_block import VitBlock
from .vit_keys import adapt_vit_keys

# K clips, F frames of a clip, S frame size, D width, t h w tokens along time, height, width

TUBELET = 2  # frames that make one token along time
ADAPTERS = ("Adapter", "PlainAdapter")


class PatchEmbed(nn.Module):
    """Cut clips into tubes of 2 frames and `patch_size` pixels squared, each mapped to one token."""

    def __init__(self, embed_dims, patch_size):
        super().__init__()
        kernel = (TUBELET, patch_size, patch_size)
        self.projection = nn.Conv3d(3, embed_dims, kernel, stride=kernel)

    def forward(self, clips):
        """(K, 3, F, S, S) -> (K, t*h*w, D).  One matrix product: tubes do not overlap."""
        weight = self.projection.weight
        kt, kh, kw = weight.shape[2:]
        n, c, f, height, width = clips.shape
        tubes = clips.reshape(n, c, f // kt, kt, height // kh, kh, width // kw, kw)
        tubes = tubes.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(n, -1, c * kt * kh * kw)
        return linear(tubes, weight.flatten(1), self.projection.bias)


@BACKBONES.register_module()
class VisionTransformerAdapter(nn.Module):
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

    def __init__(
        self,
        *,
        img_size=224,
        patch_size=16,
        embed_dims=768,
        depth=12,
        num_heads=12,
        mlp_ratio=4,
        qkv_bias=True,
        num_frames=16,
        drop_path_rate=0.0,
        norm_cfg=None,
        with_cp=False,
        total_frames=768,
        adapter_index=None,
        adapter_type="Adapter",
        adapter_mlp_ratio=0.25,
        bi_adapter=False,
    ):
        super().__init__()
        eps = _eps(norm_cfg or {"type": "LN", "eps": 1e-6})
        adapted = _adapted_blocks(adapter_index, depth)
        if adapter_type not in ADAPTERS:
            raise ValueError(f"adapter_type {adapter_type!r} does not exist; {nearest(adapter_type, ADAPTERS)}")
        if total_frames % num_frames or num_frames % TUBELET:
            raise ValueError(f"total_frames {total_frames} must be whole clips of an even num_frames {num_frames}")
        self.patch_size, self.with_cp = patch_size, with_cp
        self.grid = (num_frames // TUBELET, img_size // patch_size, img_size // patch_size)
        self.out_channels = embed_dims

        def adapter(wanted):
            if not wanted:
                return None
            if adapter_type == "PlainAdapter":
                return PlainAdapter(embed_dims, adapter_mlp_ratio)
            return Adapter(embed_dims, adapter_mlp_ratio, temporal_size=total_frames // TUBELET)

        positions = self.grid[0] * self.grid[1] * self.grid[2]
        self.register_buffer("pos_embed", sine_cosine_table(positions, embed_dims)[None])
        self._resized = None  # (table it came from, its version, (h, w), resized table)
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

    def forward(self, clips):
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

    def adapt_state_dict(self, state):
        """Bring weights of this network in a foreign key style to its own keys; see `adapt_vit_keys`."""
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
