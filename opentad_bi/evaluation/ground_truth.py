"""The true segments of one subset, from an annotation file."""

import logging
import math
from dataclasses import dataclass

import numpy as np

from ..ops.average_precision import Segments
from ..registry import nearest
from ..utils.files import read_json, read_names

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
    """

    rows: Segments
    classes: list[str]
    videos: list[str]
    blocked: frozenset
    durations: dict[str, float]
    subset: str


def load_ground_truth(path, subset, blocked_videos=None):
    """Read the true segments of `subset`; empty segments and duplicates are left out.

    Args:
        path: annotation file {"database": {video: {"subset", "annotations": [{"segment": [s, e], "label"}]}}},
            also gzipped.
        subset: its name, matched exactly.
        blocked_videos: videos to leave out: names, or the path of a JSON list or of a text file.
    Raises:
        FileNotFoundError: no such file.
        ValueError: no annotation file, an unknown subset, a malformed annotation, no true segment.
    """
    database = _database(path)
    known = sorted({str(entry.get("subset")) for entry in database.values()})
    if subset not in known:
        raise ValueError(f"{path} has no subset {subset!r}; {nearest(subset, known, every=True)}")
    blocked = frozenset(read_names(blocked_videos, "list of blocked videos"))
    foreign = sorted(blocked - set(database))
    if foreign:
        logger.warning("list of blocked videos: %d names are not in %s: %s", len(foreign), path, ", ".join(foreign))
    chosen = {n: e for n, e in database.items() if str(e.get("subset")) == subset and n not in blocked}
    classes, rows = {}, []
    for number, (name, entry) in enumerate(chosen.items()):
        for start, end, label in distinct(name, entry.get("annotations", [])):
            rows.append((start, end, classes.setdefault(label, len(classes)), number))
    if not rows:
        raise ValueError(
            f"{path}: subset {subset!r} has {len(chosen)} videos (without {len(blocked)} blocked ones) "
            f"but no segment of positive length; there is nothing to evaluate against (all subsets: {', '.join(known)})"
        )
    table = np.array(rows, np.float64)
    segments = Segments(table[:, :2].copy(), table[:, 2].astype(np.int64), table[:, 3].astype(np.int64))
    durations = {name: float(entry["duration"]) for name, entry in chosen.items() if "duration" in entry}
    return GroundTruth(segments, list(classes), list(chosen), blocked, durations, subset)


def segments_by_video(path):
    """True segments of all videos of an annotation file, whatever their subset: {video: [{"segment", "label"}, ...]}.

    Empty segments and duplicates are left out; errors are those of `load_ground_truth`.
    """
    return {
        video: [{"segment": [start, end], "label": label} for start, end, label in distinct(video, entries)]
        for video, entries in ((v, entry.get("annotations", [])) for v, entry in _database(path).items())
    }


def distinct(video, annotations):
    """(start, end, label) of the annotations of one video, without empty segments and duplicates."""
    kept = []
    for number, annotation in enumerate(annotations):
        try:
            start, end = map(float, annotation["segment"])
            label = annotation["label"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"annotation {number} of video {video!r} needs 'segment' (two numbers) and 'label'; got {annotation!r}"
            ) from error
        if not (math.isfinite(start) and math.isfinite(end)):
            raise ValueError(f"annotation {number} of video {video!r}: segment [{start}, {end}] is not finite")
        same = any(
            label == other and abs(start - s) <= DUPLICATE_SEC and abs(end - e) <= DUPLICATE_SEC for s, e, other in kept
        )
        if end > start and not same:
            kept.append((start, end, label))
    return kept


def _database(path):
    """The "database" of an annotation file: {video: entry}."""
    content = read_json(path, "ground truth")
    database = content.get("database") if isinstance(content, dict) else None
    if not isinstance(database, dict) or not all(isinstance(entry, dict) for entry in database.values()):
        raise ValueError(f"ground truth {path} must hold {{'database': {{video: {{'subset', 'annotations'}}}}}}")
    return database
