"""A context that follows the video (CoCoOp, Zhou et al., CVPR 2022)."""

import torch
from torch import nn

from ...registry import PROMPTS
from .prompt_learner import PromptLearner

# M videos, K classes, L positions, D width of the text tower, E width of the joint space


@PROMPTS.register_module()
class ConditionalPromptLearner(PromptLearner):
    """Prompts of all classes for every video: a small network turns its feature into a shift of all context vectors.

    Args:
        classes, tower, tokens, ctx_mode, n_ctx, ctx_init, class_prompts, csc, class_token_position, on_overflow,
            init_std: as `PromptLearner` has them.
        reduction: the hidden layer has E / reduction units, at least one.
    """

    conditional = True

    def __init__(
        self,
        classes,
        tower,
        tokens,
        *,
        ctx_mode="random",
        n_ctx=None,
        ctx_init=None,
        class_prompts=None,
        csc=False,
        class_token_position="end",
        on_overflow="error",
        init_std=0.02,
        reduction=16,
    ):
        super().__init__(
            classes,
            tower,
            tokens,
            ctx_mode=ctx_mode,
            n_ctx=n_ctx,
            ctx_init=ctx_init,
            class_prompts=class_prompts,
            csc=csc,
            class_token_position=class_token_position,
            on_overflow=on_overflow,
            init_std=init_std,
        )
        hidden = max(1, tower.embed_dim // reduction)
        self.shift = nn.Sequential(nn.Linear(tower.embed_dim, hidden), nn.ReLU(), nn.Linear(hidden, tower.width))

    def forward(self, embedding, condition):
        """Prompts of all classes for every video, as far as the tower must see them.

        Args:
            embedding: the token embedding of the tower.
            condition: (M, E) float, normalised features of the videos.
        Returns:
            embeddings (M * K, L, D), the classes of the first video first, and the places of the end of text (M * K,).
        """
        plain, eot = super().forward(embedding)
        learned = (self.source[:, : self.length] >= 0).unsqueeze(2).to(plain.dtype)  # (K, L, 1)
        shift = self.shift(condition).to(plain.dtype)[:, None, None]  # (M, 1, 1, D)
        return torch.addcmul(plain, learned, shift).flatten(0, 1), eot.repeat(len(condition))
