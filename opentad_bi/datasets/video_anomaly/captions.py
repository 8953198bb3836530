"""Caption files: entries of four forms made into records, and records made into videos that can be trained on.

list: {"f_path", "global_caption", "bbox_info": [{"caption", "start_frame", "end_frame", "keyframes": [...]}]}
late list: {"video", "global_caption", "region_captions": [...], "box_infos": [[{"frame", "bbox"}]], "timestamps"}
dict: {video: {"global": {"Caption"}, "region": [{"caption", "keyframes"} or a text]}}
nested dict: {video: {segment: {"timestamps": [[first, stop]], "global": ..., "region": ...}}}

After reading, texts are settled, test videos kept out, files found, and labels given.

C classes, N videos
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ...errors import some
from ...ops.names import bare_name, class_key, normal_label, served_path
from ...registry import nearest
from ...utils.annotation import TIMELINE_HINT, holds_timeline
from ...utils.files import list_folder, read_json, read_lines
from ...utils.logging import LOGGER
from ...utils.validation import check_choice
from ..common.video_paths import class_of_path, class_of_words, find_video_file
from .records import NAMED, REASONED, CaptionedVideo, ReadReport
from .regions import ON_BAD_BOX, TOLERANCE, RegionReader, finite, first_given, items_of, shown, text_of
from .sampling import frame_window
from .split_guard import guard
from .texts import read_caption_map, settle_chinese, settle_empty, translate

_PATHS, _CAPTIONS = ("f_path", "video", "video_path"), ("global_caption", "caption", "Caption")
_FORM = {"global", "region"}  # of a video in a dict
_ABOUT = {
    *("timestamps", "category", "dataset", "duration", "fps"),
    *("frames", "frames_count", "framesCount", "split", "id"),
}
_COUNTS = ("frames_count", "framesCount", "n_frames", "num_frames")
_IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_CLASS = re.compile(r"[A-Z][A-Za-z]*([ _-][A-Za-z]+)*")
_NO_CLASS = {"camera", "cam", "clip", "part", "scene", "segment", "video"}  # what numbered files are called anyway


class EntryReader:
    """Makes records of entries; a ValueError says what is wrong with one, but not where it stands.

    Args:
        regions: RegionReader.
        classes: names that a category may have, or None: any. Then a name without boxes is of the class before its
            number only if that looks like one: `Theft_03`, not `clip_03`.
        normal_class: the class without anomalies.
    """

    def __init__(
        self, regions: RegionReader, *, classes: Sequence[str] | None = None, normal_class: str = "Normal"
    ) -> None:
        self.regions, self.classes, self.normal_class = regions, classes, normal_class

    def listed(self, entry: Any) -> CaptionedVideo:
        """The record of an entry of a list."""
        if not isinstance(entry, dict):
            raise ValueError(f"an object is expected, not {shown(entry)}")
        path = _path(first_given(entry, _PATHS))
        if _FORM & set(entry):
            if reason := missing_keys(entry):
                raise ValueError(reason)
            return self.keyed(path, entry)
        caption = text_of("global_caption", first_given(entry, _CAPTIONS))
        return self._record(path, None, caption, self.regions.of_entry(entry), entry)

    def keyed(self, path: Any, entry: dict[str, Any], segment: str | None = None) -> CaptionedVideo:
        """The record of a value of a dict: that of a video, or of a segment of it."""
        about = entry["global"] if isinstance(entry["global"], dict) else {"caption": entry["global"]}
        caption = text_of("global caption", first_given(about, _CAPTIONS))
        return self._record(_path(path), segment, caption, self.regions.described(entry["region"]), entry)

    def _record(self, path, segment, caption, regions, entry):
        report = self.regions.report
        report.empty_captions += not caption
        # a region that could not be read is one all the same: its video is not taken for a normal one
        boxed = report.skipped_regions > 0 or any(region.keyframes for region in regions)
        category = text_of("category", entry.get("category"))
        if class_key(category) not in map(class_key, self.classes or ()):
            category = class_of_words(category, self.normal_class) or self._class_of_path(path, boxed)
        report.assumed_normal += not category and not boxed
        abnormal = class_key(category) != class_key(self.normal_class) if category else boxed
        return CaptionedVideo(
            name=bare_name(segment or path),
            path=path,
            category=category or None,
            abnormal=abnormal,
            caption=caption,
            window=_window(entry.get("timestamps")),
            regions=regions,
            fps=_positive("fps", entry.get("fps")),
            frames=_positive("frames_count", first_given(entry, _COUNTS), whole=True),
        )

    def _class_of_path(self, path, boxed):
        """The class that a path says, or None; without boxes, no class is made up of any word."""
        name = class_of_path(path, self.classes, self.normal_class)
        if name is None or self.classes is not None or boxed or name == self.normal_class:
            return name
        return name if _CLASS.fullmatch(name) and class_key(name) not in _NO_CLASS else None


def missing_keys(entry: Mapping[str, Any]) -> str | None:
    """Which of its required keys a value of a dict does not have, in words, or None."""
    missing = [key for key in ("global", "region") if key not in entry]
    return f"it has no {' and no '.join(map(repr, missing))}" if missing else None


def is_nested(value: Any) -> bool:
    """Does a value of a dict hold segments, and not a video itself?"""
    return isinstance(value, dict) and not _FORM & set(value) and any(isinstance(v, dict) for v in value.values())


def segments(value: Mapping[str, Any]) -> dict[str, Any]:
    """{name: segment} of a value that holds them, without what is said of their video."""
    return {name: own for name, own in value.items() if isinstance(own, dict) or name not in _ABOUT}


def _path(value):
    """A path of a video with '/', not empty."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(f"{' or '.join(map(repr, _PATHS[:2]))} {shown(value)} is not the path of a video")
    path = served_path(value).replace("\\", "/")
    if not PurePosixPath(path).name:
        raise ValueError(f"path {shown(value)} names no file")
    if path.lower().endswith(_IMAGES):
        raise ValueError(f"path {shown(value)} is that of an image; FG-CLIP's form for images is not read, videos are")
    return text_of("path", path)


