"""All levels of a pyramid side by side, so that shared layers run once instead of once per level."""

import torch
import torch.nn.functional as F

# B batch, C channels, T_l length of level l, G gap, T sum of all T_l + G


def join_levels(features, masks, gap):
    """Put levels one after another with `gap` zero columns after each.

    Zero columns are what a convolution pads with, so kernels up to 2 * gap + 1 see the same as on single levels, as
    long as the gaps are masked to zero between layers.

    Args:
        features: (B, C, T_l) each.
        masks: (B, T_l) bool each.
    Returns:
        (B, C, T), (B, T) bool, False in the gaps.
    """
    x = torch.cat([F.pad(x.transpose(1, 2), (0, 0, 0, gap)) for x in features], dim=1)
    return x.transpose(1, 2), torch.cat([F.pad(mask, (0, gap)) for mask in masks], dim=1)


def part_levels(x, lengths, gap):
    """Undo `join_levels`.  (B, C, T) -> views (B, C, T_l)"""
    return [
        part[..., :length] for part, length in zip(x.split([n + gap for n in lengths], dim=2), lengths, strict=True)
    ]
