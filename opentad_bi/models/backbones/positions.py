"""The fixed sine-cosine table that tells a video transformer where a token lies."""

import torch
import torch.nn.functional as F

# P positions, D width, t h w tokens along time, height, width


def sine_cosine_table(positions, width):
    """Table of Vaswani et al. (NeurIPS 2017): sine in even columns, cosine in odd ones.  -> (P, D) float32.

    Column j of row p is the angle p / 10000^(2 floor(j/2) / D); angles are taken in float64.
    """
    column = torch.arange(width, dtype=torch.float64)
    frequency = 10000.0 ** (-2 * torch.div(column, 2, rounding_mode="floor") / width)
    angle = torch.arange(positions, dtype=torch.float64)[:, None] * frequency
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()


def resize_table(table, grid, size):
    """Resize a table laid over `grid` = (t, h, w) to `size` = (h', w'), each frame by bicubic interpolation.

    (1, t*h*w, D) -> (1, t*h'*w', D); the same tensor comes back where nothing changes.
    """
    frames, *source = grid
    if tuple(source) == tuple(size):
        return table
    maps = table.reshape(frames, *source, -1).permute(0, 3, 1, 2)
    maps = F.interpolate(maps, size=tuple(size), mode="bicubic", align_corners=False)
    return maps.permute(0, 2, 3, 1).reshape(1, -1, table.shape[-1])
