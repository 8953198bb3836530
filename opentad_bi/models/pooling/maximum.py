"""The largest values over time."""

from torch import nn

from ...registry import POOLINGS

# B batch, T time steps, D width


@POOLINGS.register_module()
class MaxPooling(nn.Module):
    """Largest value of every channel over the steps that are not padding."""

    def forward(self, features, mask=None):
        """(B, T, D), (B, T) bool or None -> (B, D)"""
        if mask is not None:
            features = features.masked_fill(~mask.unsqueeze(2), float("-inf"))
        return features.amax(1)
