"""Are rows of features as far apart in time as a config says?  They are compared with the lengths of their videos."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .feature_rows import FeatureFile
from .readers import VideoError
from .readers.header import read_header
from .video_paths import find_video_file

LOOKED_AT = 16  # files, evenly over all
MISMATCH = 0.05  # share by which rows may be farther apart, or nearer


def check_row_times(files: Sequence[FeatureFile], row_seconds: float, video_root: str | Path | None = None) -> None:
    """Compare the rows of some files with the lengths of their videos.

    Lengths are those in NAME.json beside NAME.npy (where it is a link: beside the file), as
    tools/extract_clip_features.py writes them, or else those in the headers of the videos below `video_root`.

    Args:
        files: of features.
        row_seconds: seconds that a row stands for.
        video_root: folder of the videos, or None.
    Raises:
        ValueError: rows are more than 5 % nearer or farther apart, by the median over files of at least 20 rows; with
            the number of frames per row that would fit.
    """
    if video_root is not None and not Path(video_root).is_dir():
        raise FileNotFoundError(f"video_root {video_root} does not exist; None: features are not compared with videos")
    chosen = np.unique(np.linspace(0, len(files) - 1, LOOKED_AT).round().astype(int))
    found = []
    for file in (files[number] for number in chosen):
        length = _recorded(file) or (_in_header(file, video_root) if video_root is not None else None)
        if length and file.rows * MISMATCH >= 1:  # the last, partial row is within the share
            found.append((length[0] / file.rows, file, *length))
    if not found:
        return
    apart, file, seconds, fps = sorted(found, key=lambda entry: entry[0])[len(found) // 2]
    if abs(apart / row_seconds - 1) <= MISMATCH:
        return
    raise ValueError(
        f"row_seconds {row_seconds:g} (frames_per_row / fps) does not fit features {file.path}: its {file.rows} rows "
        f"are of a video of {seconds:.1f} s, so a row stands for {apart:.3g} s, and so it is in most of {len(found)} "
        f"files; frames_per_row={max(1, round(apart * fps))} would fit at {fps:g} frames per second"
    )


def _recorded(file):
    """(seconds, frames per second) of the video of a file, as the record beside it says, or None."""
    path = file.path.resolve().with_suffix(".json")
    try:
        facts = json.loads(path.read_bytes())
        seconds, fps = float(facts["duration_sec"]), float(facts["fps"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # there is no record, or another file of that name
    return (seconds, fps) if seconds > 0 and fps > 0 else None


def _in_header(file, root):
    """(seconds, frames per second) of the video of a file, as its header says, or None where it is not there."""
    try:
        header = read_header(find_video_file(f"{file.path.parent.name}/{file.video}", root))
    except (FileNotFoundError, VideoError):
        return None
    return (header.seconds[0], header.fps) if header.seconds and header.fps > 0 else None
