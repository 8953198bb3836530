"""Mean average precision of predicted segments against true ones."""

import difflib
import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import some
from ...ops.average_precision import Segments, average_precision, match, top_k_recall
from ...ops.names import bare_name
from ...utils.files import NameList
from ...utils.logging import warn
from ..common.tables import metric_name
from .io import GroundTruth, Predictions, load_ground_truth, load_predictions

# C classes, T thresholds, K values of k

THUMOS_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)

MOST_NAMES = 1000  # videos among which the nearest name is looked for

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
    predictions: str | Path,
    ground_truth: str | Path,
    subset: str,
    *,
    tiou_thresholds: Sequence[float] = THUMOS_THRESHOLDS,
    top_k: Sequence[int] | None = None,
    blocked_videos: NameList = None,
) -> Report:
    """Evaluate a saved result file; returns a Report.

    Args:
        predictions, ground_truth: paths, see `load_predictions` and `load_ground_truth`.
        subset, blocked_videos: see `load_ground_truth`.
        tiou_thresholds: overlaps at which a prediction counts.
        top_k: also the recall of the first k * (true segments) predictions, for every k given.
    """
    truth = load_ground_truth(ground_truth, subset, blocked_videos)
    found = load_predictions(predictions)
    check_videos(found.videos, truth)
    return evaluate(found, truth, tiou_thresholds=tiou_thresholds, top_k=top_k)


def check_videos(videos: Iterable[str], truth: GroundTruth) -> None:
    """Warn of predicted videos that are not in the subset of a GroundTruth: what is found there is false.

    Also of videos with actions that are not predicted: all of these are missed.

    Args:
        videos: names of the videos that have predictions, or will have.
    Raises:
        ValueError: none of them is in the subset; it names those there are, and how they are probably called.
    """
    known = set(truth.videos)
    predicted = dict.fromkeys(video for video in videos if video not in truth.blocked)
    outside = [video for video in predicted if video not in known]
    if outside:
        _report_outside(outside, predicted, known, truth)
    wanted = dict.fromkeys(truth.videos[index] for index in truth.rows.videos.tolist())
    if missing := [video for video in wanted if video not in predicted]:
        warn(
            f"{len(missing)} of {len(wanted)} videos with actions of subset {truth.subset!r} have no predictions, so "
            f"all actions in them count as missed: {some(missing)}",
            logger=logger,
        )


def _report_outside(outside, predicted, known, truth):
    """Warn of the videos `outside` the `known` ones, or raise if all of the `predicted` are."""
    elsewhere: dict[str | None, list[str]] = {}
    for video in outside:
        elsewhere.setdefault(truth.subsets.get(video), []).append(video)
    unknown = elsewhere.pop(None, [])
    parts = [f"{len(names)} in subset {subset!r} ({some(names)})" for subset, names in elsewhere.items()]
    if unknown:
        parts.append(f"{len(unknown)} nowhere in the annotation ({some(unknown)}; {_likely_names(unknown, known)})")
    where = f"subset {truth.subset!r}: {', '.join(parts)}"
    if len(outside) == len(predicted):
        raise ValueError(f"none of the {len(predicted)} predicted videos is in {where}")
    warn(
        f"{len(outside)} of {len(predicted)} predicted videos, whose predictions count as false, are not in {where}",
        logger=logger,
    )


def _likely_names(unknown, known):
    """A hint at what the first of the `unknown` videos is called among the `known` ones."""
    same: dict[str, str] = {}
    for name in known:
        same.setdefault(_plain(name), name)
    for video in unknown:
        if _plain(video) in same:
            return f"{video!r} is probably {same[_plain(video)]!r}"
    names = sorted(known)
    near = difflib.get_close_matches(unknown[0], names[:MOST_NAMES], n=1)
    return f"did you mean {near[0]!r}?" if near else f"those of the subset are {some(names)}"


def _plain(name):
    """A name without what tools add to names: folders, an extension, `v_`, another case."""
    return bare_name(name).lower().removeprefix("v_")


def evaluate(
    predictions: Predictions,
    truth: GroundTruth,
    *,
    tiou_thresholds: Sequence[float] = THUMOS_THRESHOLDS,
    top_k: Sequence[int] | None = None,
    class_map: Collection[str] = (),
) -> Report:
    """Evaluate Predictions against a GroundTruth; returns a Report.

    Predictions of blocked videos are left out; those of videos without true segments are false positives;
    those with a label that no true segment has are dropped with a warning, which is not a fault of the data for the
    names of `class_map`: a network also finds classes that the subset lacks.
    """
    thresholds = check_thresholds(tiou_thresholds)
    ks = tuple(top_k or ())
    rows = align(predictions, truth, class_map)
    matching = match(truth.rows, rows, len(truth.classes))
    ap = average_precision(matching, thresholds)
    recall = top_k_recall(matching, thresholds, ks) if ks else None
    logger.info("%d true segments of %s, %d predictions", len(truth.rows), truth.subset, len(rows))
    metrics = {"average_mAP": float(ap.mean())}
    metrics.update({f"mAP@{metric_name(t)}": float(x) for t, x in zip(thresholds, ap.mean(axis=1), strict=True)})
    if recall is not None:
        for threshold, means in zip(thresholds, recall.mean(axis=2), strict=True):
            metrics.update({f"recall@{metric_name(threshold)}@{k}": float(x) for k, x in zip(ks, means, strict=True)})
    return Report(metrics, ap, recall, truth.classes, thresholds, len(truth.rows), len(rows))


def align(predictions: Predictions, truth: GroundTruth, class_map: Collection[str] = ()) -> Segments:
    """Rows of the predictions that take part, with labels and videos numbered as in `truth` (-1: unknown label)."""
    index = {label: i for i, label in enumerate(truth.classes)}
    labels = np.array([index.get(label, -1) for label in predictions.classes], np.int64)
    unknown = sorted(str(label) for label in predictions.classes if label not in index)
    if unknown:
        text = f"predictions with labels that subset {truth.subset} does not have are ignored: "
        text += ", ".join(map(repr, unknown))
        if set(unknown) <= set(class_map):
            logger.warning(text)
        else:
            warn(text, logger=logger)
    index = {video: i for i, video in enumerate(truth.videos)}
    videos = np.array([index.setdefault(video, len(index)) for video in predictions.videos], np.int64)
    blocked = np.array([video in truth.blocked for video in predictions.videos], bool)
    rows = predictions.rows
    if len(rows):
        rows = rows.rows(~blocked[rows.videos])
    return Segments(
        rows.segments,
        labels[rows.labels] if len(rows) else rows.labels,
        videos[rows.videos] if len(rows) else rows.videos,
        rows.scores,
    )


def check_thresholds(thresholds: Sequence[float]) -> tuple[float, ...]:
    """A tuple of overlaps in (0, 1]; ValueError otherwise."""
    thresholds = tuple(float(t) for t in thresholds)
    if not thresholds or not all(0 < t <= 1 for t in thresholds):
        raise ValueError(f"tiou_thresholds must be one or more numbers in (0, 1]; got {thresholds}")
    return thresholds
