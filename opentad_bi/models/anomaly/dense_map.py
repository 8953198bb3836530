"""Frames to features of the whole frame and of its patches, in one pass."""

from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint as recomputed

from ...utils.validation import check_choice
from ..clip.visual import ImageEncoder

# N frames, S side in pixels, h x w grid of patches, P = h * w, L = 1 + P tokens, D width of the tower, E of joint space

DENSE = ("value", "full")


class DenseEncoder(nn.Module):
    """Frame features as `encode_image` gives them and, beside them, tokens of the patches.

    "value" runs the last block once more, in which each patch attends to itself alone, so that its token says what
    stands there and not what the frame shows (as in MaskCLIP, Zhou et al., ECCV 2022, and FG-CLIP, Xie et al., ICML
    2025); "full" takes the patches of the last block as they are.

    Args:
        clip: the open_clip model; its visual tower is shared, not copied.
        dense: "value" or "full".
        checkpoint: forget what lies inside the blocks and compute it again for the gradient.
    Attributes:
        grid: (h, w).
    Raises:
        ValueError: another `dense`; a tower whose patches have no place in a grid, or whose blocks are of another kind.
    """

    def __init__(self, clip, dense="value", checkpoint=False):
        super().__init__()
        self.encoder = ImageEncoder(clip)
        self.dense, self.checkpoint = check_choice("dense", dense, DENSE), checkpoint
        visual = self.encoder.visual
        if not self.encoder.promptable or not isinstance(visual.patch_dropout, nn.Identity):
            raise ValueError(
                f"features of regions need a VisionTransformer of open_clip with plain blocks, a class token or a mean "
                f"as its output and no patch dropout, not this {type(visual).__name__}; take a model such as ViT-B-16"
            )
        self.grid = tuple(visual.grid_size)

    def forward(self, images, dense=True):
        """Features of frames and of their patches.

        Args:
            images: (N, 3, S, S) float32, normalised.
            dense: are the patches asked for?
        Returns:
            (N, E) not normalised, and tokens (N, P, D), row by row and not projected yet (see `project`), or None.
        """
        visual = self.encoder.visual
        *blocks, last = visual.transformer.resblocks
        x = visual.ln_pre(self.encoder.embed(images))
        for block in blocks:
            x = self._run(block, x)
        whole = self._run(last, x)
        features = self.encoder.readout(whole)
        if not dense:
            return features, None
        patches = whole[:, 1:] if self.dense == "full" else self._run(value_path, last, x[:, 1:])
        return features, visual.ln_post(patches)

    def project(self, tokens):
        """To the joint space, in float32: (..., D) -> (..., E). It is linear, so tokens may be averaged before."""
        proj = self.encoder.visual.proj
        return tokens.float() if proj is None else tokens.float() @ proj.float()

    def _run(self, step, *args):
        if not self.checkpoint:
            return step(*args)
        return recomputed(step, *args, use_reentrant=False, preserve_rng_state=False)


def value_path(block, x):
    """A residual block in which every token attends to itself alone: (N, L, D) -> (N, L, D)

    The same as the block with an attention mask that is open on the diagonal, at the price of two linear layers.
    """
    attention, width = block.attn, x.shape[-1]
    bias = None if attention.in_proj_bias is None else attention.in_proj_bias[2 * width :]
    values = F.linear(block.ln_1(x), attention.in_proj_weight[2 * width :], bias)
    x = x + block.ls_1(attention.out_proj(values))
    return x + block.ls_2(block.mlp(block.ln_2(x)))
