"""A square of numbers as a picture."""

from pathlib import Path

from ..errors import require
from ..utils.files import atomic

CELL_INCHES, MAX_LABELS = 0.45, 60


def draw_heat_map(path, values, names, *, title="", low=None, high=None):
    """Draw a square matrix with names on both sides; up to 20 names, the numbers too.

    Args:
        path: PNG (or PDF, SVG) to write.
        values: (K, K) numbers.
        names: K names.
        low, high: values of the ends of the colour scale (default: those of the matrix).
    """
    figure_module = require("matplotlib.figure", "matplotlib")
    count = len(names)
    side = min(4 + CELL_INCHES * count, 24)
    figure = figure_module.Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, vmin=low, vmax=high, cmap="viridis")
    if count <= MAX_LABELS:
        axes.set_xticks(range(count), names, rotation=90)
        axes.set_yticks(range(count), names)
    if count <= 20:
        middle = (image.norm.vmin + image.norm.vmax) / 2
        for (row, column), value in ((place, values[place]) for place in _places(count)):
            color = "white" if value < middle else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=color)
    axes.set_title(title)
    figure.colorbar(image, ax=axes, shrink=0.8)
    with atomic(Path(path)) as temporary:
        figure.savefig(temporary, dpi=110)


def _places(count):
    return ((row, column) for row in range(count) for column in range(count))
