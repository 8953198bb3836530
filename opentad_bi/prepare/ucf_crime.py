"""Bring features of UCF-Crime into class folders by its official lists, with the events of the test videos as CSV."""

import os
import re
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pandas as pd

from ..errors import some
from ..ops.names import bare_name, class_key, list_fields
from ..registry import nearest
from ..utils.files import atomic, read_lines, read_text, walk_files, write_text
from ..utils.provenance import FEATURE_RECORD, source_stamp

CLASSES = ("Normal", "Abuse", "Arrest", "Arson", "Assault", "Burglary", "Explosion", "Fighting", "RoadAccidents",
           "Robbery", "Shooting", "Shoplifting", "Stealing", "Vandalism")  # fmt: skip
FPS = 30  # of all videos; the official annotation counts frames
CROP_SEPARATOR = "__"
_CROP = re.compile(r"(.+?)(?:_i3d)?__?(\d)")
ANNOTATION = "Temporal_Anomaly_Annotation.txt"
TEST_VIDEOS = "test_videos.txt"
_NORMAL_FOLDER = "normalvideos"
Frames = tuple[int, int]  # of an event: its start and its end


class Events(Protocol):
    """What the temporal annotation says of a video: its class, if it says that, and its events in frames."""

    @property
    def label(self) -> str | None:
        """Its class, if that is said."""

    @property
    def events(self) -> Sequence[Frames]:
        """(start, end) of every event."""


def read_list(path: Path | str) -> dict[str, str]:
    """Read an official list, one `folder/video.mp4` per line.

    Returns:
        {video: class}, the class as in CLASSES; folders of normal videos are "Normal".
    Raises:
        FileNotFoundError, ValueError: naming file and line: no folder, an unknown class, a duplicate video.
    """
    videos, keys = {}, {class_key(name): name for name in CLASSES}
    for number, line in read_lines(path, "list"):
        place = list_fields(line)[0].replace("\\", "/")
        folder = place.rpartition("/")[0].rpartition("/")[2]
        key, video = class_key(folder), bare_name(place)
        name = CLASSES[0] if _NORMAL_FOLDER in key else keys.get(key)
        if name is None:
            hint = f"{nearest(folder, CLASSES)}; expected: a line per video, Class/video.mp4"
            raise ValueError(f"{path}, line {number}: unknown class {folder!r}; {hint}")
        if video in videos:
            raise ValueError(f"{path}, line {number}: video {video!r} is listed twice")
        videos[video] = name
    return videos


def check_lists(train: dict[str, str], test: dict[str, str], events: Mapping[str, Events]) -> None:
    """Check that the lists share no video and that the temporal annotation fits the test list.

    Args:
        train, test: {video: class}.
        events: {video: its annotation}.
    Raises:
        ValueError: naming the videos that do not fit.
    """
    if shared := sorted(set(train) & set(test)):
        raise ValueError(f"{len(shared)} videos are in both lists, for training and for the test: {some(shared)}")
    for video, entry in events.items():
        if video not in test:
            raise ValueError(
                f"the temporal annotation has {video!r}, which is not a test video; {nearest(video, test)}"
            )
        if entry.label is not None and class_key(entry.label) != class_key(test[video]):
            raise ValueError(f"video {video!r} is {entry.label!r} in the annotation and {test[video]!r} in the list")
        if entry.events and test[video] == CLASSES[0]:
            raise ValueError(f"video {video!r} is normal but has events of frames {entry.events}")
    if missing := sorted(set(test) - set(events)):
        raise ValueError(f"{len(missing)} test videos are missing in the temporal annotation: {some(missing)}")


def find_features(
    folder: Path | str, videos: Collection[str], out: Path | str
) -> tuple[dict[str, dict[str, Path]], list[Path]]:
    """All .npy files below `folder`, without those below `out`.

    Args:
        videos: names; a file's name is one of them, alone or before the crop, see `video_and_name`.
    Returns:
        {video: {name: path}}, and the list of files that belong to none.
    Raises:
        FileNotFoundError: no such folder, or no .npy file of a listed video in it.
        ValueError: two files of one name.
    """
    folder, out = Path(folder), Path(out).resolve()
    if not folder.is_dir():
        raise FileNotFoundError(f"folder of features {folder} does not exist")
    found: dict[str, dict[str, Path]] = {}
    unknown = []
    for path in walk_files(folder, (".npy",)):
        if path.parent.resolve().is_relative_to(out):
            continue
        known = video_and_name(path.stem, videos)
        if known is None:
            unknown.append(path)
            continue
        video, name = known
        other = found.setdefault(video, {}).setdefault(name, path)
        if not path.samefile(other):  # the same: below a link to a folder that was seen
            raise ValueError(f"two files of one name: {other} and {path}; keep one of them in {folder}")
    if not found:
        raise FileNotFoundError(f"no .npy file below {folder} has the name of a listed video, such as {min(videos)}")
    return found, unknown


