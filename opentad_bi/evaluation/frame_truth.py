"""Which frames of a video are anomalous, as the official annotations of UCF-Crime and XD-Violence say."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..ops.video_names import bare_name

# R feature rows of one video

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
NONE = -1  # stands for both times of an event that is not there


@dataclass(frozen=True)
class VideoEvents:
    """What an annotation says of one video.

    Args:
        label: name of its class as the annotation spells it (the first one, where it names several); None where it
            names none.
        events: tuple of (start, end), in video frames counted from 0, the end not included.
    """

    label: str | None
    events: tuple


def read_frame_annotation(path):
    """Read the temporal annotation of a test set.

    A line is a video's name and pairs of frame numbers, -1 -1 for no event. A class may stand after the name
    (UCF-Crime's `Temporal_Anomaly_Annotation.txt`), before every pair (XD-Violence's `annotations_multiclasses.txt`) or
    nowhere (XD-Violence's `annotations.txt`); it is told by its not being a number.

    Args:
        path: the text file.
    Returns:
        {name without folder and video extension: VideoEvents}, in the order of the file.
    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line that does not parse, with its number; a video twice; a file without lines.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"temporal annotation {path} does not exist")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"temporal annotation {path} is not text in UTF-8: {error}") from error
    found, places = {}, {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            video, entry = _parse(line.split())
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}: {line.strip()!r}") from None
        if video in found:
            raise ValueError(f"{path}: video {video!r} stands in line {places[video]} and again in line {number}")
        found[video], places[video] = entry, number
    if not found:
        raise ValueError(f"temporal annotation {path} has no lines")
    return found


def anomalous_frames(events, rows, frames_per_row):
    """How many of each feature row's frames are anomalous.

    Args:
        events: pairs (start, end) in frames, the end not included; what lies beyond the rows is cut off.
        rows: number of rows R.
        frames_per_row: video frames that one row stands for.
    Returns:
        (R,) int64, 0 to `frames_per_row`.
    """
    truth = np.zeros(rows * frames_per_row, dtype=bool)
    for start, end in events:
        truth[start:end] = True
    return truth.reshape(rows, frames_per_row).sum(axis=1)


def frames_of_rows(video, frames, rows, frames_per_row):
    """How many frames each row of a video stands for: `frames_per_row`, and what is left for the last one.

    Args:
        video: its name.
        frames: its number of frames; 0: not known, all rows are full.
        rows: number of rows R.
        frames_per_row: video frames that one row stands for.
    Returns:
        (R,) int64, 1 to `frames_per_row`.
    Raises:
        ValueError: so many frames make another number of rows.
    """
    full = np.full(rows, frames_per_row, dtype=np.int64)
    if not frames:
        return full
    needed = -(-frames // frames_per_row)
    if rows != needed:
        raise ValueError(
            f"video {video!r}: there are scores of {rows} rows, but its {frames} frames make {needed} rows of "
            f"{frames_per_row}; are frames_per_row of the metric and the stride of the dataset the same?"
        )
    full[-1] -= rows * frames_per_row - frames
    return full


def check_length(video, events, frames, tolerance):
    """ValueError for an event that begins beyond the `frames` of a video, or ends more than `tolerance` beyond them."""
    for start, end in events:
        if start >= frames or end > frames + tolerance:
            what = "begins at or beyond" if start >= frames else f"ends {end - frames} frames beyond"
            raise ValueError(
                f"video {video!r}: the event of frames {start} to {end} {what} the {frames} frames that have scores "
                f"(tolerance {tolerance}); are frames_per_row and the features those of this annotation?"
            )


def _parse(tokens):
    """(name, VideoEvents) of one line."""
    name, *rest = tokens
    labels, times = [], []
    for token in rest:
        if _NUMBER.fullmatch(token):
            times.append(_frame(token))
        elif len(times) % 2:
            raise ValueError(f"{token!r} stands between a start and an end")
        else:
            labels.append(token)
    if not times or len(times) % 2:
        raise ValueError(f"start and end frames must come in pairs, found {len(times)} numbers")
    events = []
    for start, end in zip(times[::2], times[1::2], strict=True):
        if (start, end) == (NONE, NONE):
            continue
        if start < 0 or start >= end:
            raise ValueError(f"an event of frames {start} to {end} does not begin before it ends")
        events.append((start, end))
    return bare_name(name), VideoEvents(labels[0] if labels else None, tuple(events))


def _frame(token):
    try:
        return int(token)
    except ValueError:
        raise ValueError(f"{token} is not a whole frame number (times are in frames, not seconds)") from None
