"""Points of a temporal pyramid: where each level looks, and for which lengths it is responsible."""

import torch

# T_l points of one level


def level_points(length, stride, regression_range, device=None):
    """Points of one level, at 0, stride, 2 * stride, ...  -> (T_l, 4) float32.

    A row is (position on the grid, range low, range high, stride); `regression_range` is (low, high) in grid
    positions, and points sit on the first position of their cell, not in its middle.
    """
    low, high = regression_range
    position = torch.arange(length, device=device, dtype=torch.float32) * stride
    return torch.stack([position, *(torch.full_like(position, v) for v in (low, high, stride))], dim=1)
