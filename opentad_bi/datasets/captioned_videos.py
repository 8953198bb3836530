"""From caption files to videos that can be trained on: texts settled, test videos kept out, files found, labels.

C classes, N videos
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..errors import some
from ..ops.names import class_key, normal_label
from ..registry import nearest
from ..utils.logging import LOGGER
from .caption_files import read_captions
from .caption_texts import read_caption_map, settle_chinese, settle_empty, translate
from .region_sampling import frame_window
from .split_guard import guard
from .video_paths import find_video_file


def captioned_videos(
    ann_files,
    *,
    forbid_list=None,
    drop_forbidden=False,
    caption_map=None,
    on_chinese="warn",
    empty_caption="region",
    **reading,
):
    """Read caption files and settle what their texts leave open.

    Args:
        ann_files, reading: see `read_captions`.
        forbid_list, drop_forbidden: see `guard`.
        caption_map: JSON file of {caption: what stands in its place}, or None.
        on_chinese, empty_caption: see `settle_chinese` and `settle_empty`.
    Returns:
        list of CaptionedVideo, ReadReport.
    Raises:
        FileNotFoundError, ValueError: as those say; no video is left.
    """
    records, report = read_captions(ann_files, **reading)
    records = guard(records, forbid_list, drop=drop_forbidden, report=report)
    records = translate(records, {} if caption_map is None else read_caption_map(caption_map), report)
    records = settle_empty(settle_chinese(records, on_chinese, report), empty_caption, report)
    if not records:
        raise ValueError(f"{ann_files}: of {report.entries} entries none is left: {dict(report.skipped)}")
    report.count(records)
    return records, report


def find_files(records, root, layouts, tolerate, report):
    """The records whose file is there, and the files, see `find_video_file`.

    Args:
        tolerate: share of the records whose file may be missing; they are left out, counted in `report` and told.
    Raises:
        FileNotFoundError: more are missing, with all places where the first one was looked for.
    """
    found, missing = [], []
    for record in records:
        try:
            found.append((record, find_video_file(record.path, root, layouts)))
        except FileNotFoundError as error:
            missing.append((record.name, error))
    if missing and (len(missing) > tolerate * len(records) or not found):
        raise FileNotFoundError(f"{len(missing)} of {len(records)} videos have no file below {root}: {missing[0][1]}")
    if missing:
        report.skipped["the file is missing"] += len(missing)
        LOGGER.warning("%d videos have no file and are left out: %s", len(missing), some([n for n, _ in missing]))
    kept, paths = [record for record, _ in found], [path for _, path in found]
    report.count(kept)
    return kept, paths


def record_window(record, path, about):
    """[first, stop) in frames of a record.

    Args:
        about: (frames, frames per second) of its file, whose rate goes before that of the record.
    Raises:
        ValueError: naming the video and its file, see `frame_window`.
    """
    length, fps = about
    try:
        return frame_window(record.window, fps or record.fps or 0.0, length)
    except ValueError as error:
        raise ValueError(f"video {record.name!r} ({path}): {error}") from error


def bad_windows(records, paths, about, *, workers=4):
    """Which windows lie beyond their files; opens each file that has a window.

    Args:
        paths: of the records; None is passed over.
        about: function of a path, gives (frames, frames per second).
        workers: files opened at the same time.
    Returns:
        {number of the record: what is wrong}.
    """
    numbers = [number for number, record in enumerate(records) if record.window and paths[number]]
    files = list(dict.fromkeys(paths[number] for number in numbers))
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        known = dict(zip(files, pool.map(about, files), strict=True))
    problems = {}
    for number in numbers:
        try:
            record_window(records[number], paths[number], known[paths[number]])
        except ValueError as error:
            problems[number] = str(error)
    return problems


def drop_bad_windows(records, paths, about, report):
    """The records, and their files, that have no bad window; the others are counted in `report` and told.

    Raises:
        ValueError: none is left.
    """
    bad = bad_windows(records, paths, about)
    if not bad:
        return records, paths
    told = some([records[number].name for number in bad])
    first = next(iter(bad.values()))
    if len(bad) == len(records):
        raise ValueError(f"none of {len(records)} windows lies in its video: {first}")
    LOGGER.warning("%d windows are not in their videos and are left out: %s; %s", len(bad), told, first)
    report.skipped["the window is not in the video"] += len(bad)
    kept = [number for number in range(len(records)) if number not in bad]
    records = [records[number] for number in kept]
    report.count(records)
    return records, [paths[number] for number in kept]


def categories(records, normal_class):
    """The normal class and then the others that the records have, sorted."""
    found = {class_key(record.category): record.category for record in records if record.abnormal and record.category}
    return [normal_class, *sorted(found.values())]


def label_videos(records, classes, normal_class):
    """Label of every record: int64 (N,)

    Raises:
        KeyError: the normal class is none of `classes`.
        ValueError: the category of an abnormal record is none of them, or is not known.
    """
    normal = normal_label(normal_class, classes)
    known = {class_key(name): label for label, name in enumerate(classes)}
    labels = []
    for record in records:
        label = known.get(class_key(record.category)) if record.abnormal else normal
        if label is None:
            raise ValueError(
                f"video {record.name!r} is abnormal and has the class {record.category!r}; "
                + nearest(record.category, classes, every=True)
                + ("" if record.category else "; give its entry a 'category', or name it after its class")
            )
        labels.append(label)
    return np.array(labels, dtype=np.int64)
