"""From scores of snippets to scores of feature rows, their areas under curves, and how many frames a row stands for.

N snippets, C classes, R feature rows (of one video)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ...errors import require
from ...ops.names import bare_name
from ...utils.files import read_json
from ..common.frame_annotation import VideoEvents
from ..common.unit_scores import Units

NORMAL, ANOMALY = "normal", "anomaly"
COUNT_KEYS = ("n_frames", "num_frames", "frames", "frame", "frames_count")
MISMATCH = 0.05  # fraction by which rows may be longer or shorter than their videos say
CHANCE = 0.01  # of calling rows too long that are right, if events ended anywhere in their videos
# (videos, frames of their events): frames of all of them, in official test sets
OFFICIAL = {(290, 84189): ("UCF-Crime", 36920 * 30)}


@dataclass(frozen=True)
class VideoScores:
    """The scores of one video.

    Args:
        scores: (R,) float64, smoothed.
        label: class of its samples, -1 where it is not known.
        unit_rows: rows of its longest snippet.
        frames: of the video, 0 where they are not known.
    """

    scores: np.ndarray
    label: int
    unit_rows: int
    frames: int = 0


def scores_by_video(units: Units, scores: np.ndarray, sigma: float = 0.0) -> dict[str, VideoScores]:
    """Bring snippets of all videos together.  Returns {video: VideoScores}, by name.

    Args:
        units: unit_scores.Units, N of them.
        scores: (N,) float64, how anomalous each of them is.
        sigma: see `smooth`.
    Raises:
        ValueError: snippets of one video have several labels.
    """
    names, index = np.unique(units.videos.astype(str), return_inverse=True)
    parts = np.split(np.argsort(index, kind="stable"), np.cumsum(np.bincount(index))[:-1])
    found = {}
    for name, part in zip(names.tolist(), parts, strict=True):
        labels = np.unique(units.labels[part])
        if len(labels) > 1:
            raise ValueError(
                f"video {name!r} has snippets of the labels {labels.tolist()}; are files of one name in two classes?"
            )
        rows = units.rows[part]
        of_rows = smooth(row_scores(units.starts[part], rows, scores[part]), sigma)
        found[name] = VideoScores(of_rows, int(labels[0]), int(rows.max()), int(units.frames[part].max()))
    return found


def anomaly_scores(probabilities: ArrayLike, normal: int, kind: str = NORMAL) -> np.ndarray:
    """How anomalous each snippet is.  Returns (N,) float64.

    Args:
        probabilities: (N, C) floats that sum to 1.
        normal: index of the class without anomalies.
        kind: "normal": 1 - p(normal), taken as the sum of the others, which tells snippets apart where p(normal) is
            nearly 1; "anomaly": the largest of the others.
    """
    others = np.delete(np.asarray(probabilities, dtype=np.float64), normal, axis=1)
    return others.sum(axis=1) if kind == NORMAL else others.max(axis=1)


def row_scores(starts: np.ndarray, rows: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Bring the scores of one video's snippets, crops included, to its feature rows.

    A row's score is the mean over the snippets that cover it; a row that none covers has that of the nearest one that
    is covered, the earlier one of two.

    Args:
        starts, rows: (N,) int64, first row and number of rows of every snippet.
        scores: (N,) float64.
    Returns:
        (R,) float64, R being the end of the last snippet.
    """
    order = np.lexsort((scores, rows, starts))  # so that the order of the units does not touch the last digit
    starts, rows, scores = starts[order], rows[order], scores[order]
    first = np.cumsum(rows) - rows
    covered_by = np.repeat(starts - first, rows) + np.arange(rows.sum())
    count = np.bincount(covered_by)
    mean = np.bincount(covered_by, np.repeat(scores, rows)) / np.maximum(count, 1)
    covered = np.flatnonzero(count)
    middles = (covered[1:] + covered[:-1]) / 2
    return mean[covered[np.searchsorted(middles, np.arange(len(count)))]]


