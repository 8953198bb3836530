"""Curves of a training run from its log."""

import json
from pathlib import Path

from ..errors import require
from ..utils.files import atomic, read_text


def read_log(path):
    """Records of a log.jsonl, one dict per iteration or evaluation; FileNotFoundError, ValueError with the line."""
    records = []
    for number, line in enumerate(read_text(path, "log").splitlines(), start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(f"log {path}, line {number} is not JSON: {error}") from error
    return records


def evaluations(path):
    """{epoch, counted from 0: {"eval/...": number}} of a log; what a resumed run did again counts as the later."""
    found = {}
    for record in read_log(path):
        numbers = {key: value for key, value in record.items() if key.startswith("eval/")}
        if numbers:
            found[record["epoch"] - 1] = numbers
    return found


def epoch_losses(path):
    """{epoch: mean of the summed losses of its iterations} of a log."""
    sums = {}
    for record in read_log(path):
        parts = [value for key, value in record.items() if key.startswith("loss/")]
        if parts:
            # a record is written when the iteration is counted already, the last of an epoch included
            sums.setdefault(record["epoch"], {})[record["step"]] = sum(parts)
    return {epoch: sum(losses.values()) / len(losses) for epoch, losses in sums.items()}


def draw_curves(log, path, names=("top1", "macro", "video_top1", "auc", "ap")):
    """Draw the training loss, the validation loss and the validation numbers called `names` over the epochs, as PNG."""
    figure_module = require("matplotlib.figure", "matplotlib")
    losses, evals = epoch_losses(log), evaluations(log)
    figure = figure_module.Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(list(losses), list(losses.values()), label="training loss")
    series = {}
    for epoch, numbers in sorted(evals.items()):
        for key, value in numbers.items():
            series.setdefault(key.removeprefix("eval/"), []).append((epoch, value))
    for key, points in series.items():
        name = key.rpartition("/")[2]
        if name == "loss":
            left.plot(*zip(*points, strict=True), label="validation loss", marker=".")
        elif name in names:
            right.plot(*zip(*points, strict=True), label=name, marker=".")
    for axes, title in ((left, "loss"), (right, "validation")):
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        if axes.lines:
            axes.legend()
    with atomic(Path(path)) as temporary:
        figure.savefig(temporary, dpi=120)
