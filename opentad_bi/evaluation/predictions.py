"""Predicted segments as arrays, and the result format {video: [{"segment", "label", "score"}]} they come from."""

from dataclasses import dataclass

import numpy as np

from ..ops.average_precision import Segments
from ..utils.annotation import label_name, number, shown
from ..utils.files import read_json


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

    def to_results(self):
        """The result format: {video: [{"segment": [s, e], "label": name, "score": x}, ...]}, in the order of rows."""
        results = {video: [] for video in self.videos}
        columns = (self.rows.videos, self.rows.segments, self.rows.labels, self.rows.scores)
        for video, segment, label, score in zip(*(column.tolist() for column in columns), strict=True):
            results[self.videos[video]].append({"segment": segment, "label": self.classes[label], "score": score})
        return results


def load_predictions(path):
    """Read a result file (also gzipped), with or without the outer key "results"."""
    content = read_json(path, "predictions")
    if isinstance(content, dict) and "results" in content:
        content = content["results"]
    try:
        return parse_results(content)
    except ValueError as error:
        raise ValueError(f"predictions {path}: {error}") from error


def parse_results(results):
    """{video: [{"segment", "label", "score"}]} to Predictions.

    Raises:
        ValueError: an entry is malformed or not finite; it names the video and the entry.
    """
    if not isinstance(results, dict):
        raise ValueError(f"results must map videos to lists of segments; got a {type(results).__name__}")
    classes, segments, labels, scores, counts = {}, [], [], [], []
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