def video_and_name(stem: str, videos: Collection[str]) -> tuple[str, str] | None:
    """The listed video that a feature file is of, and the name of the file in class folders; None for no such video.

    Crops are `Abuse028_x264__3`, or `Abuse028_x264_3` and `Abuse028_x264_i3d_3` as the lists of RTFM and UR-DMU have
    them; all are laid out as the first.
    """
    bare = stem.removesuffix("_i3d")
    if bare in videos:
        return bare, bare
    crop = _CROP.fullmatch(stem)
    if crop and crop[1] in videos:
        return crop[1], f"{crop[1]}{CROP_SEPARATOR}{crop[2]}"
    before = stem.rpartition(CROP_SEPARATOR)[0]
    return (before, stem) if before in videos else None


def lay_out(
    out: Path | str,
    *,
    features: Path | str,
    train: dict[str, str],
    test: dict[str, str],
    events: Mapping[str, Events],
    copy: bool = False,
) -> tuple[pd.DataFrame, list[Path]]:
    """Write out/{train,test}/<class>/*.npy, out/annotations/test/<class>.csv and out/test_videos.txt.

    Features are relative symbolic links, hard links where those cannot be made, or copies. All is checked before
    anything is written, and doing it again changes nothing.

    Args:
        features: folder with the .npy files, at any depth.
        train, test: {video: class}, see `read_list`.
        events: see `check_lists`; frames at 30 per second.
    Returns:
        a table (DataFrame) of listed and found videos by class, and the list of files in no list.
    Raises:
        FileExistsError: a file in `out` that was not made so, or that is in another split or class by the lists.
    """
    check_lists(train, test, events)
    out, splits = Path(out), {"train": train, "test": test}
    found, unknown = find_features(features, train.keys() | test.keys(), out)
    jobs = [
        (path, out / split / videos[video] / f"{name}.npy")
        for split, videos in splits.items()
        for video in videos
        for name, path in found.get(video, {}).items()
    ]
    for source, target in jobs:
        _refuse_unexpected(source, target)
    _refuse_left_over(out, splits)
    for source, target in jobs:
        target.parent.mkdir(parents=True, exist_ok=True)
        place(source, target, copy=copy)
    pairs = {video: entry.events for video, entry in events.items()}
    write_event_tables(out / "annotations" / "test", test, pairs)
    write_text(out / TEST_VIDEOS, "".join(f"{video}\n" for video in test))
    record = Path(features) / FEATURE_RECORD
    for split in splits if record.is_file() else ():
        write_text(out / split / FEATURE_RECORD, read_text(record, "record of features"))
    return count_videos(splits, found), unknown


def place(source: Path, target: Path, *, copy: bool = False) -> None:
    """Make `target` a link to `source`, or a copy of it; what is so already is left alone."""
    link = os.path.relpath(source.resolve(), target.parent.resolve())
    if not copy and target.is_symlink() and os.readlink(target) == link:
        return
    if not target.is_symlink() and target.exists() and (copy or target.samefile(source)) and _alike(source, target):
        return
    with atomic(target) as temporary:
        if copy:
            shutil.copy2(source, temporary)
            return
        try:
            temporary.symlink_to(link)
        except OSError:
            os.link(source.resolve(), temporary)


def _alike(source, target):
    """Have both files the same size and content at both ends, as a copy or a hard link has?"""
    one, other = source_stamp(source), source_stamp(target)
    return (one["bytes"], one["edges"]) == (other["bytes"], other["edges"])


def _refuse_unexpected(source, target):
    if target.exists() and not target.is_symlink() and not _alike(source, target):
        raise FileExistsError(f"{target} exists and is neither a link nor a copy of {source}; remove it first")


def _refuse_left_over(out, splits):
    """FileExistsError for features in `out` that lie in a split or class which the lists do not give their video."""
    there = [(split, path) for split in splits if (out / split).is_dir() for path in walk_files(out / split, (".npy",))]
    left = []
    for split, path in there:
        known = video_and_name(path.stem, splits[split])
        if known is None or splits[split][known[0]] != path.parent.name:
            left.append(str(path))
    if left:
        raise FileExistsError(
            f"{len(left)} files of {out}, of an earlier run, lie where these lists do not have them: {some(left)}; "
            "remove them first, or choose another folder"
        )


def write_event_tables(
    folder: Path | str, videos: dict[str, str], events: Mapping[str, Iterable[Frames]], normal: str = CLASSES[0]
) -> None:
    """Write one CSV per class but `normal`: file_name, start_time, end_time, in seconds.

    Args:
        videos: {video: class}.
        events: {video: pairs (start, end) of frames}.
        normal: the class without events.
    """
    rows: dict[str, list] = {name: [] for name in videos.values() if name != normal}
    for video, pairs in events.items():
        for start, end in pairs:
            rows[videos[video]].append((video, round(start / FPS, 4), round(end / FPS, 4)))
    for name, own in rows.items():
        table = pd.DataFrame(own, columns=["file_name", "start_time", "end_time"])
        write_text(Path(folder) / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))


def count_videos(splits: dict[str, dict[str, str]], found: Collection[str]) -> pd.DataFrame:
    """A table of listed and found videos per class, with a line for all.

    Args:
        splits: {"train": {video: class}, "test": ...}.
        found: videos that have features.
    """
    table = pd.DataFrame(index=[*CLASSES, "all"])
    for split, videos in splits.items():
        listed, there = Counter(videos.values()), Counter(videos[video] for video in videos if video in found)
        table[split] = [*(listed[name] for name in CLASSES), len(videos)]
        table[f"{split} found"] = [*(there[name] for name in CLASSES), there.total()]
    return table
