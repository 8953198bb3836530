"""Ground truth and predictions of detectors as arrays, read from files.

True segments are those of one subset of an annotation file; predictions have the result format {video: [{"segment",
"label", "score"}]}.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...ops.average_precision import Segments
from ...utils.annotation import (
    AMBIGUOUS,
    frame_seconds,
    label_name,
    named,
    number,
    read_database,
    segment_problem,
    select_names,
    shown,
)
from ...utils.files import NameList, read_json, read_names
from ...utils.logging import warn

logger = logging.getLogger(__name__)

DUPLICATE_SEC = 1e-3  # segments of one class whose ends are this close are the same


@dataclass(frozen=True)
class GroundTruth:
    """True segments of a subset.

    Args:
        rows: (G,) Segments without scores; labels index `classes`, videos index `videos`.
        classes: names, in order of first appearance.
        videos: names of all videos of the subset that are not blocked.
        blocked: names of videos that take no part, also not with predictions.
        durations: seconds of every video that has a duration.
        subset: its name.
        subsets: {video: its subset or None} of all videos of the file.
    """

    rows: Segments
    classes: list[str]
    videos: list[str]
    blocked: frozenset
    durations: dict[str, float]
    subset: str
    subsets: dict[str, str | None] = field(default_factory=dict)


def load_ground_truth(
    path: str | Path, subset: str, blocked_videos: NameList = None, ignored_labels: Collection[str] = (AMBIGUOUS,)
) -> GroundTruth:
    """Read the true segments of `subset`; empty segments and duplicates are left out.

    Args:
        path: annotation file, see `utils.annotation`; also gzipped.
        subset: its name, matched exactly.
        blocked_videos: videos to leave out: names, or the path of a JSON list or of a text file.
        ignored_labels: labels that are not classes; the reference evaluator of OpenTAD ignores none.
    Raises:
        FileNotFoundError: no such file.
        ValueError: no annotation file, an unknown subset, a malformed annotation, no true segment.
    """
    database, where = read_database(path), named(path)
    blocked = frozenset(read_names(blocked_videos, "list of blocked videos"))
    unexpected = sorted(blocked - set(database))
    if unexpected:
        warn(
            f"list of blocked videos: {len(unexpected)} names are not in {path}: {', '.join(unexpected)}", logger=logger
        )
    chosen = {name: database[name] for name in select_names(database, subset, blocked, where)}
    classes: dict[str, int] = {}
    rows = []
    for video, entry in enumerate(chosen.values()):
        for start, end, label in distinct(entry, ignored_labels):
            rows.append((start, end, classes.setdefault(label, len(classes)), video))
    if not rows:
        raise ValueError(
            f"{where}: subset {subset!r} has {len(chosen)} videos (without {len(blocked)} blocked ones) but no segment "
            "of positive length; there is nothing to evaluate against (all subsets: "
            f"{', '.join(sorted({str(entry['subset']) for entry in database.values()}))})"
        )
    _warn_of_segments(chosen, ignored_labels, where)
    table = np.array(rows, np.float64)
    segments = Segments(table[:, :2].copy(), table[:, 2].astype(np.int64), table[:, 3].astype(np.int64))
    durations = {name: float(entry["duration"]) for name, entry in chosen.items() if "duration" in entry}
    subsets = {name: entry["subset"] for name, entry in database.items()}
    return GroundTruth(segments, list(classes), list(chosen), blocked, durations, subset, subsets)


def segments_by_video(path: str | Path) -> dict[str, list[dict]]:
    """True segments of all videos of an annotation file, whatever their subset: {video: [{"segment", "label"}, ...]}.

    Empty segments, duplicates and what is labelled "Ambiguous" are left out; errors are those of `load_ground_truth`.
    """
    return {
        video: [{"segment": [start, end], "label": label} for start, end, label in distinct(entry)]
        for video, entry in read_database(path).items()
    }


def distinct(entry: dict, ignored_labels: Collection[str] = (AMBIGUOUS,)) -> list[tuple[float, float, str]]:
    """(start, end, label) of the annotations of one video, without empty segments, duplicates and ignored labels."""
    kept: list[tuple[float, float, str]] = []
    for annotation in entry["annotations"]:
        start, end = map(float, annotation["segment"])
        label = annotation["label"]
        same = any(
            label == other and abs(start - s) <= DUPLICATE_SEC and abs(end - e) <= DUPLICATE_SEC for s, e, other in kept
        )
        if end > start and not same and label not in ignored_labels:
            kept.append((start, end, label))
    return kept


def _warn_of_segments(entries, ignored_labels, where):
    """Warn of true segments that are empty or reach beyond their video."""
    problems = [
        f"{name}: {problem}"
        for name, entry in entries.items()
        for item in entry["annotations"]
        if item["label"] not in ignored_labels
        and (problem := segment_problem(item["segment"], entry.get("duration"), frame_seconds(entry)))
    ]
    if problems:
        warn(
            f"{where}: {len(problems)} segments are empty (left out) or not inside their video (evaluated as they "
            f"are), such as {problems[0]}",
            logger=logger,
        )


@dataclass(frozen=True)
class Predictions:
    """Predicted segments of many videos.

    Args:
        rows: (N,) Segments with scores; labels index `classes`, videos index `videos`.
        classes: names.
        videos: names, also of videos without a prediction.
    """

    rows: Segments
    classes: list[str]
    videos: list[str]

    def to_results(self) -> dict[str, list[dict]]:
        """The result format: {video: [{"segment": [s, e], "label": name, "score": x}, ...]}, in the order of rows."""
        results: dict[str, list[dict]] = {video: [] for video in self.videos}
        columns = (self.rows.videos, self.rows.segments, self.rows.labels, self.rows.scores)
        for video, segment, label, score in zip(*(column.tolist() for column in columns), strict=True):
            results[self.videos[video]].append({"segment": segment, "label": self.classes[label], "score": score})
        return results


def load_predictions(path: str | Path) -> Predictions:
    """Read a result file (also gzipped), with or without the outer key "results"."""
    content = read_json(path, "predictions")
    if isinstance(content, dict) and "results" in content:
        content = content["results"]
    try:
        return parse_results(content)
    except ValueError as error:
        raise ValueError(f"predictions {path}: {error}") from error


def parse_results(results: dict[str, list[dict]]) -> Predictions:
    """{video: [{"segment", "label", "score"}]} to Predictions.

    Raises:
        ValueError: an entry is malformed or not finite; it names the video and the entry.
    """
    if not isinstance(results, dict):
        raise ValueError(f"results must map videos to lists of segments; got a {type(results).__name__}")
    classes: dict[str, int] = {}
    segments: list[np.ndarray] = []
    scores: list[np.ndarray] = []
    labels: list[int] = []
    counts: list[int] = []
    for video, entries in results.items():
        if not isinstance(entries, list):
            raise ValueError(f"video {video!r} must have a list of segments; got a {type(entries).__name__}")
        block, score, names = _columns(entries) or _checked_columns(video, entries)
        segments.append(block)
        scores.append(score)
        labels.extend(classes.setdefault(name, len(classes)) for name in names)
        counts.append(len(entries))
    rows = Segments(
        np.concatenate([np.zeros((0, 2)), *segments]),
        np.array(labels, np.int64),
        np.repeat(np.arange(len(counts)), np.array(counts, np.int64)),
        np.concatenate([np.zeros(0), *scores]),
    )
    return Predictions(rows, list(classes), list(results))


def _columns(entries):
    """Segments (n, 2), scores (n,) and labels of the entries of a video, or None if one is not as it should be."""
    try:
        block, score = ([entry[key] for entry in entries] for key in ("segment", "score"))
        names = [entry["label"] for entry in entries]
        kinds = {type(value) for value in score} | {type(time) for segment in block for time in segment}
        block, score = np.array(block, np.float64).reshape(-1, 2), np.array(score, np.float64)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    plain = kinds <= {float, int} and {type(name) for name in names} <= {str} and len(block) == len(score)
    return (block, score, names) if plain and np.isfinite(block).all() and np.isfinite(score).all() else None


def _checked_columns(video, entries):
    """The same, entry by entry, with numbers written as text and whole numbers as labels.

    Raises:
        ValueError: the first malformed entry; it names the video, the entry and the value.
    """
    block, scores, names = [], [], []
    for position, entry in enumerate(entries):
        where = f"video {video!r}, entry {position}"
        missing = [key for key in ("segment", "label", "score") if not isinstance(entry, dict) or key not in entry]
        if missing:
            raise ValueError(f"{where}: {', '.join(missing)} missing in {shown(entry)}")
        score, segment, label = number(entry["score"]), entry["segment"], label_name(entry["label"])
        if score is None:
            raise ValueError(f"{where}: score {shown(entry['score'])} is not a finite number")
        times = [number(time) for time in segment] if isinstance(segment, (list, tuple)) else []
        if len(times) != 2 or None in times:
            raise ValueError(f"{where}: segment {shown(segment)} is not two finite numbers")
        if label is None:
            raise ValueError(f"{where}: label {shown(entry['label'])} is not a name")
        block.append(times)
        scores.append(score)
        names.append(label)
    return np.array(block, np.float64).reshape(-1, 2), np.array(scores, np.float64), names
