"""Losses of detectors: focal loss of the classes, IoU losses of the segments."""

import torch.nn.functional as F
from torch import Tensor, nn

from ...ops.segments import segment_diou, segment_giou
from ...registry import LOSSES


@LOSSES.register_module()
class FocalLoss(nn.Module):
    """Sigmoid focal loss (Lin et al., ICCV 2017), elementwise, in float32; targets may be soft.

    Args:
        gamma: exponent that plays down well-classified elements.
        alpha: weight of positives, 1 - alpha that of negatives; negative for no weighting.
    """

    def __init__(self, gamma: float = 2.0, alpha: float = 0.25) -> None:
        super().__init__()
        self.gamma, self.alpha = gamma, alpha

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(...) logits, (...) targets in [0, 1] -> (...) float32"""
        logits, targets = logits.float(), targets.float()
        p = logits.sigmoid()
        p_t = p * targets + (1 - p) * (1 - targets)
        loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="none") * (1 - p_t) ** self.gamma
        if self.alpha >= 0:
            loss = loss * (self.alpha * targets + (1 - self.alpha) * (1 - targets))
        return loss


@LOSSES.register_module()
class DIOULoss(nn.Module):
    """1 - distance IoU of each pair (Zheng et al., AAAI 2020).

    Above 2 for a segment whose end lies before its start (see `ops.segments`).
    """

    def forward(self, predicted: Tensor, target: Tensor) -> Tensor:
        """(..., 2), (..., 2) -> (...) in [0, 2]"""
        return 1 - segment_diou(predicted.float(), target.float())


@LOSSES.register_module()
class GIOULoss(nn.Module):
    """1 - generalized IoU of each pair (Rezatofighi et al., CVPR 2019).

    Above 2 for a segment whose end lies before its start (see `ops.segments`).
    """

    def forward(self, predicted: Tensor, target: Tensor) -> Tensor:
        """(..., 2), (..., 2) -> (...) in [0, 2]"""
        return 1 - segment_giou(predicted.float(), target.float())
