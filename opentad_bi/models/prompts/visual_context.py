"""Learned vectors among the tokens of an image (VPT, Jia et al., ECCV 2022), the same for all frames."""

import torch
from torch import nn

from ...registry import VISUAL_PROMPTS, nearest
from .visual_prompt import VisualPrompt

# M videos, T frames, L tokens of a frame, D width of the visual tower

DEPTHS = ("shallow", "throughout", "deep")


@VISUAL_PROMPTS.register_module()
class VisualContext(VisualPrompt):
    """Vectors behind the patches of every frame, without positions; with a learned text context: Dual-CoOp.

    Args:
        width: D.
        layers: of the visual tower.
        n_ctx: number of vectors; with 0 the tower is left as it is.
        depth: "shallow": they stand in the first layer alone; "throughout": what becomes of them goes on through all
            layers; "deep": every layer has vectors of its own.
        init_std: they start from N(0, init_std).
    Raises:
        ValueError: another depth, a negative number.
    """

    whole_clips = False

    def __init__(self, width, layers, *, n_ctx=8, depth="shallow", init_std=0.02):
        super().__init__()
        if depth not in DEPTHS:
            raise ValueError(f"depth {depth!r} of a visual context is unknown; {nearest(depth, DEPTHS, every=True)}")
        if not isinstance(n_ctx, int) or n_ctx < 0:
            raise ValueError(f"n_ctx {n_ctx!r} of a visual context must be a whole number, at least 0")
        self.depth = depth
        shape = (layers, n_ctx, width) if depth == "deep" else (n_ctx, width)
        self.ctx = nn.Parameter(torch.empty(shape).normal_(std=init_std)) if n_ctx else None

    def enter(self, x):
        """(M, T, L, D) -> (M, T, L + n_ctx, D) where they stay, else the same"""
        if self.ctx is None or self.depth != "throughout":
            return x
        return torch.cat([x, self.ctx.to(x.dtype).expand(*x.shape[:2], -1, -1)], dim=2)

    def shallow(self):
        """The vectors of the first layer: (n_ctx, D) or None"""
        if self.ctx is None or self.depth == "throughout":
            return None
        return self.ctx[0] if self.depth == "deep" else self.ctx

    def beside(self, layer, x):
        """The vectors of a later layer: (n_ctx, D) or None, and no summary"""
        return (self.ctx[layer] if self.depth == "deep" and self.ctx is not None and layer else None), None
