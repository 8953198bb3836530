"""The metric of classification: accuracy, precision and recall per class, calibration."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...contracts import Metric
from ...ops.names import SINGLE
from ...ops.records import ClassScores, RowScores
from ...registry import METRICS
from ...utils.files import NameList, write_json
from ...utils.validation import check_choice, check_classes, check_count
from ..common.frame_annotation import TimedLabels
from ..common.tables import aligned, percent
from ..common.unit_scores import UnitScores
from ..viz.curves import draw_confusion, draw_reliability
from .calibration import TOP, Classification, classify

UNIT, VIDEO = "unit", "video"
PLAIN = ("loss", "brier")  # what is no fraction, so not shown in percent


@METRICS.register_module()
class Accuracy(Metric):
    """Classification of snippets and, where a video has several, of videos by the mean of their probabilities.

    The numbers are those of `classification.classify`; of videos they begin with "video_". Snippets of one name and one
    label, crops included, are one video.

    Args:
        classes: names by label: a list, or a text file with one per line.
        level: "unit" or "video": which of them `score` is about and the pictures show.
        select: "top1" or "macro": the number that `score` gives.
        bins: number of bins of the calibration errors.
        plots: also draw pictures in `save`.
        per_class: add the numbers of every class to `table`.
        annotation: temporal annotation for `read_frame_annotation`: a snippet that no event of its video touches has
            the label `normal_class`, whatever that of its video is. None: every snippet has the label of its video.
        normal_class: the class without anomalies, for `annotation`.
        frames_per_row: video frames per row of features, for `annotation`.
        scored: False: only take in and save results, labels may be unknown, and `compute` is an error.
    Raises:
        ValueError: an argument is none of its choices; no classes, or one twice.
        KeyError: `normal_class`, which `annotation` needs, is none of the classes.
    """

    classes: list[str]

    def __init__(
        self,
        *,
        classes: NameList,
        level: str = UNIT,
        select: str = "top1",
        bins: int = 15,
        plots: bool = True,
        per_class: bool = False,
        annotation: str | Path | None = None,
        normal_class: str | None = None,
        frames_per_row: int = 30,
        scored: bool = True,
    ) -> None:
        self.classes = check_classes(classes)
        self.level = check_choice("level", level, (UNIT, VIDEO))
        self.select = check_choice("select", select, ("top1", "macro"))
        self.bins = check_count("bins", bins)
        self.plots, self.per_class, self.scored = plots, per_class, scored
        self._timed = None
        if annotation is not None and scored:
            rows = check_count("frames_per_row", frames_per_row)
            self._timed = TimedLabels(annotation, self.classes, normal_class, rows)
        self._scores = UnitScores(self.classes, labelled=scored)
        self._reports: dict[str, Classification] = {}

    def update(self, results: Sequence[ClassScores | RowScores]) -> None:
        """Take in a list of `ops.records.ClassScores` or `RowScores`; ValueError, with the video, for a bad one."""
        self._reports = {}
        self._scores.update(results)

    def compute(self) -> dict[str, dict[str, float]]:
        """{"model": {"top1", ..., "video_top1", ...}}; ValueError if there were no results."""
        numbers = {}
        for level, report in self._levels().items():
            numbers.update({_key(level, name): value for name, value in report.numbers.items()})
        return {SINGLE: numbers}

    def score(self, metrics: dict[str, dict[str, float]]) -> float:
        """The number to select a checkpoint by, at the metric's `level` where it has two."""
        numbers = metrics[SINGLE]
        return numbers.get(_key(self.level, self.select), numbers[self.select])

    def table(self, metrics: dict[str, dict[str, float]]) -> str:
        """Text table of what `compute` returned, one row per level."""
        numbers = metrics[SINGLE]
        names = ["top1", f"top{TOP}", "macro", "macro_precision", "macro_recall", "macro_f1", "loss", "ece", "mce",
                 "adaptive_ece", "classwise_ece", "brier"]  # fmt: skip
        names = [name for name in names if name in numbers]
        rows = [["level", *names]]
        for level in (UNIT, VIDEO):
            values = {name: numbers[_key(level, name)] for name in names if _key(level, name) in numbers}
            if values:
                rows.append([level, *(_shown(name, value) for name, value in values.items())])
        return f"{aligned(rows)}\n\n{self.per_class_table()}" if self.per_class else aligned(rows)

    def per_class_table(self) -> str:
        """Text table of precision, recall, F1 and support of every class at the metric's level."""
        report = self._report()
        rows = [["class", "precision", "recall", "f1", "support"]]
        columns = (report.precision, report.recall, report.f1, report.support)
        for name, *values, support in zip(self.classes, *columns, strict=True):
            rows.append([name, *map(percent, values), str(support)])
        return aligned(rows)

    def save(self, folder: str | Path) -> None:
        """Write class_scores.json and, if scored, classification.json, confusion_matrix.png and calibration.png."""
        folder = Path(folder)
        write_json(folder / "class_scores.json", self._entries())
        if not self.scored:
            return
        levels = {level: _as_json(report, self.classes) for level, report in self._levels().items()}
        write_json(folder / "classification.json", {"classes": self.classes, "bins": self.bins, **levels})
        if self.plots:
            report = self._report()
            title = f"top-1 {100 * report.numbers['top1']:.2f} %, ECE {100 * report.numbers['ece']:.2f} %"
            draw_confusion(folder / "confusion_matrix.png", report.confusion, self.classes)
            draw_reliability(folder / "calibration.png", report.reliability, title)

    def _levels(self):
        """{level: Classification}, made once."""
        if not self.scored:
            raise ValueError("this metric was built with scored=False, so it has no labels to compute numbers by")
        if not self._reports:
            units = self._scores.units()
            levels = {UNIT: units, VIDEO: units.by_video()}
            if len(levels[VIDEO].labels) == len(units.labels):
                del levels[VIDEO]
            if self._timed:
                levels[UNIT] = replace(units, labels=self._timed(units))
            self._reports = {level: classify(of.labels, of.probabilities, self.bins) for level, of in levels.items()}
        return self._reports

    def _report(self):
        levels = self._levels()
        return levels.get(self.level, levels[UNIT])

    def _entries(self):
        """Every video with its label and its most probable classes."""
        videos = self._scores.units().by_video()
        best = np.argsort(-videos.probabilities, axis=1, kind="stable")[:, :TOP]
        return [
            {
                "video": video,
                "label": self.classes[label] if label >= 0 else None,
                "probabilities": {self.classes[k]: round(float(row[k]), 6) for k in top},
            }
            for video, label, row, top in zip(videos.videos, videos.labels, videos.probabilities, best, strict=True)
        ]


def _key(level, name):
    return f"{VIDEO}_{name}" if level == VIDEO else name


def _shown(name, value):
    return f"{value:.4f}" if name in PLAIN else percent(value)


def _as_json(report, classes):
    """A Classification as plain values, NaN as null."""
    columns = {"precision": report.precision, "recall": report.recall, "f1": report.f1}
    per_class = {
        name: {
            **{key: None if math.isnan(column[i]) else float(column[i]) for key, column in columns.items()},
            "support": int(report.support[i]),
        }
        for i, name in enumerate(classes)
    }
    return {
        "samples": int(report.support.sum()),
        **report.numbers,
        "per_class": per_class,
        "confusion": {"rows": "true class", "columns": "predicted class", "counts": report.confusion.tolist()},
    }
