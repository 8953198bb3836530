"""Annotated videos as they are trained on: records, class maps, ground truth in frames, lengths from files.

`utils.annotation` reads the files. A class map is text, one class per line; the line number, from 0, is the label.

N segments of a video
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ...registry import nearest
from ...utils.annotation import actions, read_database, segment_problem
from ...utils.files import read_names, write_text
from ..common.feature_files import feature_shape
from ..readers.base import find_video, open_video
from .features import LoadFeats, LoadWindowFeats, open_windows
from .pipeline import LoadFrames


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


def read_class_map(path: str | Path | Sequence[str]) -> list[str]:
    """Read a class map (text, a JSON list, or the names themselves).  Returns the class names, label 0 first."""
    if isinstance(path, (str, Path)) and not Path(path).is_file():
        raise FileNotFoundError(
            f"class map {path} does not exist (text, one class per line); to make it from the labels of the "
            "annotation: opentad-bi check CONFIG --write-class-map"
        )
    classes = read_names(path, "class map")
    twice = sorted({name for name in classes if classes.count(name) > 1})
    if not classes or twice:
        raise ValueError(f"class map {path} " + (f"has {twice} more than once" if twice else "is empty"))
    return classes


def write_class_map(ann_file: str | Path, path: str | Path) -> list[str]:
    """Write all labels of an annotation file (without "Ambiguous"), sorted, as a class map; returns them."""
    classes = sorted({item["label"] for entry in read_database(ann_file).values() for item in actions(entry)})
    write_text(path, "".join(f"{name}\n" for name in classes))
    return classes


def ground_truth(
    entry: dict[str, Any], classes: Mapping[str, int], *, frames: int, filter_gt: bool = False
) -> tuple[np.ndarray, np.ndarray, list[str]]:
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
        ValueError: a label that is not in the class map.
    """
    rows: dict[tuple[int, int, int], None] = {}
    duration, problems = entry["duration"], []
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


def with_length(
    name: str,
    entry: dict[str, Any],
    *,
    steps: Sequence[Any],
    data_path: str | Path | Sequence[str | Path],
    file_format: str,
    feature_stride: int,
) -> dict[str, Any]:
    """The entry of a video with `frame` and `duration`, from the files of the video where it has none.

    Args:
        entry: see `utils.annotation.read_database`.
        steps: of the pipeline; the first one that loads frames or features says which files to look into.
        data_path, file_format, feature_stride: of the dataset.
    Raises:
        ValueError, FileNotFoundError: what is missing in the entry, and why the files do not say it.
    """
    missing = [key for key in ("duration", "frame") if key not in entry]
    if not missing:
        return entry
    wanted = "needs duration, and one of frame, duration_frame and fps"
    try:
        frames, fps = _length(name, steps, data_path, file_format, feature_stride)
    except (OSError, ValueError, ImportError) as error:
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(f"{' and '.join(missing)} missing ({wanted}), and not to be had from the file: {error}") from error
    if frames is None or ("duration" in missing and not fps):
        raise ValueError(f"{' and '.join(missing)} missing ({wanted})")
    found = {"frame": frames, "duration": frames / fps if fps else None}
    return {**entry, **{key: found[key] for key in missing}}


def _length(name, steps, data_path, file_format, feature_stride):
    """Frames, and frames per second or None, of a video; (None, None) where no step loads files."""
    for step in steps:
        if isinstance(step, LoadFrames):
            path = find_video(data_path, name, file_format)
            status = path.stat()
            return _of_video(path, step.reader, step.num_threads, (status.st_mtime_ns, status.st_size))
        if isinstance(step, LoadFeats):
            return max(feature_shape(path)[0] for path in step.paths(data_path, name)) * feature_stride, None
        if isinstance(step, LoadWindowFeats):
            file = open_windows(step.paths(data_path, name)[0])
            return max(s + v for s, v in zip(file.starts, file.valid, strict=True)) * feature_stride, None
    return None, None


@lru_cache(maxsize=1 << 16)
def _of_video(path, reader, num_threads, _stamp):
    """Frames and frames per second of a file as it is; kept, as the check and every set of the run ask for them."""
    with open_video(path, reader, num_threads) as opened:
        return len(opened), opened.fps
