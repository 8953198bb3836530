"""Lists of video files with labels, in the official forms of UCF101, HMDB51 and Kinetics-400, and names of classes.

What reads a file raises FileNotFoundError, KeyError or ValueError, which names the file, and the line and its value.

C classes
"""

import csv
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...errors import some
from ...ops.names import VIDEO_SUFFIXES, class_key
from ...registry import VIDEO_LISTS, nearest
from ...utils.files import is_file, list_folder, read_lines

_NUMBERED = re.compile(r"\d+\s+\S.*")
_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def class_prompt_name(name: str) -> str:
    """The name of a class as words: split at '_' and before capitals, "ApplyEyeMakeup" -> "Apply Eye Makeup"."""
    return " ".join(_WORD_STARTS.sub(" ", str(name).replace("_", " ")).split())


def read_class_index(path: str | Path) -> tuple[str, ...]:
    """The C names in a classInd file of UCF101, by label: lines "1 ApplyEyeMakeup", numbered from 1 in any order."""
    rows = [(line, text, text.split(maxsplit=1)) for line, text in read_lines(path, "class index")]
    for line, text, parts in rows:
        if len(parts) != 2:
            raise ValueError(f"class index {path}, line {line}: {text!r} is not a number and a name")
    return _by_number(path, [(line, *parts) for line, _, parts in rows], first=1)


def read_label_table(path: str | Path) -> tuple[str, ...]:
    """Read a table of labels: CSV with the columns id (from 0) and name.  Returns a tuple of C names, by label."""
    rows = read_table(path, "label table", ("id", "name"))
    return _by_number(path, [(line, row["id"], row["name"]) for line, row in rows], first=0)


def read_class_names(path: str | Path) -> tuple[str, ...]:
    """Read a file with one name of a class per line, in the order of the labels.  Returns a tuple of C names, by label.

    Raises:
        FileNotFoundError, ValueError: no such file, or a name that stands there twice.
    """
    lines = read_lines(path, "list of classes")
    return _by_number(path, [(line, str(label), name) for label, (line, name) in enumerate(lines)], first=0)


def read_classes(source: str | Path | Sequence[str]) -> tuple[str, ...]:
    """Names of classes by label, whatever they come from.  Returns a tuple of C names.

    Args:
        source: a list of names; a table of labels (.csv); a file of lines "1 name" like classInd.txt; or a file with
            one name per line.
    """
    if not isinstance(source, (str, Path)):
        return tuple(source)
    if Path(source).suffix == ".csv":
        return read_label_table(source)
    numbered = all(_NUMBERED.fullmatch(text) for _, text in read_lines(source, "list of classes"))
    return read_class_index(source) if numbered else read_class_names(source)


