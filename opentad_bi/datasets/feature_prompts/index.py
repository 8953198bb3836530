"""What a folder of features holds: classes, files, anomalous events, and the snippets of every file.

Classes are sub-folders of .npy files. Events come from CSV files with the columns file_name, start_time, end_time; what
a row stands for is compared with the lengths of the videos.

T rows of a file, U rows of a snippet, C classes, E events of a video
"""

import json
import logging
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import some
from ...ops.names import bare_name, class_key, list_fields, shown_class
from ...registry import nearest
from ...utils.files import list_folder, read_names, walk_files
from ..common.video_paths import find_video_file
from ..readers.base import VideoError
from ..readers.pyav import read_header
from .rows import FeatureFile, describe_file

COLUMNS = ("file_name", "start_time", "end_time")
_TIME = re.compile(r"(?:(?:(\d+):)?(\d{1,3}):)?(\d+(?:\.\d*)?|\.\d+)")


def read_event_tables(source: str | Path) -> dict[str, np.ndarray]:
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
    events: dict[str, list[tuple[float, float]]] = {}
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


def parse_time(text: object) -> float:
    """Seconds of a time written as seconds, MM:SS or HH:MM:SS, each with or without a fraction."""
    found = _TIME.fullmatch(str(text).strip())
    if not found:
        raise ValueError(f"time {text!r} is not seconds, MM:SS or HH:MM:SS")
    hours, minutes, seconds = found.groups()
    if (minutes and float(seconds) >= 60) or (hours and int(minutes) >= 60):
        raise ValueError(f"time {text!r} has 60 or more of a part that ends at 59")
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds)


def merge_events(pairs: Iterable[tuple[float, float]]) -> np.ndarray:
    """Join events that overlap or touch.  List of (start, end) -> float64 (E, 2), sorted."""
    merged: list[list[float]] = []
    for start, end in sorted(pairs):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(end, merged[-1][1])
        else:
            merged.append([start, end])
    return np.array(merged, dtype=np.float64).reshape(-1, 2)


def check_events(
    events: Mapping[str, np.ndarray], files: Sequence[FeatureFile], normal_label: int | None, row_seconds: float = 1.0
) -> None:
    """Raise a ValueError where an event lies beyond its video, or in a video of the normal class.

    Args:
        events: {video: (E, 2), start and end in rows}; the last part of a row may have no row.
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


LOOKED_AT = 16  # files, evenly over all
MISMATCH = 0.05  # share by which rows may be farther apart, or nearer


def check_row_times(files: Sequence[FeatureFile], row_seconds: float, video_root: str | Path | None = None) -> None:
    """Compare the rows of some files with the lengths of their videos.

    Lengths are those in NAME.json beside NAME.npy (where it is a link: beside the file), as
    opentad-bi extract-clip-features writes them, or else those in the headers of the videos below `video_root`.

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


logger = logging.getLogger(__name__)
CLASS_ORDERS = ("normal_first", "sorted")
STRICT_MODES = ("post_event", "event_only", "off")


def class_folders(feature_dir: str | Path, skip: str | Path | None = None) -> dict[str, Path]:
    """Sub-folders of `feature_dir` by the key of their class, without hidden ones and `skip`.

    Raises:
        FileNotFoundError: no such folder, or no sub-folder in it.
        ValueError: two folders that spell one class.
    """
    root = Path(feature_dir)
    if not root.is_dir():
        raise FileNotFoundError(f"feature_dir {root} does not exist; it holds one folder of .npy files per class")
    found: dict[str, Path] = {}
    for folder in list_folder(root):
        if not folder.is_dir() or folder.name.startswith(".") or (skip and folder.resolve() == Path(skip).resolve()):
            continue
        other = found.setdefault(class_key(folder.name), folder)
        if other is not folder:
            raise ValueError(f"{root}: the folders {other.name!r} and {folder.name!r} are one class in two spellings")
    if not found:
        raise FileNotFoundError(f"feature_dir {root} has no sub-folders; one per class is expected, with .npy files")
    return found


def find_classes(
    folders: Mapping[str, Path],
    *,
    classes: Sequence[str] | None,
    normal_class: str,
    class_order: str,
    allow_missing: bool,
) -> tuple[list[str], list[Path | None]]:
    """Bring the classes into the order of their labels.  Returns C names, and C folders (None where there is none).

    Args:
        folders: {key: folder}, as `class_folders` gives them.
        classes: names in the order of the labels, or None: all folders in `class_order`.
        normal_class: name of the class without anomalies.
        class_order: one of CLASS_ORDERS.
        allow_missing: a listed class may have no folder.
    """
    if classes is None:
        normal = class_key(normal_class)
        first = class_order == "normal_first"
        keys = sorted(folders, key=lambda key: (first and key != normal, folders[key].name))
        return [shown_class(folders[key].name) for key in keys], [folders[key] for key in keys]
    keys = [class_key(name) for name in classes]
    if twice := sorted({name for name, key in zip(classes, keys, strict=True) if keys.count(key) > 1}):
        raise ValueError(f"classes: {', '.join(map(repr, twice))} are listed more than once, or in two spellings")
    absent = [name for name, key in zip(classes, keys, strict=True) if key not in folders]
    names = [folder.name for folder in folders.values()]
    if absent and (not allow_missing or len(absent) == len(keys)):
        hints = "; ".join(f"{name!r}: {nearest(name, names)}" for name in absent)
        raise ValueError(f"classes without a folder in {next(iter(folders.values())).parent}: {hints}")
    if unlisted := sorted(folder.name for key, folder in folders.items() if key not in keys):
        logger.warning("folders of unlisted classes are left out: %s", ", ".join(unlisted))
    return list(map(str, classes)), [folders.get(key) for key in keys]


