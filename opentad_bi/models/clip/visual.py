"""The visual tower of an open_clip model in steps, so that more tokens may be put between them."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint as recomputed

# N images, M videos, T frames, S side in pixels, L tokens, P more tokens, D width of the tower, E width of the joint
# space


class ImageEncoder(nn.Module):
    """Images to features, as `encode_image` of the model gives them.

    A `VisionTransformer` runs in three steps: `embed`, `blocks`, `readout`. Other towers (ResNets, timm's) run whole.

    Args:
        clip: the open_clip model; its visual tower is shared, not copied.
    Attributes:
        promptable: can more tokens be put between the steps?
        width, layers, patch: D, number of blocks and side of a patch in pixels; None where it is not.
    """

    def __init__(self, clip):
        super().__init__()
        from open_clip.transformer import ResidualAttentionBlock, VisionTransformer

        self.visual = clip.visual
        plain = isinstance(self.visual, VisionTransformer) and self.visual.attn_pool is None
        self.stepwise = plain and self.visual.pool_type in ("tok", "avg")
        blocks = self.visual.transformer.resblocks if self.stepwise else []
        self.promptable = self.stepwise and all(type(block) is ResidualAttentionBlock for block in blocks)
        self.width = self.layers = self.patch = None
        if self.promptable:
            self.width, self.layers, self.patch = self.visual.transformer.width, len(blocks), self.visual.patch_size[0]

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

    def prompted(self, frames, parts, checkpoint=False):
        """Features of frames that see more tokens than their own.

        Args:
            frames: (M, T, 3, S, S) float32, normalised.
            parts: list of `VisualPrompt`.
            checkpoint: forget what lies inside the blocks and compute it again for the gradient.
        Returns:
            features (M, T, E), not normalised, and what the parts say of the frames: a list over layers of (M, T, D) or
            None.
        Raises:
            ValueError: a tower in which nothing can be put between the steps.
        """
        if not self.promptable:
            raise ValueError(
                f"visual prompts need a VisionTransformer of open_clip with plain blocks and a class token or a mean "
                f"as its output, not this {type(self.visual).__name__}; take a model such as ViT-B-16, or no visual "
                "prompt"
            )
        shape = frames.shape[:2]
        x = self.embed(frames.flatten(0, 1)).unflatten(0, shape)
        own, summaries = x.shape[2], []
        for part in parts:
            x = part.enter(x)
        x = self.visual.ln_pre(x)
        more = [self.visual.ln_pre(tokens) for part in parts if (tokens := part.shallow()) is not None]
        for layer, block in enumerate(self.visual.transformer.resblocks):
            said = [part.beside(layer, x) for part in parts]
            more += [tokens for tokens, _ in said if tokens is not None]
            summaries.append(next((summary for _, summary in said if summary is not None), None))
            step = (block, x, *more)
            x, more = recomputed(_attend, *step, use_reentrant=False) if checkpoint else _attend(*step), []
        return self.readout(x[:, :, :own].flatten(0, 1)).unflatten(0, shape), summaries


def _attend(block, x, *more):
    """A residual block whose attention sees more keys and values: (M, T, L, D), (P, D) or (M, T, P, D) each -> x.

    The same as to append the tokens, run the block and drop them: they change nothing but what others read from them.
    """
    shape, x = x.shape[:2], x.flatten(0, 1)
    queries = block.ln_1(x)
    keys = [block.ln_1(tokens).to(queries.dtype).expand(*shape, -1, -1).flatten(0, 1) for tokens in more]
    keys = torch.cat([queries, *keys], dim=1) if more else queries
    x = x + block.ls_1(block.attention(queries, keys, keys))
    return (x + block.ls_2(block.mlp(block.ln_2(x)))).unflatten(0, shape)
