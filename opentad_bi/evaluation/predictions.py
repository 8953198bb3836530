"""Predicted segments as arrays, and the result format {video: [{"segment", "label", "score"}]} they come from."""

import math
from dataclasses import dataclass

import numpy as np

from ..ops.average_precision import Segments
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
    if isinstance(content, dict) and isinstance(content.get("results"), dict):
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
        try:
            block = np.array([entry["segment"] for entry in entries], np.float64)
            score = np.array([entry["score"] for entry in entries], np.float64)
            label = [classes.setdefault(entry["label"], len(classes)) for entry in entries]
        except (KeyError, TypeError, ValueError):
            block = None
        if block is None or score.ndim != 1 or (entries and block.shape != (len(entries), 2)):
            raise _malformed(video, entries)
        if not (np.isfinite(block).all() and np.isfinite(score).all()):
            raise _malformed(video, entries)
        segments.append(block.reshape(-1, 2))
        scores.append(score)
        labels.extend(label)
        counts.append(len(entries))
    rows = Segments(
        np.concatenate([np.zeros((0, 2)), *segments]),
        np.array(labels, np.int64),
        np.repeat(np.arange(len(counts)), np.array(counts, np.int64)),
        np.concatenate([np.zeros(0), *scores]),
    )
    return Predictions(rows, list(classes), list(results))


def _malformed(video, entries):
    """The error for the first bad entry of a video."""
    for number, entry in enumerate(entries):
        where = f"video {video!r}, entry {number}"
        missing = [key for key in ("segment", "label", "score") if not isinstance(entry, dict) or key not in entry]
        if missing:
            return ValueError(f"{where}: {', '.join(missing)} missing in {entry!r}")
        if not _finite(entry["score"]):
            return ValueError(f"{where}: score {entry['score']!r} is not a finite number")
        segment = entry["segment"]
        if not isinstance(segment, (list, tuple)) or len(segment) != 2 or not all(map(_finite, segment)):
            return ValueError(f"{where}: segment {segment!r} is not two finite numbers")
        if not isinstance(entry["label"], (str, int)):
            return ValueError(f"{where}: label {entry['label']!r} is not a name")
    return ValueError(f"video {video!r}: its segments cannot be read")


def _finite(value):
    return isinstance(value, (int, float)) and math.isfinite(value)
