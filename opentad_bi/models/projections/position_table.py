"""Sine-cosine positions added to a sequence."""

import torch.nn.functional as F
from torch import nn

from ..backbones.positions import sine_cosine_table

# B batch, C channels, T time


class PositionTable(nn.Module):
    """Add the table of `max_seq_len` positions over sqrt(C), zero in the padding.

    In evaluation a sequence at least that long gets the table stretched linearly; in training it must fit.
    """

    def __init__(self, channels, max_seq_len):
        super().__init__()
        table = sine_cosine_table(max_seq_len, channels).T[None] / channels**0.5
        self.register_buffer("table", table, persistent=False)  # (1, C, max_seq_len)

    def forward(self, x, mask):
        """(B, C, T), (B, T) bool -> (B, C, T)"""
        table, length = self.table, x.shape[-1]
        if length > table.shape[-1] and self.training:
            raise ValueError(f"{length} positions in training, but max_seq_len is {table.shape[-1]}")
        if length >= table.shape[-1] and not self.training:
            table = F.interpolate(table, length, mode="linear", align_corners=False)
        return x + table[..., :length] * mask[:, None].to(x.dtype)