def _window(value):
    """(first, stop) in seconds of [s, e] or [[s, e]]; None for None, [] and [[]]."""
    pairs = items_of("timestamps", value)
    if len(pairs) == 1 and isinstance(pairs[0], list):
        pairs = pairs[0]
    if not pairs:
        return None
    if len(pairs) != 2 or not all(map(finite, pairs)) or not -TOLERANCE <= pairs[0] < pairs[1]:
        raise ValueError(f"timestamps {shown(value)} are not [start, end] in seconds, the end after the start")
    return max(float(pairs[0]), 0.0), float(pairs[1])


def _positive(name, value, *, whole=False):
    """A number above 0, or None for None."""
    if value is None:
        return None
    if not finite(value) or value <= 0 or (whole and value != int(value)):
        raise ValueError(f"{name} {shown(value)} is not a {'whole ' if whole else ''}number above 0")
    return int(value) if whole else float(value)


Sources = str | Path | Sequence[str | Path]  # of caption files
ON_BAD_ENTRY = ("error", "skip")
_SUFFIXES = (".json", ".json.gz", ".jsonl")


def read_captions(
    sources: Sources,
    *,
    classes: Sequence[str] | None = None,
    normal_class: str = "Normal",
    frame_base: int = 0,
    on_bad_box: str = "error",
    on_bad_entry: str = "error",
) -> tuple[list[CaptionedVideo], ReadReport]:
    """Read caption files.  Returns a list of CaptionedVideo in the order of the files, and a ReadReport.

    Args:
        sources: a JSON file, a text file with the path of one per line, a folder of JSON files, or a list of these.
        classes: names that a category may have, or None: any.
        normal_class: the class without anomalies.
        frame_base: number of a video's first frame in the files, 0 or 1.
        on_bad_box: of a box without area: "error", or "drop" its keyframe, see `RegionReader`.
        on_bad_entry: of a region or an entry that cannot be read: "error", or "skip" it, counted with its reason; a
            region that cannot be read never costs its video.
    Raises:
        FileNotFoundError, ValueError: naming file, entry and value.
    """
    if frame_base not in (0, 1) or isinstance(frame_base, bool):
        raise ValueError(f"frame_base {frame_base!r} is the number of the first frame: 0 or 1")
    check_choice("on_bad_box", on_bad_box, ON_BAD_BOX)
    check_choice("on_bad_entry", on_bad_entry, ON_BAD_ENTRY)
    report, records = ReadReport(), []
    regions = RegionReader(frame_base=frame_base, on_bad_box=on_bad_box, skip=on_bad_entry == "skip")
    entries = EntryReader(regions, classes=classes, normal_class=normal_class)
    for path in caption_files(sources):
        records += _read(path, entries, report, skip=on_bad_entry == "skip")
        report.files += 1
    report.count(records)
    for what, names in report.names().items():
        LOGGER.warning("caption files: %d %s: %s", len(names), what.replace("_", " "), some(names))
    return records, report


def caption_files(sources: Sources) -> list[Path]:
    """The JSON files that `read_captions` reads, as paths; FileNotFoundError or ValueError where there are none."""
    if not isinstance(sources, (str, os.PathLike)):
        if not sources or not isinstance(sources, (list, tuple)):
            raise ValueError(f"caption files {sources!r} name none")
        return [path for source in sources for path in caption_files(source)]
    path = Path(sources)
    if path.is_dir():
        found = [p for p in list_folder(path, "[!.]*") if p.name.lower().endswith(_SUFFIXES)]
        if not found:
            raise FileNotFoundError(f"folder of caption files {path} holds no .json file")
        return found
    if path.suffix == ".txt":
        found = [path.parent / text for _, text in read_lines(path, "list of caption files")]
        for line in found:
            if not line.is_file():
                raise FileNotFoundError(f"list of caption files {path}: {line} does not exist")
        return found
    return [path]


