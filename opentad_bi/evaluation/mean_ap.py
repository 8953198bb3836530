"""Mean average precision of predicted segments against true ones."""

import logging
from dataclasses import dataclass

import numpy as np

from ..ops.average_precision import average_precision, match, top_k_recall
from .ground_truth import load_ground_truth
from .predictions import load_predictions
from .tables import metric_name

# C classes, T thresholds, K values of k

THUMOS_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """What an evaluation found; all numbers are fractions.

    Args:
        metrics: {"average_mAP", "mAP@0.30", ..., "recall@0.30@5", ...}.
        ap: (T, C) average precision.
        recall: (T, K, C), or None.
        classes: names of the C classes.
        thresholds: the T overlaps.
        num_truth: true segments.
        num_predictions: predicted segments that took part, those with unknown labels included.
    """

    metrics: dict[str, float]
    ap: np.ndarray
    recall: np.ndarray | None
    classes: list[str]
    thresholds: tuple
    num_truth: int
    num_predictions: int


def evaluate_file(
    predictions, ground_truth, subset, *, tiou_thresholds=THUMOS_THRESHOLDS, top_k=None, blocked_videos=None
):
    """Evaluate a saved result file; returns a Report.

    Args:
        predictions, ground_truth: paths, see `load_predictions` and `load_ground_truth`.
        subset, blocked_videos: see `load_ground_truth`.
        tiou_thresholds: overlaps at which a prediction counts.
        top_k: also the recall of the first k * (true segments) predictions, for every k given.
    """
    truth = load_ground_truth(ground_truth, subset, blocked_videos)
    return evaluate(load_predictions(predictions), truth, tiou_thresholds=tiou_thresholds, top_k=top_k)


def evaluate(predictions, truth, *, tiou_thresholds=THUMOS_THRESHOLDS, top_k=None):
    """Evaluate Predictions against a GroundTruth; returns a Report.

    Predictions of blocked videos are left out; those of videos without true segments are false positives;
    those with a label that no true segment has are dropped with a warning.
    """
    thresholds = check_thresholds(tiou_thresholds)
    ks = tuple(top_k or ())
    rows = align(predictions, truth)
    matching = match(truth.rows, rows, len(truth.classes))
    ap = average_precision(matching, thresholds)
    recall = top_k_recall(matching, thresholds, ks) if ks else None
    logger.info("%d true segments of %s, %d predictions", len(truth.rows), truth.subset, len(rows))
    metrics = {"average_mAP": float(ap.mean())}
    metrics.update({f"mAP@{metric_name(t)}": float(x) for t, x in zip(thresholds, ap.mean(axis=1), strict=True)})
    for t, threshold in enumerate(thresholds):
        metrics.update({f"recall@{metric_name(threshold)}@{k}": float(recall[t, i].mean()) for i, k in enumerate(ks)})
    return Report(metrics, ap, recall, truth.classes, thresholds, len(truth.rows), len(rows))


def align(predictions, truth):
    """Rows of the predictions that take part, with labels and videos numbered as in `truth` (-1: unknown label)."""
    index = {label: i for i, label in enumerate(truth.classes)}
    labels = np.array([index.get(label, -1) for label in predictions.classes], np.int64)
    unknown = sorted(str(label) for label in predictions.classes if label not in index)
    if unknown:
        logger.warning(
            "predictions with labels that subset %s does not have are ignored: %s", truth.subset, ", ".join(unknown)
        )
    index = {video: i for i, video in enumerate(truth.videos)}
    videos = np.array([index.setdefault(video, len(index)) for video in predictions.videos], np.int64)
    blocked = np.array([video in truth.blocked for video in predictions.videos], bool)
    rows = predictions.rows
    if len(rows):
        rows = rows.rows(~blocked[rows.videos])
    return type(rows)(
        rows.segments,
        labels[rows.labels] if len(rows) else rows.labels,
        videos[rows.videos] if len(rows) else rows.videos,
        rows.scores,
    )


def check_thresholds(thresholds):
    """A tuple of overlaps in (0, 1]; ValueError otherwise."""
    thresholds = tuple(float(t) for t in thresholds)
    if not thresholds or not all(0 < t <= 1 for t in thresholds):
        raise ValueError(f"tiou_thresholds must be one or more numbers in (0, 1]; got {thresholds}")
    return thresholds
