"""One learned factor."""

import torch
from torch import nn


class Scale(nn.Module):
    """Multiply by a learned scalar that starts at 1."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return x * self.scale
