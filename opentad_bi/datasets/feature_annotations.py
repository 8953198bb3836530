"""When anomalies happen: CSV files with the columns file_name, start_time, end_time.

E events of a video
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from ..ops.names import bare_name
from ..registry import nearest
from ..utils.files import walk_files

COLUMNS = ("file_name", "start_time", "end_time")
_TIME = re.compile(r"(?:(?:(\d+):)?(\d{1,3}):)?(\d+(?:\.\d*)?|\.\d+)")


def read_event_tables(source):
    """Read one CSV file, or all *.csv below a folder.

    Returns:
        {video: float64 (E, 2), start and end in seconds, sorted; events that overlap or touch are one}.
    Raises:
        FileNotFoundError: no CSV there.
        ValueError: naming file and line: a column that is missing, an unreadable time, an end not after its start.
    """
    source = Path(source)
    paths = [source] if source.is_file() else walk_files(source, (".csv",)) if source.is_dir() else []
    if not paths:
        raise FileNotFoundError(f"annotation_dir {source} holds no .csv file (columns {', '.join(COLUMNS)})")
    events = {}
    for path in paths:
        for name, start, end in _rows(path):
            events.setdefault(name, []).append((start, end))
    return {name: merge_events(pairs) for name, pairs in events.items()}


def _rows(path):
    """(video, start, end) of every line of one file."""
    try:
        table = pd.read_csv(path, dtype=str, index_col=False, skip_blank_lines=False, skipinitialspace=True).fillna("")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"annotation {path} is not a CSV table: {error}") from error
    table.columns = [str(name).strip().lstrip("\ufeff") for name in table.columns]
    for column in COLUMNS:
        if column not in table.columns:
            raise ValueError(
                f"annotation {path} has no column {column!r}; {nearest(column, table.columns, every=True)}"
            )
    for line, row in enumerate(table[list(COLUMNS)].itertuples(index=False), start=2):
        if not any(row):
            continue
        start, end = (_seconds(text, path, line) for text in row[1:])
        if not end > start:
            raise ValueError(f"annotation {path}, line {line}: the event ends at {row[2]!r}, not after {row[1]!r}")
        yield bare_name(row[0]), start, end


def _seconds(text, path, line):
    try:
        return parse_time(text)
    except ValueError as error:
        raise ValueError(f"annotation {path}, line {line}: {error}") from error


def parse_time(text):
    """Seconds of a time written as seconds, MM:SS or HH:MM:SS, each with or without a fraction."""
    found = _TIME.fullmatch(str(text).strip())
    if not found:
        raise ValueError(f"time {text!r} is none of seconds, MM:SS, HH:MM:SS")
    hours, minutes, seconds = found.groups()
    if (minutes and float(seconds) >= 60) or (hours and int(minutes) >= 60):
        raise ValueError(f"time {text!r} has 60 or more of a part that ends at 59")
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds)


def merge_events(pairs):
    """Join events that overlap or touch.  List of (start, end) -> float64 (E, 2), sorted."""
    merged = []
    for start, end in sorted(pairs):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(end, merged[-1][1])
        else:
            merged.append([start, end])
    return np.array(merged, dtype=np.float64).reshape(-1, 2)


def check_events(events, files, normal_label, row_seconds=1.0):
    """Raise a ValueError where an event lies beyond its video, or in a video of the normal class.

    Args:
        events: {video: (E, 2), start and end in rows}; the last part of a row may have no row.
        files: list of FeatureFile.
        normal_label: label of the normal class, or None.
        row_seconds: seconds that a row stands for, for the message.
    """
    for file in files:
        own = events.get(file.video)
        if own is None:
            continue
        if file.label == normal_label:
            raise ValueError(f"video {file.video!r} lies in the normal class ({file.path}) but has an annotated event")
        if own[-1, 1] > file.rows + 1:
            start, end = own[-1] * row_seconds
            raise ValueError(
                f"video {file.video!r} has an event from {start:g} to {end:g} s, "
                f"beyond its {file.rows} rows of {row_seconds:g} s ({file.path})"
            )
