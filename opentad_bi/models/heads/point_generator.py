"""Points of all levels of a pyramid."""

from ...ops.segments import level_points
from ...registry import POINT_GENERATORS

# T_l points of level l, L levels


@POINT_GENERATORS.register_module()
class PointGenerator:
    """Where each level looks.

    Args:
        strides: L distances between neighbouring points, in grid positions.
        regression_range: L pairs (low, high): how far the longer boundary of a level's instances may be.
        use_offset: points sit in the middle of their cells, at (i + 0.5) * stride, instead of at i * stride.
    """

    def __init__(self, strides, regression_range, use_offset=False):
        if len(strides) != len(regression_range):
            raise ValueError(f"{len(strides)} strides, but {len(regression_range)} regression ranges")
        self.strides = list(strides)
        self.regression_range = [tuple(pair) for pair in regression_range]
        self.shift = 0.5 if use_offset else 0.0

    def __call__(self, lengths, device=None):
        """L lengths T_l -> L tensors (T_l, 4), rows (position, range low, range high, stride)."""
        levels = zip(lengths, self.strides, self.regression_range, strict=True)
        return [level_points(length, stride, pair, device, self.shift) for length, stride, pair in levels]
