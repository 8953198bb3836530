"""The class scores of all snippets so far, as checked arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...ops.records import ClassScores, RowScores

# N units, C classes

SUM_TOLERANCE = 1e-2  # of probabilities that a half-precision softmax gave


@dataclass(frozen=True)
class Units:
    """Snippets as arrays.

    Args:
        videos: (N,) names, as objects.
        starts, rows: (N,) int64, first row and number of rows of every snippet.
        labels: (N,) int64, -1 where the class is not known.
        probabilities: (N, C) float64.
        frames: (N,) int64, frames of the whole video, 0 where they are not known.
    """

    videos: np.ndarray
    starts: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    frames: np.ndarray

    def by_video(self) -> "Units":
        """Snippets of one name and one label brought together as one snippet each, in order of first appearance.

        Probabilities are means over a video's snippets and crops. Two class folders may hold files of one name, so
        snippets of one name but different labels are different videos.
        """
        numbers: dict[tuple[str, int], int] = {}
        pairs = zip(self.videos.tolist(), self.labels.tolist(), strict=True)
        index = np.array([numbers.setdefault(pair, len(numbers)) for pair in pairs], dtype=np.int64)
        count = np.bincount(index)
        sums = np.stack([np.bincount(index, column) for column in self.probabilities.T], axis=1)
        first = np.unique(index, return_index=True)[1]
        ends = np.zeros(len(count), dtype=np.int64)
        np.maximum.at(ends, index, self.starts + self.rows)
        starts = np.zeros_like(ends)
        return Units(self.videos[first], starts, ends, self.labels[first], sums / count[:, None], self.frames[first])


class UnitScores:
    """Takes in `ops.records.ClassScores` and `RowScores`, whose rows are snippets of their own; gives arrays.

    Args:
        classes: names of the classes by label.
        labelled: is a label of -1 (not known) an error?
    """

    def __init__(self, classes: Sequence[str], *, labelled: bool = True) -> None:
        self.classes, self.labelled = classes, labelled
        self._results: list[ClassScores | RowScores] = []
        self._units: Units | None = None

    def update(self, results: Sequence[ClassScores | RowScores]) -> None:
        """Take in a list of results.

        Raises:
            ValueError: another number of probabilities than classes, or of rows than the run has; some that are not
                finite, are negative or do not sum to 1; a label outside the classes; a snippet without rows or before
                the first. It names the video.
        """
        results = list(results)
        for result in results:
            shape, runs = np.shape(result.probabilities), isinstance(result, RowScores)
            if shape[runs:] != (len(self.classes),):
                raise ValueError(
                    f"video {result.meta.video!r}: probabilities of shape {shape}, but there are "
                    f"{len(self.classes)} classes"
                )
            if runs and shape[0] != result.meta.rows:
                raise ValueError(
                    f"video {result.meta.video!r}, run from row {result.meta.start}: scores of {shape[0]} rows, but "
                    f"the run has {result.meta.rows}"
                )
        if results:
            self._check(_arrays(results))
            self._results += results
            self._units = None

    def units(self) -> Units:
        """All snippets; ValueError if there are none."""
        if not self._results:
            raise ValueError("no results were given to this metric; call update(results) first")
        if self._units is None:
            self._units = _arrays(self._results)
        return self._units

    def _check(self, units):
        probabilities, classes = units.probabilities, len(self.classes)
        lowest = 0 if self.labelled else -1
        finite = np.isfinite(probabilities).all(axis=1)
        proper = (probabilities >= 0).all(axis=1) & (abs(probabilities.sum(axis=1) - 1) <= SUM_TOLERANCE)
        _all(finite, units, "probabilities are not finite (NaN or infinite)")
        _all(proper, units, "probabilities are negative or do not sum to 1")
        known = (units.labels >= lowest) & (units.labels < classes)
        _all(known, units, f"label {{label}} is not one of the {classes} classes, 0 to {classes - 1}")
        _all((units.starts >= 0) & (units.rows > 0), units, "a snippet has no rows, or begins before row 0")


def _arrays(results):
    metas = [result.meta for result in results]
    runs = np.array([isinstance(result, RowScores) for result in results])
    counts = np.where(runs, [meta.rows for meta in metas], 1)  # units of each result
    first = np.cumsum(counts) - counts

    def each(values):
        return np.repeat(np.array(list(values), dtype=np.int64), counts)

    videos = np.empty(len(results), dtype=object)
    videos[:] = [meta.video for meta in metas]
    return Units(
        np.repeat(videos, counts),
        each(meta.start for meta in metas) + np.arange(counts.sum()) - np.repeat(first, counts),
        each(np.where(runs, 1, [meta.rows for meta in metas])),
        each(result.label for result in results),
        np.concatenate([np.atleast_2d(result.probabilities) for result in results]).astype(np.float64),
        each(meta.frames or 0 for meta in metas),
    )


def _all(good, units, message):
    """ValueError about the first snippet that is not good."""
    if not good.all():
        i = int(np.argmin(good))
        text = message.format(label=units.labels[i])
        raise ValueError(f"video {units.videos[i]!r}, unit from row {units.starts[i]}: {text}")
