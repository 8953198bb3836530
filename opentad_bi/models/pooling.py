"""Pooling over the frames of a clip, (B, T, E) to (B, E).

The mean over time.

The largest values over time.

Attention of a learned query over time.

A mean over time, weighted by what each step shows.

A small transformer over time (Efficient-Prompt, Ju et al., ECCV 2022).
"""

import torch
from torch import nn

from ..registry import POOLINGS

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


# B batch, T time steps, D width


@POOLINGS.register_module()
class MaxPooling(nn.Module):
    """Largest value of every channel over the steps that are not padding."""

    def forward(self, features, mask=None):
        """(B, T, D), (B, T) bool or None -> (B, D)"""
        if mask is not None:
            features = features.masked_fill(~mask.unsqueeze(2), float("-inf"))
        return features.amax(1)


# B batch, T time steps, D width


@POOLINGS.register_module()
class AttentionPooling(nn.Module):
    """Multi-head attention of one learned query over the steps.

    With random weights it turns features away from the joint space, so a network on top of frozen features starts
    from nothing; `residual` starts as the mean.

    Args:
        width: D.
        heads: number of heads.
        residual: give mean + g * attention with a learned g that starts at 0.
    """

    def __init__(self, width, heads=1, residual=False):
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, width))
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.gain = nn.Parameter(torch.zeros(())) if residual else None
        self.mean = MeanPooling()

    def forward(self, features, mask=None):
        """(B, T, D), (B, T) bool or None -> (B, D)"""
        padding = None if mask is None else ~mask
        query = self.query.expand(len(features), -1, -1).to(features.dtype)
        found = self.attention(query, features, features, key_padding_mask=padding, need_weights=False)[0].squeeze(1)
        return found if self.gain is None else self.mean(features, mask) + self.gain * found


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


# B batch, T time steps, D width


@POOLINGS.register_module()
class TransformerPooling(nn.Module):
    """Mean over the steps after each has seen the others and their order.

    What the layers find is added through a linear layer that starts at zero, so the start is the plain mean.

    Args:
        width: D.
        frames: the most steps of a sequence.
        layers: number of layers, norm first.
        heads: number of heads.
        dropout: of the layers.
        activation: of the layers, "relu" or "gelu".
        readout: config of the pooling after the layers; None: the mean. `ScoredPooling` starts as that, too.
    """

    def __init__(self, width, frames, *, layers=2, heads=8, dropout=0.0, activation="relu", readout=None):
        super().__init__()
        if width % heads:
            raise ValueError(f"a width of {width} cannot be split into {heads} heads; take another number of heads")
        self.positions = nn.Parameter(torch.empty(frames, width).normal_(std=0.01))
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=dropout, activation=activation, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.readout = POOLINGS.build(readout or {"type": "MeanPooling"}, width=width)

    def forward(self, features, mask=None):
        """(B, T, D), (B, T) bool or None -> (B, D)"""
        steps = features.shape[1]
        if steps > len(self.positions):
            raise ValueError(
                f"a sequence of {steps} steps is longer than the {len(self.positions)} that the temporal pooling has "
                "positions for; give it as many frames"
            )
        x = features + self.positions[:steps].to(features.dtype)
        found = self.encoder(x, src_key_padding_mask=None if mask is None else ~mask)
        return self.readout(features + self.out(found), mask)