def list_files(folders: Sequence[Path | None], crop_separator: str | None) -> list[list[tuple[Path, str]]]:
    """All .npy files of the class folders.  Returns one list per class of (path, video), sorted by name.

    Raises:
        ValueError: a folder without files, or a video in two classes.
    """
    owners: dict[str, Path] = {}
    lists = []
    for folder in folders:
        paths = list_folder(folder, "[!.]*.npy") if folder else []  # a hidden file is one being written
        if folder and not paths:
            raise ValueError(f"class folder {folder} holds no .npy file; fill it or remove it")
        files = [(path, video_of(path, crop_separator)) for path in paths]
        for path, video in files:
            owner = owners.setdefault(video, path)
            if owner.parent != path.parent:
                raise ValueError(f"video {video!r} lies in two classes: {owner} and {path}")
        lists.append(files)
    return lists


def video_of(path: Path, crop_separator: str | None) -> str:
    """Name of the video a feature file belongs to: what stands before the last `crop_separator`, or the whole stem.

    A single "_", which names of videos hold too, only counts before a number of one digit: NAME_0.npy to NAME_9.npy.
    """
    before, _, crop = path.stem.rpartition(crop_separator) if crop_separator else ("", "", "")
    if crop_separator == "_" and not (len(crop) == 1 and crop.isdecimal()):
        return path.stem
    return before or path.stem


def choose(
    lists: list[list[tuple[Path, str]]],
    names: Sequence[str],
    *,
    max_files_per_class: int | None,
    shots: int | None,
    seed: int,
) -> list[list[tuple[Path, str]]]:
    """The first files of every class, and of those `shots` videos drawn by `seed`, with all their files."""
    if max_files_per_class is not None:
        lists = [files[:max_files_per_class] for files in lists]
    return lists if shots is None else [_draw(*pair, shots, seed) for pair in zip(lists, names, strict=True)]


def _draw(files, name, shots, seed):
    """The files of `shots` videos of one class; a sample does not depend on which other classes there are."""
    videos = sorted({video for _, video in files})
    if files and len(videos) < shots:
        raise ValueError(f"shots={shots}: class {name!r} has {len(videos)} videos only")
    if not files:
        return files
    rng = np.random.default_rng([seed, zlib.crc32(class_key(name).encode())])
    kept = {videos[i] for i in rng.permutation(len(videos))[:shots]}
    return [(path, video) for path, video in files if video in kept]


def read_files(lists: Sequence[Sequence[tuple[Path, str]]]) -> list[FeatureFile]:
    """Read the headers of the files of every class.  Returns a list of FeatureFile, in the order of the labels.

    Raises:
        ValueError: a file that is not a table of floats, or two of different width.
    """
    files = [describe_file(path, video, label) for label, own in enumerate(lists) for path, video in own]
    for file in files:
        if file.width != files[0].width:
            turned = len({file.rows for file in files}) == 1 and len(files) > 3
            hint = f"; all have {file.rows} rows: are they (width, rows) instead of (rows, width)?" if turned else ""
            raise ValueError(
                f"features of different width: {files[0].path} has {files[0].width}, {file.path} has {file.width}{hint}"
            )
    return files


def refuse_forbidden(files: Sequence[FeatureFile], forbid_list: str | Path | Sequence[str]) -> None:
    """Raise a ValueError if a file is of a video in `forbid_list`, whether or not its name ends in a crop.

    Args:
        forbid_list: names, a JSON list or a text file; a line may have a folder, an extension, more words behind.
    """
    forbidden = set()
    for line in read_names(forbid_list, "forbid_list"):
        forbidden |= {bare_name(line), bare_name(line.split()[0]), bare_name(list_fields(line)[0])}
    found = sorted({f.video for f in files if {f.video, f.path.stem, f.path.stem.rpartition("__")[0]} & forbidden})
    if found:
        raise ValueError(
            f"{len(found)} videos are in forbid_list {_shown(forbid_list)}, which must not be trained on: {some(found)}"
        )


def _shown(source):
    return source if isinstance(source, (str, Path)) else f"of {len(source)} names"


def snippet_stride_rows(unit: int, overlap_ratio: float) -> int:
    """Rows from one snippet of `unit` rows to the next, at least 1: what is not repeated, rounded down."""
    return max(1, int(unit * (1 - overlap_ratio) + 1e-9))  # 10 * (1 - 0.8) is a hair below 2


def snippet_starts(rows: int, unit: int, stride: int, cover: bool) -> np.ndarray:
    """First rows of the snippets of one file.  Returns an int32 array.

    Args:
        rows: T.
        unit: U.
        stride: rows from one snippet to the next.
        cover: let every row be in a snippet: one more at the end if rows are left over, or one at 0 if T < U.
    """
    starts = np.arange(0, rows - unit + 1, stride, dtype=np.int32)
    if cover and not len(starts):
        return np.zeros(1, np.int32)
    if cover and starts[-1] + unit < rows:
        return np.append(starts, np.int32(rows - unit))
    return starts


def kept_snippets(starts: np.ndarray, unit: int, events: np.ndarray, mode: str) -> np.ndarray:
    """Which snippets of an anomalous video the strict filter keeps.  Returns bool (N,).

    Args:
        starts: first rows (N,); a row is a second.
        unit: U.
        events: (E, 2) start and end in seconds.
        mode: "post_event" drops snippets outside all events that end after the first event began, "event_only" drops
            all outside, "off" drops none.
    """
    ends = starts + unit
    inside = ((starts[:, None] < events[:, 1]) & (ends[:, None] > events[:, 0])).any(1)
    if mode == "post_event":
        return inside | (ends <= events[:, 0].min())
    return inside | np.full(len(starts), mode == "off")
