"""Numbers of a classification: accuracy, precision and recall, calibration.

Calibration asks: does a classifier that is sure of something to 80 % get 80 % of it right?

N samples, C classes, K bins
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import require

TOP = 5
TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Reliability:
    """Samples in bins of confidence.

    Args:
        count: (K,) int64, samples in each bin.
        confidence: (K,) float64, mean confidence of each bin, 0 where it is empty.
        accuracy: (K,) float64, share that is right of each bin, 0 where it is empty.
    """

    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def gaps(self) -> np.ndarray:
        """(K,) float64, how far confidence is from accuracy; 0 in an empty bin."""
        return np.abs(self.accuracy - self.confidence)

    @property
    def ece(self) -> float:
        """Expected calibration error: mean gap, weighted by samples (Naeini et al. 2015; Guo et al. 2017)."""
        return float(self.gaps @ self.count / self.count.sum())

    @property
    def mce(self) -> float:
        """Maximum calibration error: the largest gap of a bin (the same papers)."""
        return float(self.gaps.max())


def reliability(confidence: ArrayLike, correct: np.ndarray, bins: int = 15, *, adaptive: bool = False) -> Reliability:
    """Sort samples into bins by confidence.

    Args:
        confidence: (N,) floats in [0, 1].
        correct: (N,) bool.
        bins: number of bins K.
        adaptive: bins of equal mass (Nguyen and O'Connor 2015; Nixon et al. 2019) in place of equal width. Equal
            confidences share a bin, so the order of the samples does not matter.
    Returns:
        Reliability of K bins; those of equal width are (k / K, (k + 1) / K], the first one with 0.
    """
    confidence = np.asarray(confidence, dtype=np.float64)
    if adaptive:
        before = np.searchsorted(np.sort(confidence), confidence)  # samples with less confidence
        index = before * bins // len(confidence)
    else:
        index = _equal_width(confidence, bins)
    return _filled(index, confidence, correct, bins)


def classwise_ece(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Mean over the classes of the expected calibration error of each class against the rest (Kull et al. 2019).

    (N, C) float, (N,) int -> float
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    samples, classes = probabilities.shape
    hits = np.asarray(labels)[:, None] == np.arange(classes)
    index = _equal_width(probabilities, bins) + bins * np.arange(classes)
    table = _filled(index.ravel(), probabilities.ravel(), hits.ravel(), bins * classes)
    return float(table.gaps @ table.count / (samples * classes))


def brier_score(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the samples of the squared distance to the true one-hot vector, 0 to 2 (Brier 1950).

    (N, C) float, (N,) int -> float
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    truth = np.asarray(labels)[:, None] == np.arange(probabilities.shape[1])
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def _equal_width(values, bins):
    """Bin of every value, open below and closed above."""
    edges = np.linspace(0, 1, bins + 1)
    return (np.searchsorted(edges, values) - 1).clip(0, bins - 1)


def _filled(index, confidence, correct, bins):
    """Count and means of every bin."""
    count = np.bincount(index, minlength=bins)
    safe = np.maximum(count, 1)
    return Reliability(
        count,
        np.bincount(index, confidence, minlength=bins) / safe,
        np.bincount(index, np.asarray(correct, dtype=np.float64), minlength=bins) / safe,
    )


@dataclass(frozen=True)
class Classification:
    """Everything that is measured on one set of samples.

    Args:
        numbers: {name: number}, see `classify`.
        precision, recall, f1: (C,) float64, NaN where there is nothing to divide by.
        support: (C,) int64, samples of each class.
        confusion: (C, C) int64, row true class, column predicted class.
        reliability: bins of equal width of the confidence in the predicted class.
    """

    numbers: dict
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray
    confusion: np.ndarray
    reliability: Reliability


def classify(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> Classification:
    """Compare probabilities with labels.

    Of equal probabilities the first class wins. Numbers are fractions: `top1`, `top5` (from five classes on), `macro`
    (mean recall of the classes that occur, also as `macro_recall`), `macro_precision` and `macro_f1` (of the same
    classes; a class that is never predicted has precision 0), `loss` (mean negative log likelihood, in nats), `ece`,
    `mce`, `adaptive_ece`, `classwise_ece` and `brier`.

    Args:
        labels: (N,) int64.
        probabilities: (N, C) float64.
        bins: number of bins of the calibration errors.
    """
    learn = require("sklearn.metrics", "scikit-learn")  # it takes seconds to import, and a detector needs none of it
    labels, classes = np.asarray(labels), np.arange(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, support = learn.precision_recall_fscore_support(
        labels, predicted, labels=classes, zero_division=np.nan
    )
    true = np.take_along_axis(probabilities, labels[:, None], axis=1)
    ahead = (probabilities > true) | ((probabilities == true) & (classes < labels[:, None]))
    rank = ahead.sum(axis=1)
    confidence = probabilities.max(axis=1)
    table = reliability(confidence, rank == 0, bins)
    occurs = support > 0
    macro = float(recall[occurs].mean())
    numbers = {
        "top1": float((rank == 0).mean()),
        **({f"top{TOP}": float((rank < TOP).mean())} if len(classes) >= TOP else {}),
        "macro": macro,
        "macro_precision": float(np.nan_to_num(precision[occurs]).mean()),
        "macro_recall": macro,
        "macro_f1": float(f1[occurs].mean()),
        "loss": float(-np.log(true.clip(TINY)).mean()),
        "ece": table.ece,
        "mce": table.mce,
        "adaptive_ece": reliability(confidence, rank == 0, bins, adaptive=True).ece,
        "classwise_ece": classwise_ece(probabilities, labels, bins),
        "brier": brier_score(probabilities, labels),
    }
    confusion = learn.confusion_matrix(labels, predicted, labels=classes)
    return Classification(numbers, precision, recall, f1, support, confusion, table)
