"""The visual tower of an open_clip model in steps, so that more tokens may be put between them."""

import torch
from torch import nn

# N images, S side in pixels, L tokens, D width of the tower, E width of the joint space


class ImageEncoder(nn.Module):
    """Images to features, as `encode_image` of the model gives them.

    A `VisionTransformer` runs in three steps: `embed`, `blocks`, `readout`. Other towers (ResNets, timm's) run whole.

    Args:
        clip: the open_clip model; its visual tower is shared, not copied.
    """

    def __init__(self, clip):
        super().__init__()
        from open_clip.transformer import VisionTransformer

        self.visual = clip.visual
        plain = isinstance(self.visual, VisionTransformer) and self.visual.attn_pool is None
        self.stepwise = plain and self.visual.pool_type in ("tok", "avg")

    def forward(self, images):
        """(N, 3, S, S) float32, normalised -> (N, E), not normalised"""
        if not self.stepwise:
            return self.visual(images)
        return self.readout(self.blocks(self.visual.ln_pre(self.embed(images))))

    def embed(self, images):
        """Class token and patches with their positions, before the first norm: (N, 3, S, S) -> (N, L, D)"""
        patches = self.visual.conv1(images).flatten(2).transpose(1, 2)
        first = self.visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        x = torch.cat([first, patches], dim=1) + self.visual.positional_embedding.to(patches.dtype)
        return self.visual.patch_dropout(x)

    def blocks(self, x):
        """All residual blocks: (N, L, D) -> (N, L, D)"""
        return self.visual.transformer(x)

    def readout(self, x):
        """Class token (or mean of the patches), norm and projection: (N, L, D) -> (N, E)"""
        late = self.visual.final_ln_after_pool
        x = x if late else self.visual.ln_post(x)
        x = x[:, 0] if self.visual.pool_type == "tok" else x[:, 1:].mean(1)
        x = self.visual.ln_post(x) if late else x
        return x if self.visual.proj is None else x @ self.visual.proj
