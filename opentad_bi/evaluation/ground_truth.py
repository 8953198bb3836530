"""The true segments of one subset, from an annotation file."""

import logging
from dataclasses import dataclass, field

import numpy as np

from ..ops.average_precision import Segments
from ..utils.annotation import AMBIGUOUS, frame_seconds, named, read_database, segment_problem, select_names
from ..utils.files import read_names
from ..utils.logging import warn

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


def load_ground_truth(path, subset, blocked_videos=None, ignored_labels=(AMBIGUOUS,)):
    """Read the true segments of `subset`; empty segments and duplicates are left out.

    Args:
        path: annotation file, see `utils.annotation`; also gzipped.
        subset: its name, matched exactly.
        blocked_videos: videos to leave out: names, or the path of a JSON list or of a text file.
        ignored_labels: labels that are no classes; the reference evaluator of OpenTAD ignores none.
    Raises:
        FileNotFoundError: no such file.
        ValueError: no annotation file, an unknown subset, a malformed annotation, no true segment.
    """
    database, where = read_database(path), named(path)
    blocked = frozenset(read_names(blocked_videos, "list of blocked videos"))
    foreign = sorted(blocked - set(database))
    if foreign:
        warn(f"list of blocked videos: {len(foreign)} names are not in {path}: {', '.join(foreign)}", logger=logger)
    chosen = {name: database[name] for name in select_names(database, subset, blocked, where)}
    classes, rows = {}, []
    for number, entry in enumerate(chosen.values()):
        for start, end, label in distinct(entry, ignored_labels):
            rows.append((start, end, classes.setdefault(label, len(classes)), number))
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


def segments_by_video(path):
    """True segments of all videos of an annotation file, whatever their subset: {video: [{"segment", "label"}, ...]}.

    Empty segments, duplicates and what is labelled "Ambiguous" are left out; errors are those of `load_ground_truth`.
    """
    return {
        video: [{"segment": [start, end], "label": label} for start, end, label in distinct(entry)]
        for video, entry in read_database(path).items()
    }


def distinct(entry, ignored_labels=(AMBIGUOUS,)):
    """(start, end, label) of the annotations of one video, without empty segments, duplicates and ignored labels."""
    kept = []
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
