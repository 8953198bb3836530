"""Heat maps over frames.

A square of numbers as a picture.

A frame of a video with a heat-map over it.
"""

from pathlib import Path

import numpy as np

from ...errors import require
from ...utils.files import atomic

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


WIDEST, DPI, STRONGEST = 960, 100, 0.65  # pixels, dots per inch, share of the colour where it is hottest


def draw_heat_frame(path, image, heat, *, box=None, title=""):
    """Draw a frame under a heat-map of its size, the box of the heat framed.

    Args:
        path: PNG (or PDF, SVG) to write.
        image: uint8 (H, W, 3) RGB.
        heat: (H, W) in 0..1; what is cold is left as it is.
        box: (4,) xyxy in 0..1, or None.
        title: text above the picture.
    """
    figure_module = require("matplotlib.figure", "matplotlib")
    patches = require("matplotlib.patches", "matplotlib")
    height, width = heat.shape
    shown = min(1.0, WIDEST / width) * width / DPI
    figure = figure_module.Figure(figsize=(shown, shown * height / width + 0.3))
    below = 1 - 0.3 / (shown * height / width + 0.3)
    axes = figure.add_axes((0, 0, 1, below))
    axes.imshow(image)
    axes.imshow(heat, cmap="turbo", vmin=0, vmax=1, alpha=STRONGEST * np.asarray(heat))
    if box is not None:
        (x, y), (right, bottom) = np.reshape(box, (2, 2)) * (width, height) - 0.5
        axes.add_patch(patches.Rectangle((x, y), right - x, bottom - y, fill=False, edgecolor="white", linewidth=1.8))
    axes.set_axis_off()
    figure.text(0.01, (1 + below) / 2, title, va="center", fontsize=9, parse_math=False)  # a name is no formula
    with atomic(Path(path)) as temporary:
        figure.savefig(temporary, dpi=DPI)
