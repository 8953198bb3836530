"""A small transformer over time (Efficient-Prompt, Ju et al., ECCV 2022)."""

import torch
from torch import nn

from ...registry import POOLINGS

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
