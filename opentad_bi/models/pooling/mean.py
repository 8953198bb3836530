"""The mean over time."""

from torch import nn

from ...registry import POOLINGS

# B batch, T time steps, D width


@POOLINGS.register_module()
class MeanPooling(nn.Module):
    """Mean over the steps that are not padding."""

    def forward(self, features, mask=None):
        """(B, T, D), (B, T) bool or None -> (B, D)"""
        if mask is None:
            return features.mean(1)
        weight = mask.unsqueeze(2).to(features.dtype)
        return (features * weight).sum(1) / weight.sum(1)
