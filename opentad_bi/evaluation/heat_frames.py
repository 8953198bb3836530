"""A frame of a video with a heat-map over it."""

from pathlib import Path

import numpy as np

from ..errors import require
from ..utils.files import atomic

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