def smooth(scores: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing along the rows of one video; `sigma` in rows, 0: as they are.  (R,) -> (R,)

    Beyond its ends a video is taken to go on as its first and its last row; the Gaussian is cut at four `sigma`.
    """
    return require("scipy.ndimage", "scipy").gaussian_filter1d(scores, sigma, mode="nearest") if sigma else scores


def pooled_numbers(scores: np.ndarray, anomalous: np.ndarray, frames_per_row: int | np.ndarray) -> dict[str, float]:
    """Area under the ROC curve and average precision over all frames of some videos, put end to end.

    A row stands for its frames: it counts once for every anomalous and once for every normal one, which gives the
    numbers of the scores repeated to frames without making them.

    Args:
        scores: (R,) float64 of all videos' rows.
        anomalous: (R,) int64, anomalous frames of each row.
        frames_per_row: frames of each row, or (R,) int64.
    Returns:
        {"auc", "ap"}; without "auc" where all frames are anomalous, empty where none is.
    """
    learn = require("sklearn.metrics", "scikit-learn")
    normal = frames_per_row - anomalous
    truth = np.repeat([True, False], len(scores))
    weights = np.concatenate([anomalous, normal])
    kept = weights > 0
    truth, scores, weights = truth[kept], np.tile(scores, 2)[kept], weights[kept]
    if not truth.any():
        return {}
    ap = float(learn.average_precision_score(truth, scores, sample_weight=weights))
    if truth.all():
        return {"ap": ap}
    return {"auc": float(learn.roc_auc_score(truth, scores, sample_weight=weights)), "ap": ap}


def read_frame_counts(path: str | Path) -> dict[str, int]:
    """Read numbers of frames from a JSON file: {video: frames}, or {video: {"n_frames": frames, ...}}.

    Returns:
        {name without folder and extension: frames}.
    Raises:
        FileNotFoundError, ValueError: naming the file, the video and its value.
    """
    content = read_json(path, "frame_counts")
    if not isinstance(content, dict) or not content:
        raise ValueError(f"frame_counts {path} must hold an object {{video: frames}}")
    found = {}
    for video, value in content.items():
        if isinstance(value, dict):
            value = next((value[key] for key in COUNT_KEYS if key in value), None)
        whole = isinstance(value, (int, float)) and not isinstance(value, bool) and value % 1 == 0  # 900.0 is
        if not whole or value < 1:
            hint = f"a whole number, alone or as one of {', '.join(COUNT_KEYS)}, is expected"
            raise ValueError(f"frame_counts {path}: the frames of video {video!r} are {value!r}; {hint}")
        found[bare_name(video)] = int(value)
    return found


def last_rows(lengths: Mapping[str, tuple[int, int]], frames_per_row: int) -> str:
    """What was done with the frames that make no whole row, over videos whose frames are known; "" if none has any.

    `lengths`: {video: (rows, frames)}.
    """
    partial = [(rows, frames) for rows, frames in lengths.values() if frames and frames % frames_per_row]
    kept = sum(rows * frames_per_row > frames for rows, frames in partial)
    if not partial:
        return ""
    return (
        f"the last row stands for fewer frames in {kept} videos (keep) and was left out in {len(partial) - kept} (drop)"
    )


def fitting_rows(
    rows: Mapping[str, int], events: Mapping[str, tuple], truth: Mapping[str, VideoEvents], frames_per_row: int
) -> str:
    """What suggests that rows are shorter than `frames_per_row`, where the frames of videos are not known, or "".

    Rows that are longer show by events beyond the end of their videos.

    Args:
        rows: {video: R} of the videos whose frames are not known.
        events: {video: pairs of frames} of the same.
        truth: all of the annotation, {video: `VideoEvents`}.
    """
    anomalous = sum(end - start for of in truth.values() for start, end in of.events)
    official = OFFICIAL.get((len(truth), anomalous))
    if official and set(truth) <= set(rows):
        name, frames = official
        implied = sum(rows[video] for video in truth) * frames_per_row
        if abs(frames / implied - 1) > MISMATCH:
            share = [f"{100 * anomalous / count:.1f} %" for count in (implied, frames)]
            text = f"{share[0]} of the frames are anomalous, but {share[1]} of the official test set of {name}"
            return _suggested(text, frames_per_row, frames / implied)
        return ""
    reach = [max(end for _, end in own) / (rows[video] * frames_per_row) for video, own in events.items() if own]
    if not reach or max(reach) >= min(1 - MISMATCH, CHANCE ** (1 / len(reach))):
        return ""
    text = (
        f"in none of {len(reach)} videos with events does the last one end beyond {100 * max(reach):.0f} % of the video"
    )
    return _suggested(text, frames_per_row, max(reach))


def _suggested(text, frames_per_row, factor):
    fit = frames_per_row * factor
    return (
        f"the rows seem not to be {frames_per_row} frames long: {text}; frames_per_row={max(1, round(fit))} would fit "
        "(numbers against events at wrong times mean nothing)"
    )
