"""Pictures of a classification: which classes are taken for which, and what confidence is worth."""

from pathlib import Path

import numpy as np

from ..errors import require
from ..utils.files import atomic

# C classes, K bins

NAMED, COUNTED = 60, 25  # most classes whose names, and whose counts, can be read
BLUE, GREY = "#1f77b4", "#8a8f98"


def draw_confusion(path, confusion, classes):
    """Draw a confusion matrix, coloured by the share of each true class.

    Args:
        path: PNG (or PDF, SVG) to write.
        confusion: (C, C) int, row true class, column predicted class.
        classes: C names.
    """
    count = len(classes)
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = min(2.5 + 0.42 * count, 14)
    figure = require("matplotlib.figure", "matplotlib").Figure(figsize=(side + 1, side))
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=axes, label="share of the true class", fraction=0.046)
    if count <= NAMED:
        # names are not formulas, whatever dollars are in them
        axes.set_xticks(range(count), classes, rotation=90, fontsize=8, parse_math=False)
        axes.set_yticks(range(count), classes, fontsize=8, parse_math=False)
    if count <= COUNTED:
        for (row, column), number in np.ndenumerate(confusion):
            if number:
                color = "white" if share[row, column] > 0.55 else "black"
                axes.text(column, row, str(number), ha="center", va="center", fontsize=7, color=color)
    axes.set(xlabel="predicted", ylabel="true")
    _save(figure, path)


def draw_reliability(path, table, title=""):
    """Draw accuracy over confidence, with the number of samples below.

    Args:
        path: PNG (or PDF, SVG) to write.
        table: calibration.Reliability of K bins of equal width.
        title: text above the picture.
    """
    bins = len(table.count)
    middles = (np.arange(bins) + 0.5) / bins
    figure = require("matplotlib.figure", "matplotlib").Figure(figsize=(4.6, 5.4), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    filled = table.count > 0
    top.bar(middles[filled], table.accuracy[filled], 0.94 / bins, color=BLUE)
    top.plot([0, 1], [0, 1], "--", lw=1, color=GREY)
    top.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    top.set_title(title, loc="left", fontsize=9, parse_math=False)
    bottom.bar(middles, table.count, 0.94 / bins, color=GREY)
    bottom.set(xlabel="confidence", ylabel="samples")
    _save(figure, path)


def _save(figure, path):
    with atomic(Path(path)) as temporary:
        figure.savefig(temporary, dpi=110, bbox_inches="tight")
