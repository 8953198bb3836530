"""Annotated videos as they are trained on: records, class maps, block lists, ground truth in frames.

`utils.annotation` reads the files. A class map is text, one class per line; the line number, from 0, is the label.

N segments of a video
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..registry import nearest
from ..utils.annotation import actions, read_database, segment_problem
from ..utils.files import read_names, write_text


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
    classes = sorted({item["label"] for entry in read_database(ann_file).values() for item in actions(entry)})
    write_text(path, "".join(f"{name}\n" for name in classes))
    return classes


def read_block_list(block_list):
    """Names of left-out videos, from None, a list of names, a JSON list or a text file with one name per line."""
    return frozenset(read_names(block_list, "block list"))


def ground_truth(entry, classes, *, frames, filter_gt=False):
    """Segments of one entry in frames, with labels; "Ambiguous" and exact repeats are left out.

    Args:
        entry: an entry of the database, see `utils.annotation.read_database`.
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
    for item in actions(entry):
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