def read_table(path: str | Path, what: str, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with a header.  Returns a list of (line, {column: text without blanks at its ends}).

    Args:
        path: file in UTF-8.
        what: what the file is, for the messages.
        columns: names that the header must have.
    """
    read_lines(path, what)
    with Path(path).open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, skipinitialspace=True)
        header = [name.strip() for name in next(reader)]
        if absent := [name for name in columns if name not in header]:
            raise ValueError(f"{what} {path} has no column {absent[0]!r}; its columns: {', '.join(header)}")
        rows = []
        for row in reader:
            if not any(row):
                continue
            if len(row) != len(header):
                raise ValueError(f"{what} {path}, line {reader.line_num}: {len(row)} values, {len(header)} columns")
            rows.append((reader.line_num, dict(zip(header, map(str.strip, row), strict=True))))
    return rows


def _by_number(path, rows, first):
    """Names in the order of their numbers, which must be `first` and all that follow; rows of (line, number, name)."""
    names, lines = {}, {}
    last = first + len(rows) - 1
    for line, number, name in rows:
        if not (number.isdecimal() and first <= int(number) <= last):
            raise ValueError(f"{path}, line {line}: number {number!r} is not in {first}..{last}, one per class")
        if int(number) in names:
            raise ValueError(f"{path}, line {line}: number {number} is taken by {names[int(number)]!r} already")
        if not name or name in lines:
            where = f"stands in line {lines[name]} already" if name else "is empty"
            raise ValueError(f"{path}, line {line}: class {name!r} {where}")
        names[int(number)], lines[name] = name, line
    return tuple(names[number] for number in sorted(names))


logger = logging.getLogger(__name__)
HMDB51_PARTS = {"unused": "0", "train": "1", "test": "2"}
_SPLIT = re.compile(r"(?:train|test|val)(?:list)?0?([1-3])(?![0-9])")  # in the name of a list
_KINETICS_COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")


@dataclass(frozen=True, slots=True)
class ListedVideo:
    """A video file, relative to the folder of its data set, and its label from 0."""

    path: Path
    label: int


@dataclass(frozen=True)
class VideoList:
    """Names of C classes by label, videos of them in the order of their list, and the number of its official split."""

    classes: tuple
    videos: tuple
    split: int | None = field(default=None, compare=False)

    def counts(self) -> list[int]:
        """How many videos each class has: list of C ints."""
        found = [0] * len(self.classes)
        for video in self.videos:
            found[video.label] += 1
        return found


@VIDEO_LISTS.register_module("ucf101")
def read_ucf101(list_file: str | Path, class_file: str | Path) -> VideoList:
    """Read a trainlist ("Class/v_Class_g08_c01.avi 1") or testlist (path only) of UCF101.

    The folder says the class: the files of HandstandPushups are spelt v_HandStandPushups.

    Args:
        list_file: trainlistNN.txt or testlistNN.txt.
        class_file: classInd.txt, whose order is that of the labels (it is not the order of the alphabet).
    """
    classes = read_class_index(class_file)
    label_of = _labels(classes)
    rows = []
    for line, text in read_lines(list_file, "video list"):
        *words, number = text.rsplit(maxsplit=1)
        name, number = (words[0], number) if words and number.isdecimal() else (text, "")
        path = Path(name)
        label = label_of(path.parent.name, f"video list {list_file}, line {line}: folder")
        if number and int(number) != label + 1:
            raise ValueError(
                f"video list {list_file}, line {line}: number {number} is not that of folder {path.parent.name!r}, "
                f"which is {label + 1} in {class_file}"
            )
        rows.append((line, path, label))
    return _listed(list_file, classes, rows)


@VIDEO_LISTS.register_module("hmdb51")
def read_hmdb51(
    folder: str | Path, split: int, part: str, *, classes: str | Path | Sequence[str] | None = None
) -> VideoList:
    """Read the files <class>_test_split<N>.txt of HMDB51, whose lines are "video.avi 0|1|2".

    Args:
        split: 1, 2 or 3.
        part: "train" (1), "test" (2) or "unused" (0).
        classes: names in the order of the labels, however spelt, as a list or a file (`read_classes`), or None: all
            classes sorted by name.
    Returns:
        VideoList with paths <class>/<video>, the class spelt as its file is.
    """
    if part not in HMDB51_PARTS:
        raise KeyError(f"part {part!r} of HMDB51; {nearest(part, HMDB51_PARTS)}")
    folder, ending = Path(folder), f"_test_split{split}.txt"
    if not folder.is_dir():
        raise FileNotFoundError(f"folder {folder} does not exist; it holds the files <class>{ending}")
    names = sorted(path.name.removesuffix(ending) for path in list_folder(folder) if path.name.endswith(ending))
    if not names:
        raise FileNotFoundError(f"folder {folder} holds no file <class>{ending} (splits are 1, 2 and 3)")
    classes, label_of_file = tuple(names) if classes is None else read_classes(classes), _labels(names)
    files = [names[label_of_file(name, f"folder {folder} of HMDB51 lists: class")] for name in classes]
    videos = []
    for label, name in enumerate(files):
        rows = list(_hmdb51_lines(folder / f"{name}{ending}", name, label))
        _listed(folder / f"{name}{ending}", classes, [row[:3] for row in rows])
        videos += [ListedVideo(path, label) for _, path, label, flag in rows if flag == HMDB51_PARTS[part]]
    return VideoList(classes, tuple(videos), int(split))


def _hmdb51_lines(file, name, label):
    """(line, path, label, flag) of every line of the file of one class."""
    for line, text in read_lines(file, "video list"):
        video, *flag = text.rsplit(maxsplit=1)
        if not flag or flag[0] not in HMDB51_PARTS.values():
            raise ValueError(f"video list {file}, line {line}: {text!r} is not a video and 0, 1 or 2")
        yield line, Path(name, video), label, flag[0]


@VIDEO_LISTS.register_module("kinetics")
def read_kinetics(
    table: str | Path, *, classes: str | Path | Sequence[str] | None = None, split: str | None = None
) -> VideoList:
    """Read a CSV file of Kinetics-400: label, youtube_id, time_start, time_end, split and perhaps is_cc.

    Args:
        table: the file; times are whole seconds.
        classes: names in the order of the labels, as a list or a file (`read_classes`), or None: those of the whole
            table, sorted.
        split: keep the lines of this split, or None: all.
    Returns:
        VideoList with paths <class>/<id>_<start, 6 digits>_<end, 6 digits>.mp4.
    """
    lines = read_table(table, "video list", _KINETICS_COLUMNS)
    classes = tuple(sorted({row["label"] for _, row in lines})) if classes is None else read_classes(classes)
    splits = {row["split"] for _, row in lines}
    if split is not None and split not in splits:
        raise KeyError(f"video list {table} has no split {split!r}; {nearest(split, splits, every=True)}")
    label_of = _labels(classes)
    rows = []
    for line, row in lines:
        where = f"video list {table}, line {line}:"
        label = label_of(row["label"], f"{where} label")
        times = []
        for column in ("time_start", "time_end"):
            if not row[column].isdecimal():
                raise ValueError(f"{where} {column} {row[column]!r} is not a number of whole seconds")
            times.append(int(row[column]))
        if split is None or row["split"] == split:
            rows.append((line, Path(row["label"], f"{row['youtube_id']}_{times[0]:06d}_{times[1]:06d}.mp4"), label))
    return _listed(table, classes, rows)


@VIDEO_LISTS.register_module("numbered")
def read_numbered(
    list_file: str | Path,
    classes: str | Path | Sequence[str],
    *,
    separator: str = " ",
    class_folders: bool = False,
    first_label: int = 0,
) -> VideoList:
    """Read lines of a file and its label: "file label" (X-CLIP, ViFi-CLIP) or "file,label" (Vita-CLIP).

    A data set compares the labels with what the files say of their classes, see `check_labels`.

    Args:
        classes: names by label, as a list or a file (`read_classes`).
        separator: what stands before the label: " " (any blanks) or ",".
        class_folders: the files lie in folders called as their classes, which the list does not say.
        first_label: 0 or 1, the number of the first class.
    """
    if separator not in (" ", ","):
        raise ValueError(f"separator {separator!r} must be ' ' or ','")
    if first_label not in (0, 1):
        raise ValueError(f"first_label {first_label!r} must be 0 or 1")
    classes, rows = read_classes(classes), []
    for line, text in read_lines(list_file, "video list"):
        name, *number = text.rsplit(None if separator == " " else separator, 1)
        where = f"video list {list_file}, line {line}:"
        if not number or not number[0].strip().isdecimal() or not name.strip():
            raise ValueError(f"{where} {text!r} is not a file, {separator!r} and a label from {first_label}")
        label = int(number[0]) - first_label
        if not 0 <= label < len(classes):
            allowed = f"{first_label}..{len(classes) - 1 + first_label}, the {len(classes)} classes"
            other = 1 - first_label
            hint = f" (where labels start at {other}, give first_label={other})" if label in (-1, len(classes)) else ""
            raise ValueError(f"{where} label {number[0].strip()} is not in {allowed}{hint}")
        path = Path(name.strip())
        rows.append((line, Path(classes[label]) / path if class_folders else path, label))
    return _listed(list_file, classes, rows)


def rename_classes(videos: VideoList, reference: VideoList) -> VideoList:
    """Give every label of a list the name of the class that the same files have in a reference list.

    The label tables published beside the few-shot lists of HMDB51 have "kick" and "kick ball", "sword" and
    "sword exercise" the wrong way round: the files of those labels say so.

    Args:
        reference: VideoList whose names are right; files are matched by name without their folder.
    Returns:
        VideoList with the labels and videos of `videos`. A class that keeps its words keeps its spelling, as does one
        without a file in `reference`.
    Raises:
        ValueError: one label has files of two classes, or two labels have files of one.
    """
    names = {video.path.name: reference.classes[video.label] for video in reference.videos}
    found: dict[int, str] = {}
    for video in videos.videos:
        if (name := names.get(video.path.name)) is not None:
            other = found.setdefault(video.label, name)
            if other != name:
                raise ValueError(
                    f"label {video.label} ({videos.classes[video.label]!r}) has files of {other!r} and of {name!r}, "
                    f"as {video.path.as_posix()!r}"
                )
    pairs = [(old, found.get(label, old)) for label, old in enumerate(videos.classes)]
    classes = tuple(old if class_key(old) == class_key(new) else new for old, new in pairs)
    _labels(classes)
    if changed := [f"{old!r} -> {new!r}" for old, new in zip(videos.classes, classes, strict=True) if old != new]:
        logger.warning("%d classes are renamed after their files: %s", len(changed), some(changed))
    return replace(videos, classes=classes)


@VIDEO_LISTS.register_module("folders")
def read_class_folders(root: str | Path) -> VideoList:
    """List the videos below a folder that has one folder per class; classes and videos are sorted by name.

    Raises:
        FileNotFoundError: no such folder, or no class in it.
        ValueError: two folders that spell one class, or a folder without videos.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"folder {root} does not exist; it holds one folder of videos per class")
    folders = [path for path in list_folder(root, "[!.]*") if path.is_dir()]
    if not folders:
        raise FileNotFoundError(f"folder {root} has no sub-folders; one per class is expected, with videos")
    classes = tuple(folder.name for folder in folders)
    _labels(classes)
    videos = []
    for label, folder in enumerate(folders):
        names = [p.name for p in list_folder(folder, "[!.]*") if p.suffix.lower() in VIDEO_SUFFIXES]
        if not names:
            raise ValueError(f"class folder {folder} holds no video ({', '.join(VIDEO_SUFFIXES)})")
        videos += [ListedVideo(Path(folder.name, name), label) for name in names]
    return VideoList(classes, tuple(videos))


