"""Keep learned prompts near texts that a person wrote (after KgCoOp, Yao et al., CVPR 2023)."""

import torch
import torch.nn.functional as F
from torch import nn

from ..prompts.fixed_texts import FixedTexts

# M videos, K classes, E width of the joint space


class TextRegulariser(nn.Module):
    """Weight times (1 - mean cosine of the learned text features and those of a template).

    Args:
        classes, tower, tokens: as `FixedTexts` has them.
        weight: of the loss.
        template: text of a class, its name in the place of {}.
    """

    def __init__(self, classes, tower, tokens, *, weight, template):
        super().__init__()
        self.weight = weight
        texts = FixedTexts(classes, tower, tokens, template=template)
        with torch.no_grad():
            features = F.normalize(tower(*texts(tower.token_embedding)).float(), dim=1)
        self.register_buffer("features", features, persistent=False)  # (K, E)

    def forward(self, text):
        """Loss, 0-d, of text features (K, E) or (M, K, E)."""
        cosines = (F.normalize(text.float(), dim=-1) * self.features).sum(-1)
        return self.weight * (1 - cosines.mean())
