"""Numbers of a classification: accuracy, precision and recall, calibration."""

from dataclasses import dataclass

import numpy as np

from ..errors import require
from .calibration import Reliability, brier_score, classwise_ece, reliability

# N samples, C classes

TOP = 5
TINY = float(np.finfo(np.float32).tiny)


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


def classify(labels, probabilities, bins=15):
    """Compare probabilities with labels.

    Of equal probabilities the first class wins. Numbers are fractions: `top1`, `top5` (from five classes on), `macro`
    (mean recall of the classes that occur, also as `macro_recall`), `macro_precision` and `macro_f1` (of the same
    classes; a class that is never predicted has precision 0), `loss` (mean negative log likelihood, in nats), `ece`,
    `mce`, `adaptive_ece`, `classwise_ece` and `brier`.

    Args:
        labels: (N,) int64.
        probabilities: (N, C) float64.
        bins: number of bins of the calibration errors.
    Returns:
        Classification.
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