def check_files(videos: VideoList, root: str | Path, *, tolerate: float = 0.0) -> VideoList:
    """Find the files of a list on disk, and leave out those that are missing.

    A folder may be spelt with other capitals, '_', '-' or blanks than in the list, a file with other capitals.

    Args:
        root: folder that its paths are relative to.
        tolerate: share of the files, 0 to 1, that may be missing.
    Returns:
        VideoList of the files that are there, as the disk spells them; the classes stay.
    Raises:
        FileNotFoundError: no such folder, more missing than tolerated, or all of them.
        ValueError: `tolerate` is not within 0 and 1.
    """
    if not 0 <= tolerate <= 1:
        raise ValueError(f"tolerate={tolerate} is not a share within 0 and 1")
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"folder of videos {root} does not exist")
    finder, listed = _Finder(root), {video.path for video in videos.videos}
    found = [(video, finder(video.path)) for video in videos.videos]
    found = [(video, path if path == video.path or path not in listed else None) for video, path in found]
    missing = [video.path.as_posix() for video, path in found if path is None]
    if missing:
        message = f"{len(missing)} of {len(found)} listed videos are missing below {root}: {some(missing)}"
        if len(missing) / len(found) > tolerate or len(missing) == len(found):
            raise FileNotFoundError(f"{message} (tolerated: a share of {tolerate:g}, and at least one must be there)")
        logger.warning("%s; they are left out", message)
    return replace(videos, videos=tuple(replace(video, path=path) for video, path in found if path is not None))


