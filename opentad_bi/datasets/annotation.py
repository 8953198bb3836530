"""Annotation files of temporal action detection: which videos, which classes, which segments.

An annotation file is JSON: {"database": {video: {"subset": name, "duration": seconds, "frame": number of frames,
"annotations": [{"segment": [start_sec, end_sec], "label": class}, ...]}}}; other keys are ignored.
A class map is text, one class per line; the line number, from 0, is the label.

N segments of a video
"""

from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np

from ..registry import nearest
from ..utils.files import read_json, read_names, write_text

AMBIGUOUS = "Ambiguous"


@dataclass(frozen=True, slots=True)
class Video:
    """One annotated video.

    Args:
        name: file name without extension.
        frames: number of frames.
        fps: frames per second.
        duration_sec: length in seconds.
        segments: (N, 2) float32, first and last frame of each action.
        labels: (N,) int64.
    """

    name: str
    frames: int
    fps: float
    duration_sec: float
    segments: np.ndarray
    labels: np.ndarray


def read_database(ann_file):
    """Read an annotation file, or take the content of one.

    Returns:
        {video name: its entry}; ValueError names what is wrong and in which video.
    """
    content = ann_file if isinstance(ann_file, dict) else read_json(ann_file, "annotation")
    if not isinstance(content, dict) or not isinstance(content.get("database"), dict):
        raise ValueError(f"annotation {ann_file} has no object 'database'")
    for name, entry in content["database"].items():
        problem = entry_problem(entry)
        if problem:
            raise ValueError(f"annotation {ann_file}: video {name!r}: {problem}")
    return content["database"]


def entry_problem(entry):
    """What is wrong with the form of one entry of the database, or None."""
    if not isinstance(entry, dict):
        return f"an object is expected, not {entry!r}"
    if not isinstance(entry.get("subset"), str):
        return f"subset {entry.get('subset')!r} is not a name"
    for key in ("duration", "frame"):
        value = entry.get(key)
        if not isinstance(value, Real) or isinstance(value, bool) or not value > 0:
            return f"{key} {value!r} is not a positive number"
    for item in entry.get("annotations", []):
        segment = item.get("segment") if isinstance(item, dict) else None
        if not isinstance(segment, list) or len(segment) != 2 or not all(isinstance(t, Real) for t in segment):
            return f"annotation {item!r} has no 'segment' of two numbers"
        if not isinstance(item.get("label"), str):
            return f"annotation {item!r} has no 'label'"
    return None


def read_class_map(path):
    """Read a class map (text, a JSON list, or the names themselves).  Returns the class names, label 0 first."""
    if isinstance(path, (str, Path)) and not Path(path).is_file():
        raise FileNotFoundError(
            f"class map {path} does not exist (text, one class per line); to make it from the labels of the "
            "annotation: python tools/check_dataset.py CONFIG --write-class-map"
        )
    classes = read_names(path, "class map")
    twice = sorted({name for name in classes if classes.count(name) > 1})
    if not classes or twice:
        raise ValueError(f"class map {path} " + (f"has {twice} more than once" if twice else "is empty"))
    return classes


def write_class_map(ann_file, path):
    """Write all labels of an annotation file (without "Ambiguous"), sorted, as a class map; returns them."""
    database = read_database(ann_file)
    labels = {item["label"] for entry in database.values() for item in entry.get("annotations", [])}
    classes = sorted(labels - {AMBIGUOUS})
    write_text(path, "".join(f"{name}\n" for name in classes))
    return classes


def read_block_list(block_list):
    """Names of left-out videos, from None, a list of names, a JSON list or a text file with one name per line."""
    return frozenset(read_names(block_list, "block list"))


def select_names(database, subset_name, blocked=frozenset()):
    """Names of the videos of one subset, or of a list of subsets, in the order of the file.

    Raises:
        ValueError: a subset that no video belongs to; the message lists those there are.
    """
    wanted = [subset_name] if isinstance(subset_name, str) else list(subset_name)
    known = {entry["subset"] for entry in database.values()}
    for name in wanted:
        if name not in known:
            raise ValueError(f"no video belongs to subset {name!r}; {nearest(name, known, every=True)}")
    return [name for name, entry in database.items() if entry["subset"] in wanted and name not in blocked]


def segment_problem(segment, duration, tolerance=0.0):
    """What is wrong with a segment in seconds, or None; it may reach `tolerance` seconds beyond the video."""
    start, end = segment
    if not end > start:
        return f"segment [{start}, {end}] does not end after its start"
    if start < -tolerance or end > duration + tolerance:
        return f"segment [{start}, {end}] is not inside the video (0 to {duration} s)"
    return None


def ground_truth(entry, classes, *, frames, filter_gt=False):
    """Segments of one entry in frames, with labels; "Ambiguous" and exact repeats are left out.

    Args:
        entry: an entry of the database.
        classes: {class name: label}.
        frames: number of frames that the duration stands for.
        filter_gt: leave out what is not longer than 0 frames.
    Returns:
        segments (N, 2) float32, labels (N,) int64, and a list of problems: segments beyond the video by more than a
        frame (clipped to it) or empty (left out).
    Raises:
        ValueError: a label that the class map lacks.
    """
    duration, rows, problems = entry["duration"], {}, []
    for item in entry.get("annotations", []):
        if item["label"] == AMBIGUOUS:
            continue
        if item["label"] not in classes:
            hint = nearest(item["label"], classes)
            raise ValueError(f"label {item['label']!r} of segment {item['segment']} is not in the class map; {hint}")
        start, end = item["segment"]
        problem = segment_problem(item["segment"], duration, tolerance=duration / frames)
        if problem:
            problems.append(problem)
            start, end = max(start, 0.0), min(end, duration)
            if not end > start:
                continue
        pair = (int(start / duration * frames), int(end / duration * frames))
        if filter_gt and pair[1] <= pair[0]:
            continue
        rows.setdefault((*pair, classes[item["label"]]))
    table = np.asarray(list(rows), dtype=np.int64).reshape(-1, 3)
    return table[:, :2].astype(np.float32), table[:, 2], problems
