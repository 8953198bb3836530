"""Heat maps: a square of numbers, and a frame of a video with a heat-map over it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ...errors import require
from .curves import new_figure, save_figure

CELL_INCHES, MAX_LABELS = 0.45, 60
WIDEST, DPI, STRONGEST = 960, 100, 0.65  # pixels, dots per inch, opacity of the colour where it is hottest


def draw_heat_map(path: str | Path, values: np.ndarray, names: Sequence[str], *, title: str = "") -> None:
    """Draw a (K, K) matrix with its K names on both sides, as PNG (or PDF, SVG); up to 20 names, the numbers too."""
    count = len(names)
    side = min(4 + CELL_INCHES * count, 24)
    figure = new_figure(side + 1, side, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, cmap="viridis")
    if count <= MAX_LABELS:
        axes.set_xticks(range(count), names, rotation=90)
        axes.set_yticks(range(count), names)
    if count <= 20:
        middle = (image.norm.vmin + image.norm.vmax) / 2
        for (row, column), value in np.ndenumerate(values):
            color = "white" if value < middle else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=color)
    axes.set_title(title)
    figure.colorbar(image, ax=axes, shrink=0.8)
    save_figure(figure, path)


def draw_heat_frame(
    path: str | Path, image: np.ndarray, heat: np.ndarray, *, box: ArrayLike | None = None, title: str = ""
) -> None:
    """Draw a frame under a heat-map of its size, the box of the heat framed.

    Args:
        path: PNG (or PDF, SVG) to write.
        image: uint8 (H, W, 3) RGB.
        heat: (H, W) in 0..1; what is cold is left as it is.
        box: (4,) xyxy in 0..1, or None.
    """
    patches = require("matplotlib.patches", "matplotlib")
    height, width = heat.shape
    shown = min(1.0, WIDEST / width) * width / DPI
    figure = new_figure(shown, shown * height / width + 0.3)
    below = 1 - 0.3 / (shown * height / width + 0.3)
    axes = figure.add_axes((0, 0, 1, below))
    axes.imshow(image)
    axes.imshow(heat, cmap="turbo", vmin=0, vmax=1, alpha=STRONGEST * np.asarray(heat))
    if box is not None:
        (x, y), (right, bottom) = np.reshape(box, (2, 2)) * (width, height) - 0.5
        axes.add_patch(patches.Rectangle((x, y), right - x, bottom - y, fill=False, edgecolor="white", linewidth=1.8))
    axes.set_axis_off()
    figure.text(0.01, (1 + below) / 2, title, va="center", fontsize=9, parse_math=False)  # a name is no formula
    save_figure(figure, path, DPI)
