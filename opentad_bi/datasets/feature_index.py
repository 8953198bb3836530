"""From class folders of feature files to classes, files and units.

T rows of a file, U rows of a unit, C classes
"""

import logging
import zlib
from pathlib import Path

import numpy as np

from ..errors import some
from ..ops.names import bare_name, class_key, list_fields, shown_class
from ..registry import nearest
from ..utils.files import list_folder, read_names
from .feature_rows import describe_file

logger = logging.getLogger(__name__)
CLASS_ORDERS = ("normal_first", "sorted")
STRICT_MODES = ("post_event", "event_only", "off")


def class_folders(feature_dir, skip=None):
    """Sub-folders of `feature_dir` by the key of their class, without hidden ones and `skip`.

    Raises:
        FileNotFoundError: no such folder, or no sub-folder in it.
        ValueError: two folders that spell one class.
    """
    root = Path(feature_dir)
    if not root.is_dir():
        raise FileNotFoundError(f"feature_dir {root} does not exist; it holds one folder of .npy files per class")
    found = {}
    for folder in list_folder(root):
        if not folder.is_dir() or folder.name.startswith(".") or (skip and folder.resolve() == Path(skip).resolve()):
            continue
        twin = found.setdefault(class_key(folder.name), folder)
        if twin is not folder:
            raise ValueError(f"{root}: the folders {twin.name!r} and {folder.name!r} are one class in two spellings")
    if not found:
        raise FileNotFoundError(f"feature_dir {root} has no sub-folders; one per class is expected, with .npy files")
    return found


def find_classes(folders, *, classes, normal_class, class_order, allow_missing):
    """Bring the classes into the order of their labels.

    Args:
        folders: {key: folder}, as `class_folders` gives them.
        classes: names in the order of the labels, or None: all folders in `class_order`.
        normal_class: name of the class without anomalies.
        class_order: one of CLASS_ORDERS.
        allow_missing: a listed class may have no folder.
    Returns:
        C names, and C folders (None where there is none).
    """
    if classes is None:
        normal = class_key(normal_class)
        first = class_order == "normal_first"
        keys = sorted(folders, key=lambda key: (first and key != normal, folders[key].name))
        return [shown_class(folders[key].name) for key in keys], [folders[key] for key in keys]
    keys = [class_key(name) for name in classes]
    if twice := sorted({name for name, key in zip(classes, keys, strict=True) if keys.count(key) > 1}):
        raise ValueError(f"classes: {', '.join(map(repr, twice))} are listed more than once, or in two spellings")
    lacking = [name for name, key in zip(classes, keys, strict=True) if key not in folders]
    names = [folder.name for folder in folders.values()]
    if lacking and (not allow_missing or len(lacking) == len(keys)):
        hints = "; ".join(f"{name!r}: {nearest(name, names)}" for name in lacking)
        raise ValueError(f"classes without a folder in {next(iter(folders.values())).parent}: {hints}")
    if unlisted := sorted(folder.name for key, folder in folders.items() if key not in keys):
        logger.warning("folders that are no listed class are left out: %s", ", ".join(unlisted))
    return list(map(str, classes)), [folders.get(key) for key in keys]


def list_files(folders, crop_separator):
    """All .npy files of the class folders.

    Returns:
        one list per class of (path, video), sorted by name.
    Raises:
        ValueError: a folder without files, or a video in two classes.
    """
    owners, lists = {}, []
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


def video_of(path, crop_separator):
    """Name of the video a feature file belongs to: what stands before the last `crop_separator`, or the whole stem.

    A single "_", which names of videos hold too, only counts before a number of one digit: NAME_0.npy to NAME_9.npy.
    """
    before, _, crop = path.stem.rpartition(crop_separator) if crop_separator else ("", "", "")
    if crop_separator == "_" and not (len(crop) == 1 and crop.isdecimal()):
        return path.stem
    return before or path.stem


def choose(lists, names, *, max_files_per_class, shots, seed):
    """The first files of every class, and of those `shots` videos drawn by `seed`, with all their files."""
    if max_files_per_class is not None:
        lists = [files[:max_files_per_class] for files in lists]
    return lists if shots is None else [_draw(*pair, shots, seed) for pair in zip(lists, names, strict=True)]


def _draw(files, name, shots, seed):
    """The files of `shots` videos of one class; a draw does not depend on which other classes there are."""
    videos = sorted({video for _, video in files})
    if files and len(videos) < shots:
        raise ValueError(f"shots={shots}: class {name!r} has {len(videos)} videos only")
    if not files:
        return files
    rng = np.random.default_rng([seed, zlib.crc32(class_key(name).encode())])
    kept = {videos[i] for i in rng.permutation(len(videos))[:shots]}
    return [(path, video) for path, video in files if video in kept]


def read_files(lists):
    """Read the headers of the files of every class.

    Returns:
        list of FeatureFile, in the order of the labels.
    Raises:
        ValueError: a file that is no table of floats, or two of different width.
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


def refuse_forbidden(files, forbid_list):
    """Raise a ValueError if a file is of a video in `forbid_list`, whether or not its name ends in a crop.

    Args:
        files: list of FeatureFile.
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


def unit_stride(unit, overlap_ratio):
    """Rows from one unit of `unit` rows to the next, at least 1: what is not repeated, rounded down."""
    return max(1, int(unit * (1 - overlap_ratio) + 1e-9))  # 10 * (1 - 0.8) is a hair below 2


def unit_starts(rows, unit, stride, cover):
    """First rows of the units of one file.

    Args:
        rows: T.
        unit: U.
        stride: rows from one unit to the next.
        cover: let every row be in a unit: one more at the end if rows are left over, or one at 0 if T < U.
    Returns:
        int32 array.
    """
    starts = np.arange(0, rows - unit + 1, stride, dtype=np.int32)
    if cover and not len(starts):
        return np.zeros(1, np.int32)
    if cover and starts[-1] + unit < rows:
        return np.append(starts, np.int32(rows - unit))
    return starts


def kept_units(starts, unit, events, mode):
    """Which units of an anomalous video the strict filter keeps.

    Args:
        starts: first rows (N,); a row is a second.
        unit: U.
        events: (E, 2) start and end in seconds.
        mode: "post_event" drops units outside all events that end after the first event began, "event_only" drops
            all outside, "off" drops none.
    Returns:
        bool (N,).
    """
    ends = starts + unit
    inside = ((starts[:, None] < events[:, 1]) & (ends[:, None] > events[:, 0])).any(1)
    if mode == "post_event":
        return inside | (ends <= events[:, 0].min())
    return inside | (mode == "off")
