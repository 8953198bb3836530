"""Pooling over time: the steps of a sequence to one vector, from the plain mean to a small transformer.

Padded steps, where the mask is False, count for nothing. Every pooling starts as the mean, but for `MaxPooling` and an
`AttentionPooling` without `residual`.

B batch, T time steps, D width
"""

import torch
from torch import Tensor, nn

from ..registry import POOLINGS


@POOLINGS.register_module()
class MeanPooling(nn.Module):
    """Mean over the steps that are not padding."""

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, D), (B, T) bool or None -> (B, D)"""
        if mask is None:
            return features.mean(1)
        weight = mask.unsqueeze(2).to(features.dtype)
        return (features * weight).sum(1) / weight.sum(1)


@POOLINGS.register_module()
class MaxPooling(nn.Module):
    """Largest value of every channel over the steps that are not padding."""

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, D), (B, T) bool or None -> (B, D)"""
        if mask is not None:
            features = features.masked_fill(~mask.unsqueeze(2), float("-inf"))
        return features.amax(1)


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

    def __init__(self, width: int, heads: int = 1, residual: bool = False) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, width))
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.gain = nn.Parameter(torch.zeros(())) if residual else None
        self.mean = MeanPooling()

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, D), (B, T) bool or None -> (B, D)"""
        padding = None if mask is None else ~mask
        query = self.query.expand(len(features), -1, -1).to(features.dtype)
        found = self.attention(query, features, features, key_padding_mask=padding, need_weights=False)[0].squeeze(1)
        return found if self.gain is None else self.mean(features, mask) + self.gain * found


@POOLINGS.register_module()
class ScoredPooling(nn.Module):
    """Mean over the steps with the softmax of a learned score of each as its weight; it starts as the plain mean.

    Args:
        width: D.
        hidden: width of the layer before the score.
    """

    def __init__(self, width: int, hidden: int = 256) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        for parameter in self.score[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, D), (B, T) bool or None -> (B, D)"""
        scores = self.score(features).squeeze(2).float()
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        weights = torch.softmax(scores, dim=1).to(features.dtype)
        return torch.einsum("bt,btd->bd", weights, features)


@POOLINGS.register_module()
class TransformerPooling(nn.Module):
    """Mean over the steps after each has seen the others and their order (Efficient-Prompt, Ju et al., ECCV 2022).

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

    def __init__(
        self,
        width: int,
        frames: int,
        *,
        layers: int = 2,
        heads: int = 8,
        dropout: float = 0.0,
        activation: str = "relu",
        readout: dict | None = None,
    ) -> None:
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

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
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
