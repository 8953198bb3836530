"""Points of a temporal pyramid: where each level looks, and for which lengths it is responsible."""

import torch

# T_l points of one level


def level_points(length, stride, regression_range, device=None, shift=0.0):
    """Points of one level, at (i + shift) * stride for i = 0, 1, ...  -> (T_l, 4) float32.

    A row is (position on the grid, range low, range high, stride); `regression_range` is (low, high) in grid
    positions. Points sit on the first position of their cell, or in its middle with a `shift` of 0.5.
    """
    low, high = regression_range
    position = torch.arange(length, device=device, dtype=torch.float32).add_(shift) * stride
    return torch.stack([position, *(torch.full_like(position, v) for v in (low, high, stride))], dim=1)
