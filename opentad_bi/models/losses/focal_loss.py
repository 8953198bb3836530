"""Focal loss (Lin et al., ICCV 2017)."""

import torch.nn.functional as F
from torch import nn

from ...registry import LOSSES


@LOSSES.register_module()
class FocalLoss(nn.Module):
    """Sigmoid focal loss, elementwise, in float32; targets may be soft.

    Args:
        gamma: exponent that hushes well-classified elements.
        alpha: weight of positives, 1 - alpha that of negatives; negative for no weighting.
    """

    def __init__(self, gamma=2.0, alpha=0.25):
        super().__init__()
        self.gamma, self.alpha = gamma, alpha

    def forward(self, logits, targets):
        """(...) logits, (...) targets in [0, 1] -> (...) float32"""
        logits, targets = logits.float(), targets.float()
        p = logits.sigmoid()
        p_t = p * targets + (1 - p) * (1 - targets)
        loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="none") * (1 - p_t) ** self.gamma
        if self.alpha >= 0:
            loss = loss * (self.alpha * targets + (1 - self.alpha) * (1 - targets))
        return loss