def _read(path, reader, report, *, skip):
    """The records of one file."""
    content = read_json(path, "caption file")
    if not isinstance(content, (list, dict)) or not content:
        raise ValueError(f"caption file {path} must hold a list or an object of videos; it holds {shown(content)}")
    records, problems, count = [], [], 0
    for where, make in _jobs(content, reader):
        count += 1
        reader.regions.report = own = ReadReport()  # of an entry that fails nothing is counted
        try:
            record = make()
        except ValueError as error:
            problems.append(f"{where}: {error}")
            continue
        if isinstance(record, str):
            report.skipped[record] += 1
            report.named.append((record, where))
        else:
            records.append(record)
            report.named += [(what, where) for what in NAMED if vars(own)[what]]
            report.named += [(REASONED, f"{where}: {problem}") for problem in own.region_problems]
            report.add(own)
    report.entries += count
    if problems and not skip and not holds_timeline(content):
        raise ValueError(
            f"caption file {path}: {len(problems)} of {count} entries cannot be read: {problems[0]}"
            + "; on_bad_entry='skip' leaves out the regions and entries that cannot be read"
        )
    report.skipped.update({"unreadable": len(problems)} if problems else {})
    report.named += [("unreadable", problem) for problem in problems]
    if not records:
        reason = problems[0] if problems else some(report.skipped)
        if holds_timeline(content):
            reason = f"it is a timeline export of Label Studio; {TIMELINE_HINT}"
        raise ValueError(f"caption file {path}: none of {count} entries is a video: {reason}")
    return records


def _jobs(content, reader):
    """(where it stands, function that gives its record or the reason why it is left out) of every entry."""
    if isinstance(content, list):
        for number, entry in enumerate(content):
            name = (entry.get("f_path") or entry.get("video")) if isinstance(entry, dict) else None
            yield f"entry {number} ({shown(name)})" if name else f"entry {number}", partial(reader.listed, entry)
        return
    for name, value in content.items():
        if is_nested(value):
            for segment, inner in segments(value).items():
                yield f"{name!r}, segment {segment!r}", partial(_keyed, reader, name, inner, segment)
        else:
            yield f"{name!r}", partial(_keyed, reader, name, value, None)


def _keyed(reader, name, value, segment):
    if not isinstance(value, dict):
        raise ValueError(f"an object is expected, not {shown(value)}")
    return missing_keys(value) or reader.keyed(name, value, segment)


def captioned_videos(
    ann_files: Sources,
    *,
    forbid_list: str | Path | Sequence[str] | None = None,
    drop_forbidden: bool = False,
    caption_map: str | Path | None = None,
    on_chinese: str = "warn",
    empty_caption: str = "region",
    **reading: Any,
) -> tuple[list[CaptionedVideo], ReadReport]:
    """Read caption files and settle what their texts leave open.  Returns a list of CaptionedVideo, ReadReport.

    Args:
        ann_files, reading: see `read_captions`.
        forbid_list, drop_forbidden: see `guard`.
        caption_map: JSON file of {caption: what stands in its place}, or None.
        on_chinese, empty_caption: see `settle_chinese` and `settle_empty`.
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


def find_files(
    records: Sequence[CaptionedVideo],
    root: str | Path,
    layouts: str | Sequence[str] | None,
    tolerate: float,
    report: ReadReport,
) -> tuple[list[CaptionedVideo], list[Path]]:
    """The records whose file is there, and the files, see `find_video_file`.

    Args:
        tolerate: share of the records whose file may be missing; they are left out, counted in `report` and logged.
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


def record_window(record: CaptionedVideo, path: str | Path | None, about: tuple[int, float]) -> tuple[int, int]:
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


def bad_windows(
    records: Sequence[CaptionedVideo],
    paths: Sequence[Path | None],
    about: Callable[[Path], tuple[int, float]],
    *,
    workers: int = 4,
) -> dict[int, str]:
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


def drop_bad_windows(
    records: Sequence[CaptionedVideo],
    paths: Sequence[Path],
    about: Callable[[Path], tuple[int, float]],
    report: ReadReport,
) -> tuple[Sequence[CaptionedVideo], Sequence[Path]]:
    """The records, and their files, that have no bad window; the others are counted in `report` and logged.

    Raises:
        ValueError: none is left.
    """
    bad = bad_windows(records, paths, about)
    if not bad:
        return records, paths
    names = some([records[number].name for number in bad])
    first = next(iter(bad.values()))
    if len(bad) == len(records):
        raise ValueError(f"none of {len(records)} windows lies in its video: {first}")
    LOGGER.warning("%d windows are not in their videos and are left out: %s; %s", len(bad), names, first)
    report.skipped["the window is not in the video"] += len(bad)
    kept = [number for number in range(len(records)) if number not in bad]
    records = [records[number] for number in kept]
    report.count(records)
    return records, [paths[number] for number in kept]


def categories(records: Sequence[CaptionedVideo], normal_class: str) -> list[str]:
    """The normal class and then the others that the records have, sorted."""
    found = {class_key(record.category): record.category for record in records if record.abnormal and record.category}
    return [normal_class, *sorted(found.values())]


def label_videos(records: Sequence[CaptionedVideo], classes: Sequence[str], normal_class: str) -> np.ndarray:
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
