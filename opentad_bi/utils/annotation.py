"""Annotation files of temporal action detection, as every command reads them.

A file is JSON: {"database": {video: {"subset": name, "duration": seconds, "frame": number of frames, "annotations":
[{"segment": [start_sec, end_sec], "label": class}, ...]}}}; other keys are ignored. Also read are the spellings of
other tools: `duration_second` (mmaction2), `duration_frame` for `frame`, `fps` where neither is there, a database that
is the whole file (mmaction2), no `subset` in any entry (a file per subset), numbers as text (HACS), whole numbers as
labels (as their digits), and `annotations: null` for none. What is read is brought to the form above.
"""

import json
import math
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from ..registry import nearest
from .files import NameList, read_json, read_names
from .logging import warn

AMBIGUOUS = "Ambiguous"  # spans that THUMOS14 leaves open: never trained on, evaluated, drawn or counted
TIMELINE_HINT = "opentad-bi label-studio EXPORT.json OUT.json makes an annotation of actions of it"
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_ENTRY_KEYS = {"annotations", "duration_second", "duration_frame"}  # what shows that an object is an entry
MOST = 1e9  # frames, seconds or frames per second: three years of video at 10 frames per second
FAR = 5  # lengths of a video; THUMOS14 has segments at four times the length of theirs
_FRAME_SEC = 1 / 25  # a frame, where the rate is not known
Source = str | Path | dict  # an annotation file, or the content of one


def read_block_list(block_list: NameList) -> frozenset[str]:
    """Names of left-out videos, from None, a list of names, a JSON list or a text file with one name per line."""
    return frozenset(read_names(block_list, "block list"))


def read_database(source: Source, what: str = "annotation", repeated: list | None = None) -> dict[str, dict]:
    """Read an annotation file, or take the content of one.

    Args:
        source: path, also of a gzipped file, or the content as a dict.
        what: what it is, for messages.
        repeated: see `read_json`.
    Returns:
        {video: {"subset": name or None, "duration": seconds, "frame": frames, "annotations": [{"segment": [start,
        end] in seconds, "label": name}]}}; `duration` and `frame` only where the entry says them or they follow, and
        `fps` where the entry says it.
    Raises:
        FileNotFoundError: no such file.
        ValueError: no annotation file, or the first malformed entry with file, video, key and value; also of a segment
            far outside its video, see `is_far_outside`.
    """
    entries, problems = parse_database(source, what, repeated)
    for name, entry in entries.items():
        duration = entry.get("duration")
        far = [item["segment"] for item in actions(entry) if is_far_outside(item["segment"], duration)]
        if far:
            problems.setdefault(name, f"{segment_problem(far[0], duration)}; segments are in seconds, not in frames")
    for name, problem in problems.items():
        raise ValueError(f"{named(source, what)}: video {name!r}: {problem}")
    return entries


def parse_database(source: Source, what: str = "annotation", repeated: list | None = None) -> tuple[dict, dict]:
    """The same without an error for malformed entries: ({video: entry}, {video: what is wrong with it})."""
    content = source if isinstance(source, dict) else read_json(source, what, repeated)
    raw = raw_database(content, named(source, what))
    without_subset = all(isinstance(entry, dict) and entry.get("subset") is None for entry in raw.values())
    entries, problems = {}, {}
    for name, entry in raw.items():
        try:
            entries[name] = parse_entry(entry, without_subset)
        except ValueError as error:
            problems[name] = str(error)
    return entries, problems


def named(source: Source, what: str = "annotation") -> str:
    """What a message calls an annotation file, or its content."""
    return what if isinstance(source, dict) else f"{what} {source}"


def raw_database(content: Any, where: str) -> dict:
    """The database in the content of a file, {video: entry} as it stands there; ValueError if there is none."""
    database = content.get("database") if isinstance(content, dict) else None
    if isinstance(database, dict):
        return database
    entries = isinstance(content, dict) and "database" not in content and list(content.values())
    if entries and all(isinstance(entry, dict) and _ENTRY_KEYS & set(entry) for entry in entries):
        return content
    found = f"an object with the keys {', '.join(map(repr, list(content)[:5]))}" if content else "an empty one"
    if holds_timeline(content):
        raise ValueError(f"{where} is a timeline export of Label Studio; {TIMELINE_HINT}")
    if not isinstance(content, dict):
        found = f"a {type(content).__name__}"
    elif "database" in content:
        found = f"one with a {type(database).__name__} as 'database'"
    raise ValueError(
        f"{where} has no object 'database': it must hold {{'database': {{video: {{'subset', 'duration', 'frame', "
        f"'annotations'}}}}}}, and is {found}"
    )


