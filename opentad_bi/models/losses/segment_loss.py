"""Losses between predicted and true segments."""

from torch import nn

from ...ops.segments import segment_diou, segment_giou
from ...registry import LOSSES


@LOSSES.register_module()
class DIOULoss(nn.Module):
    """1 - distance IoU of each pair (Zheng et al., AAAI 2020).  (..., 2), (..., 2) -> (...) in [0, 2]

    Above 2 for a segment whose end lies before its start (see `ops.segments`).
    """

    def forward(self, predicted, target):
        return 1 - segment_diou(predicted.float(), target.float())


@LOSSES.register_module()
class GIOULoss(nn.Module):
    """1 - generalized IoU of each pair (Rezatofighi et al., CVPR 2019).  (..., 2), (..., 2) -> (...) in [0, 2]

    Above 2 for a segment whose end lies before its start (see `ops.segments`).
    """

    def forward(self, predicted, target):
        return 1 - segment_giou(predicted.float(), target.float())
