"""What a classifier said of all units so far, as checked arrays."""

from dataclasses import dataclass

import numpy as np

# N units, C classes

SUM_TOLERANCE = 1e-2  # of probabilities that a half-precision softmax gave


@dataclass(frozen=True)
class Units:
    """Units as arrays.

    Args:
        videos: (N,) names, as objects.
        starts, rows: (N,) int64, first row and number of rows of every unit.
        labels: (N,) int64, -1 where the class is not known.
        probabilities: (N, C) float64.
    """

    videos: np.ndarray
    starts: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray

    def by_video(self):
        """Units of one name and one label brought together as one unit each, in order of first appearance.

        Probabilities are means over a video's units and crops. Two class folders may hold files of one name, so units
        of one name but different labels are different videos.
        """
        numbers = {}
        pairs = zip(self.videos.tolist(), self.labels.tolist(), strict=True)
        index = np.array([numbers.setdefault(pair, len(numbers)) for pair in pairs], dtype=np.int64)
        count = np.bincount(index)
        sums = np.stack([np.bincount(index, column) for column in self.probabilities.T], axis=1)
        first = np.unique(index, return_index=True)[1]
        ends = np.zeros(len(count), dtype=np.int64)
        np.maximum.at(ends, index, self.starts + self.rows)
        starts = np.zeros_like(ends)
        return Units(self.videos[first], starts, ends, self.labels[first], sums / count[:, None])


class UnitScores:
    """Takes in `ops.scores.ClassScores` and gives them back as arrays.

    Args:
        classes: names of the classes by label.
        labelled: is a label of -1 (not known) an error?
    """

    def __init__(self, classes, *, labelled=True):
        self.classes, self.labelled = classes, labelled
        self._results, self._units = [], None

    def update(self, results):
        """Take in a list of results.

        Raises:
            ValueError: another number of probabilities than classes; some that are not finite, are negative or do not
                sum to 1; a label outside the classes; a unit without rows or before the first. It names the video.
        """
        results = list(results)
        for result in results:
            shape = np.shape(result.probabilities)
            if shape != (len(self.classes),):
                raise ValueError(
                    f"video {result.meta.video!r}: probabilities of shape {shape}, but there are "
                    f"{len(self.classes)} classes"
                )
        if results:
            self._check(_arrays(results))
            self._results += results
            self._units = None

    def units(self):
        """All units; ValueError if there are none."""
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
        _all((units.starts >= 0) & (units.rows > 0), units, "a unit has no rows, or begins before row 0")


def _arrays(results):
    videos = np.empty(len(results), dtype=object)
    videos[:] = [result.meta.video for result in results]
    return Units(
        videos,
        np.array([result.meta.start for result in results], dtype=np.int64),
        np.array([result.meta.rows for result in results], dtype=np.int64),
        np.array([result.label for result in results], dtype=np.int64),
        np.stack([result.probabilities for result in results]).astype(np.float64),
    )


def _all(good, units, message):
    """ValueError about the first unit that is not good."""
    if not good.all():
        i = int(np.argmin(good))
        text = message.format(label=units.labels[i])
        raise ValueError(f"video {units.videos[i]!r}, unit from row {units.starts[i]}: {text}")