def parse_entry(entry: object, without_subset: bool = False) -> dict:
    """One entry of the database in the form of `read_database`; ValueError names the key and the value."""
    if not isinstance(entry, dict):
        raise ValueError(f"an object is expected, not {shown(entry)}")
    subset = entry.get("subset")
    if not isinstance(subset, str) and not without_subset:
        raise ValueError(f"subset {shown(subset)} is not a name")
    parsed = {"subset": subset}
    duration = _positive(entry, "duration", "duration_second")
    frames = _positive(entry, "frame", "duration_frame", optional=True)
    fps = _positive(entry, "fps", optional=True)
    if duration is None and frames and fps:
        duration = frames / fps
    if frames is None and duration and fps:
        frames = max(1, round(duration * fps))
    if frames is not None and not 1 <= frames <= MOST:
        raise ValueError(f"{frames:.4g} frames: a number between 1 and {MOST:g} is expected")
    lengths = {"duration": duration, "frame": frames, "fps": fps}
    parsed |= {key: value for key, value in lengths.items() if value is not None}
    annotations = entry.get("annotations")
    if annotations is not None and not isinstance(annotations, list):
        raise ValueError(f"annotations {shown(annotations)} is not a list")
    parsed["annotations"] = [_action(item) for item in annotations or ()]
    return parsed


def _action(item):
    """One annotation as {"segment": [start, end], "label"}."""
    segment = item.get("segment") if isinstance(item, dict) else None
    if not isinstance(segment, (list, tuple)) or len(segment) != 2:
        raise ValueError(f"annotation {shown(item)} has no 'segment' of two numbers")
    times = [number(time) for time in segment]
    for time, value in zip(times, segment, strict=True):
        if time is None:
            raise ValueError(f"segment {shown(segment)}: {shown(value)} is not a finite number of seconds")
    if times[0] > times[1]:
        raise ValueError(f"segment {shown(segment)} ends before it starts")
    if "label" not in item:
        raise ValueError(f"annotation {shown(item)} has no 'label'")
    label = label_name(item["label"])
    if label is None:
        raise ValueError(f"label {shown(item['label'])} of segment {shown(segment)} is not a name")
    return {"segment": times, "label": label}


def _positive(entry, *keys, optional=False):
    """The positive number under the first of `keys` that is there; None for none of them (if optional: also null)."""
    key = next((key for key in keys if key in entry and not (optional and entry[key] is None)), None)
    if key is None:
        return None
    value = number(entry[key])
    if value is None or value <= 0:
        raise ValueError(f"{key} {shown(entry[key])} is not a positive number")
    if value > MOST:
        raise ValueError(f"{key} {shown(entry[key])} is more than {MOST:g}")
    return value


def holds_timeline(content: object) -> bool:
    """Does the content of a JSON file hold timeline labels of Label Studio, in whatever form it was exported?"""
    return '"timelinelabels"' in json.dumps(content)


def number(value: object) -> float | int | None:
    """A finite number, also one written as text ("12.5"), or None for anything else; True is none, "00:12" neither."""
    if isinstance(value, str):
        value = float(value) if _NUMBER.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # of an integer beyond all floats
        return None


def label_name(label: object) -> str | None:
    """A class's name as text, digits for a whole number, or None for what is not a name."""
    if isinstance(label, int) and not isinstance(label, bool):
        return str(label)
    return label if isinstance(label, str) and label.strip() else None


def shown(value: object) -> str:
    """A value in a message, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        text = "a number of thousands of digits"
    return text if len(text) <= 120 else f"{text[:117]}..."


def select_names(
    database: dict, subset_name: str | Sequence[str], blocked: Collection[str] = frozenset(), where: str = "annotation"
) -> list[str]:
    """Names of the videos of one subset, or of a list of subsets, in the order of the file.

    Where no video names a subset, all of them are of any, with a warning.

    Raises:
        ValueError: a subset that no video belongs to; the message lists those there are.
    """
    wanted = [subset_name] if isinstance(subset_name, str) else list(subset_name)
    known = {entry["subset"] for entry in database.values()}
    if known == {None}:
        warn(f"{where}: no video names a subset, so all {len(database)} are taken as {' and '.join(map(repr, wanted))}")
        return [name for name in database if name not in blocked]
    for name in wanted:
        if name not in known:
            raise ValueError(f"{where} has no subset {name!r}; {nearest(name, known, every=True)}")
    return [name for name, entry in database.items() if entry["subset"] in wanted and name not in blocked]


def actions(entry: dict) -> list[dict]:
    """The annotations of a video that count: all but those labelled "Ambiguous"."""
    return [item for item in entry["annotations"] if item["label"] != AMBIGUOUS]


def segment_problem(segment: Sequence[float], duration: float | None, tolerance: float = 0.0) -> str | None:
    """What is wrong with a segment in seconds, or None; it may reach `tolerance` seconds beyond the video.

    Args:
        segment: [start, end] in seconds.
        duration: seconds of the video; None: not known.
    """
    start, end = segment
    if not end > start:
        return f"segment [{start}, {end}] does not end after its start"
    if start < -tolerance or (duration is not None and end > duration + tolerance):
        return f"segment [{start}, {end}] is not inside the video (0 to {duration} s)"
    return None


def frame_seconds(entry: dict) -> float:
    """How long a frame of the video of a (parsed) entry lasts, in seconds."""
    return entry["duration"] / entry["frame"] if entry.keys() >= {"duration", "frame"} else _FRAME_SEC


def is_far_outside(segment: Sequence[float], duration: float | None) -> bool:
    """Does a segment reach so far beyond its video that its times must be of another unit, or of another video?"""
    return duration is not None and (segment[1] > FAR * duration or segment[0] < -FAR * duration)
