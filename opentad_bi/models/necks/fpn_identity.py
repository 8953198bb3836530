"""A neck that only normalises each level.

B batch, C channels, T_l length of level l, L levels
"""

from torch import Tensor, nn

from ...registry import NECKS
from ..layers.norm import ChannelNorm


@NECKS.register_module()
class FPNIdentity(nn.Module):
    """Layer normalisation of every level over its channels; padding is left as it comes out.

    Args:
        in_channels, out_channels: C, the same for both.
        num_levels: L.
    """

    def __init__(self, in_channels: int, out_channels: int, num_levels: int) -> None:
        super().__init__()
        if in_channels != out_channels:
            raise ValueError(f"FPNIdentity keeps the width: in_channels {in_channels} != {out_channels}")
        self.fpn_norms = nn.ModuleList(ChannelNorm(out_channels, eps=1e-6) for _ in range(num_levels))

    def forward(self, features: list[Tensor], masks: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """L features (B, C, T_l), L masks (B, T_l) -> the same."""
        return [norm(x) for norm, x in zip(self.fpn_norms, features, strict=True)], masks
