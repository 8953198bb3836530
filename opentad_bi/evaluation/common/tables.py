"""Metrics as plain text tables, in percent."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

SHOWN = ("top1", "top5", "macro", "ece")  # what tables of several classifications have room for


def metrics_table(metrics: dict[str, dict[str, float]]) -> str:
    """One row per direction, one column per metric; recalls, if any, in a table below.

    {direction: {metric: fraction}} -> text.
    """
    keys = list(dict.fromkeys(key for values in metrics.values() for key in values))
    recalls = [key for key in keys if key.startswith("recall")]
    precisions = sorted((key for key in keys if key not in recalls), key=lambda key: key == "average_mAP")
    return "\n\n".join(_columns(metrics, columns) for columns in (precisions, recalls) if columns)


def _columns(metrics, columns):
    """The table of some metrics."""
    rows = [["direction", *columns]]
    for direction, values in metrics.items():
        rows.append([direction, *(percent(values.get(column)) for column in columns)])
    return aligned(rows)


def percent(value: float | None) -> str:
    """A fraction in percent, a dash for None and NaN."""
    return "-" if value is None or math.isnan(value) else f"{100 * value:.2f}"


def numbers_table(
    head: Sequence[str], rows: Sequence[tuple[Sequence, Mapping]], text: Callable[..., str] = percent
) -> str:
    """Several classifications side by side: the numbers `SHOWN`, those that any row has.

    Args:
        head: titles of the first columns.
        rows: list of (texts of the first columns, {name: number}).
        text: makes a text of a number, or of None where a row has none.
    """
    shown = [name for name in SHOWN if any(name in numbers for _, numbers in rows)]
    cells = [[*map(str, first), *(text(numbers.get(name)) for name in shown)] for first, numbers in rows]
    return aligned([[*head, *shown], *cells])


def class_table(reports: Mapping[str, Any]) -> str:
    """One row per class; for each direction the average precision at every threshold and their mean.

    Args:
        reports: {direction: `detection.mean_ap.Report`}; with several directions only the means are shown.
    """
    first = next(iter(reports.values()))
    if len(reports) == 1:
        heads = [*(f"AP@{metric_name(t)}" for t in first.thresholds), "mean"]
        columns = [*first.ap, first.ap.mean(axis=0)]
    else:
        heads = list(reports)
        columns = [report.ap.mean(axis=0) for report in reports.values()]
    rows = [["class", *heads]]
    for i, label in enumerate(first.classes):
        rows.append([str(label), *(percent(column[i]) for column in columns)])
    return aligned([*rows, ["all", *(percent(column.mean()) for column in columns)]])


def metric_name(threshold: float) -> str:
    """A threshold in the key of a metric: two decimals, more where it has more."""
    return f"{threshold:.2f}" if abs(round(threshold, 2) - threshold) < 1e-6 else f"{threshold:g}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text in columns: the first to the left, the others to the right, a line below the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])
