"""A picture of a video's anomaly score over time."""

import re
import zlib
from pathlib import Path

import numpy as np

from ..errors import require
from ..utils.files import atomic

# R feature rows of one video

LONGEST = 120  # characters of a file's name


def draw_score_curve(path, scores, seconds_per_row, *, events=(), found=(), threshold=None, title=""):
    """Draw the score of every row over seconds, true events and what was found shaded.

    Args:
        path: PNG (or PDF, SVG) to write.
        scores: (R,) floats in [0, 1].
        seconds_per_row: length of a row, or (R + 1,) edges of the rows in seconds.
        events: pairs (start, end) in seconds.
        found: pairs (start, end) in seconds.
        threshold: score that is marked, or None.
        title: text above the picture.
    """
    figure = require("matplotlib.figure", "matplotlib").Figure(figsize=(8, 2.4), layout="constrained")
    axes = figure.subplots()
    for name, color, spans in (("event", "#d9822b", events), ("found", "#1f77b4", found)):
        for i, (start, end) in enumerate(spans):
            axes.axvspan(start, end, color=color, alpha=0.3, linewidth=0, label=name if i == 0 else None)
    if threshold is not None:
        axes.axhline(threshold, color="#59626e", linewidth=0.8, linestyle="--", label="threshold")
    edges = seconds_per_row if np.ndim(seconds_per_row) else np.arange(len(scores) + 1) * seconds_per_row
    axes.stairs(scores, edges, baseline=None, color="#1f77b4", linewidth=1.2, label="score")
    axes.set(xlim=(0, edges[-1]), ylim=(-0.02, 1.02), xlabel="seconds", ylabel="anomaly score")
    axes.set_title(title, loc="left", fontsize=9, parse_math=False)  # a name is no formula
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=8, loc="outside upper right", ncols=4)
    with atomic(Path(path)) as temporary:
        figure.savefig(temporary, dpi=110)


def file_stem(name):
    """A name of a file for a video's name: the same where it is harmless, else changed and made unique."""
    safe = re.sub(r"[^\w.=#+-]", "_", name, flags=re.ASCII).lstrip(".")[:LONGEST]
    return safe if safe and safe == name else f"{safe}-{zlib.crc32(name.encode(errors='surrogatepass')):08x}"
