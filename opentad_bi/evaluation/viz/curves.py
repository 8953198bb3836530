"""Pictures of numbers: curves of a training from its log, anomaly scores over time, confusion, calibration.

R feature rows of one video, C classes, K bins
"""

import json
import re
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import require
from ...utils.files import atomic, read_text

LONGEST = 120  # characters of a file's name
NAMED, COUNTED = 60, 25  # most classes whose names, and whose counts, can be read
DRAWN = ("top1", "macro", "video_top1", "auc", "ap")  # numbers of an evaluation
BLUE, GREY = "#1f77b4", "#8a8f98"


def new_figure(width: float, height: float, **options: Any) -> Any:
    """A matplotlib Figure of that size in inches, which needs no display."""
    return require("matplotlib.figure", "matplotlib").Figure(figsize=(width, height), **options)


def save_figure(figure: Any, path: str | Path, dpi: int = 110, **options: Any) -> None:
    """Write a figure to `path`, atomically; the suffix says in which format."""
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=dpi, **options)


def read_log(path: str | Path) -> list[dict]:
    """Records of a log.jsonl, one dict per iteration or evaluation; FileNotFoundError, ValueError with the line."""
    records = []
    for number, line in enumerate(read_text(path, "log").splitlines(), start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(f"log {path}, line {number} is not JSON: {error}") from error
    return records


def evaluations(path: str | Path) -> dict[int, dict[str, float]]:
    """{epoch, counted from 0: {"eval/...": number}} of a log; what a resumed run did again counts as the later."""
    found = {}
    for record in read_log(path):
        numbers = {key: value for key, value in record.items() if key.startswith("eval/")}
        if numbers:
            found[record["epoch"] - 1] = numbers
    return found


def epoch_losses(path: str | Path) -> dict[int, float]:
    """{epoch: mean of the summed losses of its iterations} of a log."""
    sums: dict[int, dict[int, float]] = {}
    for record in read_log(path):
        parts = [value for key, value in record.items() if key.startswith("loss/")]
        if parts:
            # a record is written when the iteration is counted already, the last of an epoch included
            sums.setdefault(record["epoch"], {})[record["step"]] = sum(parts)
    return {epoch: sum(losses.values()) / len(losses) for epoch, losses in sums.items()}


def draw_curves(log: str | Path, path: str | Path) -> None:
    """Draw the training loss, the validation loss and the validation numbers of `DRAWN` over the epochs, as PNG."""
    losses, evals = epoch_losses(log), evaluations(log)
    figure = new_figure(10, 4, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(list(losses), list(losses.values()), label="training loss")
    series: dict[str, list[tuple[int, float]]] = {}
    for epoch, numbers in sorted(evals.items()):
        for key, value in numbers.items():
            series.setdefault(key.removeprefix("eval/"), []).append((epoch, value))
    for key, points in series.items():
        name = key.rpartition("/")[2]
        if name == "loss":
            left.plot(*zip(*points, strict=True), label="validation loss", marker=".")
        elif name in DRAWN:
            right.plot(*zip(*points, strict=True), label=name, marker=".")
    for axes, title in ((left, "loss"), (right, "validation")):
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        if axes.lines:
            axes.legend()
    save_figure(figure, path, 120)


def draw_score_curve(
    path: str | Path,
    scores: np.ndarray,
    seconds_per_row: float | np.ndarray,
    *,
    events: Iterable[tuple[float, float]] = (),
    found: Iterable[tuple[float, float]] = (),
    threshold: float | None = None,
    title: str = "",
) -> None:
    """Draw the score of every row over seconds, true events and what was found shaded.

    Args:
        path: PNG (or PDF, SVG) to write.
        scores: (R,) floats in [0, 1].
        seconds_per_row: length of a row, or (R + 1,) edges of the rows in seconds.
        events: pairs (start, end) in seconds.
        found: pairs (start, end) in seconds.
        threshold: score that is marked, or None.
    """
    figure = new_figure(8, 2.4, layout="constrained")
    axes = figure.subplots()
    for name, color, spans in (("event", "#d9822b", events), ("found", BLUE, found)):
        for i, (start, end) in enumerate(spans):
            axes.axvspan(start, end, color=color, alpha=0.3, linewidth=0, label=name if i == 0 else None)
    if threshold is not None:
        axes.axhline(threshold, color="#59626e", linewidth=0.8, linestyle="--", label="threshold")
    edges = np.asarray(seconds_per_row)
    edges = edges if edges.ndim else np.arange(len(scores) + 1) * edges
    axes.stairs(scores, edges, baseline=None, color=BLUE, linewidth=1.2, label="score")
    axes.set(xlim=(0, edges[-1]), ylim=(-0.02, 1.02), xlabel="seconds", ylabel="anomaly score")
    axes.set_title(title, loc="left", fontsize=9, parse_math=False)  # a name is no formula
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=8, loc="outside upper right", ncols=4)
    save_figure(figure, path)


def file_stem(name: str) -> str:
    """A name of a file for a video's name: the same where it is harmless, else changed and made unique."""
    safe = re.sub(r"[^\w.=#+-]", "_", name, flags=re.ASCII).lstrip(".")[:LONGEST]
    return safe if safe and safe == name else f"{safe}-{zlib.crc32(name.encode(errors='surrogatepass')):08x}"


def draw_confusion(path: str | Path, confusion: np.ndarray, classes: Sequence[str]) -> None:
    """Draw a confusion matrix, coloured by the share of each true class.

    Args:
        path: PNG (or PDF, SVG) to write.
        confusion: (C, C) int, row true class, column predicted class.
        classes: C names.
    """
    count = len(classes)
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = min(2.5 + 0.42 * count, 14)
    figure = new_figure(side + 1, side)
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
    save_figure(figure, path, bbox_inches="tight")


def draw_reliability(path: str | Path, table: Any, title: str = "") -> None:
    """Draw accuracy over confidence, with the number of samples below.

    Args:
        path: PNG (or PDF, SVG) to write.
        table: calibration.Reliability of K bins of equal width.
    """
    bins = len(table.count)
    middles = (np.arange(bins) + 0.5) / bins
    figure = new_figure(4.6, 5.4, layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    filled = table.count > 0
    top.bar(middles[filled], table.accuracy[filled], 0.94 / bins, color=BLUE)
    top.plot([0, 1], [0, 1], "--", lw=1, color=GREY)
    top.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    top.set_title(title, loc="left", fontsize=9, parse_math=False)
    bottom.bar(middles, table.count, 0.94 / bins, color=GREY)
    bottom.set(xlabel="confidence", ylabel="samples")
    save_figure(figure, path, bbox_inches="tight")
