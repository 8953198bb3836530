"""Temporal annotation of anomalies: which frames of a video are anomalous, and which snippets and rows by it.

The official annotations of UCF-Crime and XD-Violence are read; what lies outside the events is normal.

N snippets, R feature rows of one video
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...ops.names import bare_name, class_key, list_fields, normal_label
from ...registry import nearest
from ...utils.files import read_lines
from .unit_scores import Units

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
LAST_ROWS = EITHER, KEEP, DROP = ("either", "keep", "drop")  # of frames that make no whole row
NONE = -1  # stands for both times of an event that is not there
FORM = "a video per line, 'name.mp4 Class start end [start end ...]' in frames, -1 -1 for no event"


@dataclass(frozen=True)
class VideoEvents:
    """What an annotation says of one video.

    Args:
        label: name of its class as the annotation spells it (the first one, where it names several); None where it
            names none.
        events: tuple of (start, end), in video frames counted from 0, the end not included.
        frames: number of frames of the video, 0 where the annotation does not say.
    """

    label: str | None
    events: tuple
    frames: int = 0


def read_frame_annotation(path: str | Path, *, normal_class: str | None = None) -> dict[str, VideoEvents]:
    """Read the temporal annotation of a test set.

    A line is a video's name and pairs of frame numbers, -1 -1 for no event. A class may stand after the name
    (UCF-Crime's `Temporal_Anomaly_Annotation.txt`), before every pair (XD-Violence's `annotations_multiclasses.txt`) or
    nowhere (XD-Violence's `annotations.txt`); it is what is not a number. Commas may stand for blanks. Lines
    `name frames class start end`, one per event, and `name|frames|[start, end]` have the number of frames of the video.

    Args:
        normal_class: the class without events; None: any class may have events or none.
    Returns:
        {name without folder and video extension: VideoEvents}, in the order of the file.
    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line that does not parse, or a video of the normal class with an event or of another without any,
            with its number and the expected form; a video twice; a file without lines.
    """
    found: dict[str, VideoEvents] = {}
    places: dict[str, int] = {}
    for number, line in read_lines(path, "temporal annotation"):
        try:
            video, entry = _parse(line)
            _check_class(entry, normal_class)
            if video in found:
                entry = _joined(found[video], entry, video, places[video])
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}: {line!r}; expected: {FORM}") from None
        found[video] = entry
        places.setdefault(video, number)
    return found


def anomalous_frames(events: Iterable[tuple[int, int]], rows: int, frames_per_row: int) -> np.ndarray:
    """How many of each feature row's frames are anomalous.  Returns (R,) int64, 0 to `frames_per_row`.

    Args:
        events: pairs (start, end) in frames, the end not included; what lies beyond the rows is cut off.
        rows: number of rows R.
        frames_per_row: video frames that one row stands for.
    """
    truth = np.zeros(rows * frames_per_row, dtype=bool)
    for start, end in events:
        truth[start:end] = True
    return truth.reshape(rows, frames_per_row).sum(axis=1)


def frames_of_rows(
    video: str, frames: int, rows: int, frames_per_row: int, last_row: str = EITHER, slack: int = 0
) -> np.ndarray:
    """How many frames each row of a video stands for: `frames_per_row`, and what is left for the last one.

    Args:
        frames: its number of frames; 0: not known, all rows are full.
        rows: number of rows R.
        frames_per_row: video frames that one row stands for.
        last_row: frames that make no whole row have one ("keep"), or none ("drop", they have no score), or "either".
        slack: by which `frames` may be off.
    Returns:
        (R,) int64, 1 to `frames_per_row`.
    Raises:
        ValueError: so many frames make another number of rows, with the `frames_per_row` that would fit.
    """
    full = np.full(rows, frames_per_row, dtype=np.int64)
    if not frames:
        return full
    dropped, kept = max(frames - slack, 1) // frames_per_row, -(-(frames + slack) // frames_per_row)
    low = -(-max(frames - slack, 1) // frames_per_row) if last_row == KEEP else dropped
    high = (frames + slack) // frames_per_row if last_row == DROP else kept
    if not low <= rows <= high:
        needed = f"{high} rows" if low == high else f"{low} {'or' if high - low == 1 else 'to'} {high} rows"
        raise ValueError(
            f"video {video!r}: there are scores of {rows} rows, but its {frames} frames make {needed} of "
            f"{frames_per_row}; frames_per_row={max(1, round(frames / rows))} would fit; are frames_per_row of the "
            "metric and the stride of the dataset the same?"
            + (f" last_row is {last_row!r}" if last_row != EITHER else "")
        )
    full[-1] -= min(max(0, rows * frames_per_row - frames), frames_per_row - 1)
    return full


def check_length(video: str, events: Iterable[tuple[int, int]], frames: int, tolerance: int, hint: str = "") -> None:
    """ValueError for an event that begins beyond the `frames` of a video, or ends more than `tolerance` beyond them.

    Args:
        hint: what may fit, for the message.
    """
    for start, end in events:
        if start >= frames or end > frames + tolerance:
            what = "begins at or beyond" if start >= frames else f"ends {end - frames} frames beyond"
            raise ValueError(
                f"video {video!r}: the event of frames {start} to {end} {what} the {frames} frames that have scores "
                f"(tolerance {tolerance}); are frames_per_row and the features those of this annotation?{hint}"
            )


def _parse(line):
    """(name, VideoEvents) of one line."""
    name, *rest = list_fields(line)
    numbers = [bool(_NUMBER.fullmatch(token)) for token in rest]
    frames = _frame(rest.pop(0)) if numbers[:1] == [True] and ("|" in line or numbers[1:2] == [False]) else 0
    if frames < 0:
        raise ValueError(f"{frames} is not a number of frames")
    labels, times, words = [], [], False
    for token in rest:
        if _NUMBER.fullmatch(token):
            times.append(_frame(token))
        elif len(times) % 2:
            raise ValueError(f"{token!r} stands between a start and an end")
        elif bare_name(token) != token:
            raise ValueError(f"{token!r} is a file, not a class; the file comes first, and its name holds no blanks")
        elif words:
            labels[-1] += f" {token}"  # Road Accidents
        else:
            labels.append(token)
        words = not _NUMBER.fullmatch(token)
    times = [] if "|" in line and times == [NONE] else times
    if len(times) % 2 or not (times or "|" in line):
        raise ValueError(f"start and end frames must come in pairs, found {len(times)} numbers")
    events = []
    for start, end in zip(times[::2], times[1::2], strict=True):
        if (start, end) == (NONE, NONE):
            continue
        if start < 0 or start >= end:
            raise ValueError(f"an event of frames {start} to {end} does not begin before it ends")
        events.append((start, end))
    return bare_name(name), VideoEvents(labels[0] if labels else None, tuple(events), frames)


def _check_class(entry, normal_class):
    """ValueError where a class and events do not go together."""
    if normal_class is None or entry.label is None:
        return
    key = class_key(entry.label)
    # 'Normal' of the class 'Normal_Videos', and UCF-Crime's folders 'Testing_Normal_Videos_Anomaly'
    normal = key == class_key(normal_class) or key.startswith(("normal", "testingnormal", "trainingnormal"))
    if normal and entry.events:
        raise ValueError(f"a video of the class {entry.label!r} has events")
    if not normal and not entry.events:
        raise ValueError(f"a video of the class {entry.label!r} has no event, so all its frames would count as normal")


def _joined(first, entry, video, place):
    """Both as one, where there is a line per event, which has the number of frames; else a video stands there twice."""
    alike = first.frames and (first.label, first.frames) == (entry.label, entry.frames)
    if not alike or set(first.events) & set(entry.events) or not (first.events and entry.events):
        raise ValueError(f"video {video!r} stands in line {place} already")
    return VideoEvents(first.label, (*first.events, *entry.events), first.frames)


def _frame(token):
    try:
        return int(token)
    except ValueError:
        raise ValueError(f"{token} is not a whole frame number (times are in frames, not seconds)") from None


class TimedLabels:
    """Gives snippets of anomalous videos the label of the normal class where no event of their video touches them.

    Args:
        annotation: file for `read_frame_annotation`.
        classes: names by label.
        normal_class: the class without anomalies.
        frames_per_row: video frames per row of features.
    """

    def __init__(
        self, annotation: str | Path, classes: Sequence[str], normal_class: str | None, frames_per_row: int
    ) -> None:
        self.normal, self.frames_per_row = normal_label(normal_class, classes), frames_per_row
        self.truth = read_frame_annotation(annotation, normal_class=normal_class)

    def __call__(self, units: Units) -> np.ndarray:
        """Labels of `Units`: (N,) int64.

        Raises:
            ValueError: a video with the label of an anomaly that the annotation lacks, or with another number of rows
                than its frames make.
        """
        labels = units.labels.copy()
        for video in dict.fromkeys(units.videos[units.labels != self.normal].tolist()):
            if video not in self.truth:
                raise ValueError(f"the annotation lacks video {video!r}; {nearest(video, self.truth)}")
            mine = np.flatnonzero(units.videos == video)
            ends = units.starts[mine] + units.rows[mine]
            frames_of_rows(video, int(units.frames[mine].max()), int(ends.max()), self.frames_per_row)
            frames = anomalous_frames(self.truth[video].events, int(ends.max()), self.frames_per_row)
            before = np.concatenate([[0], np.cumsum(frames)])
            outside = before[ends] == before[units.starts[mine]]
            labels[mine[outside]] = self.normal
        return labels