class _Finder:
    """Paths below a folder as the disk spells them; every folder is read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seen: dict[tuple, dict[str, str]] = {}

    def __call__(self, path: Path) -> Path | None:
        folder = Path(path.anchor)
        for part in path.parts[bool(path.anchor) : -1]:
            name = part if part == ".." else self._spelt(folder, part, class_key)
            if name is None:
                return None
            folder /= name
        name = self._spelt(folder, path.name, str.casefold)
        return None if name is None or not is_file(self.root / folder / name) else folder / name

    def _spelt(self, folder, name, key):
        """The entry of `folder` called `name`, else the first whose `key` is the same, else None."""
        if (folder, key) not in self.seen:
            whole = self.root / folder
            names = [path.name for path in reversed(list_folder(whole))] if whole.is_dir() else []
            self.seen[folder, key] = {key(entry): entry for entry in names} | {entry: entry for entry in names}
        return self.seen[folder, key].get(name) or self.seen[folder, key].get(key(name))


def _labels(classes):
    """A function from the name of a class, however spelt, to its label; two spellings of one class are an error."""
    labels = {}
    for label, name in enumerate(classes):
        first = labels.setdefault(class_key(name), label)
        if first != label:
            raise ValueError(f"the classes {classes[first]!r} and {name!r} are one in two spellings")

    spelt = {}  # large lists name few classes, each in one spelling

    def label_of(name, where):
        if name not in spelt:
            if class_key(name) not in labels:
                raise KeyError(f"{where} {name!r}: unknown class; {nearest(name, classes)}")
            spelt[name] = labels[class_key(name)]
        return spelt[name]

    return label_of


def _listed(file, classes, rows):
    """The list of rows (line, path, label); a path that stands there twice is an error."""
    lines = {}
    for line, path, _ in rows:
        if lines.setdefault(path, line) != line:
            raise ValueError(
                f"video list {file}, line {line}: {path.as_posix()!r} stands in line {lines[path]} already"
            )
    split = _SPLIT.search(Path(file).stem)
    return VideoList(classes, tuple(ListedVideo(path, label) for _, path, label in rows), split and int(split[1]))
