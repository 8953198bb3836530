"""Layer normalisation over the channels of a sequence."""

import torch.nn.functional as F
from torch import nn


class ChannelNorm(nn.LayerNorm):
    """Normalise every position over its channels.  (B, C, T) -> (B, C, T)"""

    def forward(self, x):
        x = F.layer_norm(x.transpose(1, 2), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.transpose(1, 2)
