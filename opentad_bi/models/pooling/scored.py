"""A mean over time, weighted by what each step shows."""

import torch
from torch import nn

from ...registry import POOLINGS

# B batch, T time steps, D width


@POOLINGS.register_module()
class ScoredPooling(nn.Module):
    """Mean over the steps with the softmax of a learned score of each as its weight; it starts as the plain mean.

    Args:
        width: D.
        hidden: width of the layer before the score.
    """

    def __init__(self, width, hidden=256):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        nn.init.zeros_(self.score[-1].weight)
        nn.init.zeros_(self.score[-1].bias)

    def forward(self, features, mask=None):
        """(B, T, D), (B, T) bool or None -> (B, D)"""
        scores = self.score(features).squeeze(2).float()
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        weights = torch.softmax(scores, dim=1).to(features.dtype)
        return torch.einsum("bt,btd->bd", weights, features)
