"""Names of directions, videos, classes and captions, and what sets of videos have in common.

Videos, classes and captions are named as lists, folders and annotations spell them; here stands which spellings mean
the same. Which videos a set has is kept by runs and checkpoints, so that a test on videos that were learned from is
found out.

A set is {"root": folder, "split": number of an official split or None, "videos": [{"path", "class", "bytes"}, ...]},
with paths relative to the folder; `bytes` is the size of the file, or None where content does not count (features).
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from ..errors import some
from ..registry import nearest
from ..utils.provenance import source_stamp

# directions, as detections, metrics and result files are keyed by them
FORWARD, BACKWARD = "for", "back"
PAIR = (FORWARD, BACKWARD)
MERGED = "merged"  # the candidates of both, through one non-maximum suppression
FUSED_PAIR = ("fused_for", "fused_back")  # outputs of a fusion on the basis of either direction
FUSED = "fused"  # the candidates of both bases, through one non-maximum suppression
SINGLE = "model"  # the one direction of a single network
JOINED = {MERGED: PAIR, FUSED: FUSED_PAIR}
# what counts as a video file, in the order in which a name without one is tried; no other list stands anywhere
VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv", ".flv")
_BARED = (*VIDEO_SUFFIXES, ".npy")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
_NUMBERED = re.compile(r"(cam|camera|clip|file|sample|scene|segment|test|train|val|vid|video)?[\W_]*[\d\W_]+")
_UPLOADED = re.compile(r"(?:https?://[^/]+)?/data/upload/(?:\d+/)?[0-9a-f]{8}-([^/?]+)")


def chief(by_direction: Collection[str]) -> str:
    """The direction that stands for the whole: fused, else merged, else the single network, else the first."""
    return next((d for d in (FUSED, MERGED, SINGLE) if d in by_direction), next(iter(by_direction)))


def bare_name(text: object) -> str:
    """The name of a video without folders and without the extension of a video or feature file."""
    path = PurePosixPath(str(text).strip().replace("\\", "/"))
    return path.stem if path.suffix.lower() in _BARED else path.name


def served_path(text: str) -> str:
    """The path of a video in what Label Studio serves it by: `/data/local-files/?d=FOLDER/NAME` -> FOLDER/NAME.

    An upload, `/data/upload/1/0a1b2c3d-NAME`, has only its name. Characters that are escaped in an address (%20) are
    what they stand for; any other text is a path already.
    """
    text = text.strip()
    if uploaded := _UPLOADED.fullmatch(text):
        return unquote(uploaded[1])
    parts = urlsplit(text, allow_fragments=False) if "local-files" in text else None  # a name may hold a #
    if parts is None or "/local-files" not in f"/{parts.path}":
        return text
    served = re.search(r"(?:^|&)d=(.*?)(?=&\w+=|$)", parts.query)  # a name may hold an & and a +, which is no space
    return unquote(served[1]).replace("\\", "/").strip("/ ") if served else text


def list_fields(line: str) -> list[str]:
    """What a line of a list of videos says: a path, and words and numbers of frames behind it.

    They may stand apart by blanks, by commas or semicolons, or as `path|frames|[start, end]`. Where the line does not
    end with a number, all of it is the path, which may hold any of these.
    """
    line = line.strip()
    path, barred, rest = line.partition("|")
    if barred:
        forms = [[path.strip(), *re.findall(r"[^\s,;|\[\]()]+", rest)]]
    else:
        forms = [line.split(), [field for field in re.split(r"[\s,;]+", line) if field]]
    for fields in forms:
        if len(fields) > 1 and _NUMBER.fullmatch(fields[-1]) and not fields[0].endswith((",", ";")):
            return fields
    return [line]


def class_key(name: object) -> str:
    """What two spellings of one class have in common: letters in lower case, no '_', '-' and spaces."""
    return "".join(str(name).lower().replace("_", "").replace("-", "").split())


def shown_class(name: object) -> str:
    """The name of a class as it is shown and put into prompts: '_' is a space."""
    return str(name).replace("_", " ").strip()


def label_of(name: str, classes: Sequence[str]) -> int | None:
    """Label of the class called `name`, however that is spelt; None where none of `classes` is."""
    return next((label for label, other in enumerate(classes) if class_key(other) == class_key(name)), None)


def normal_label(normal_class: str | None, classes: Sequence[str]) -> int:
    """Label of the class without anomalies, called `normal_class`; KeyError, with the nearest name, for none."""
    label = label_of(normal_class or "", classes)
    if label is None:
        hint = nearest(normal_class, classes, every=True)
        raise KeyError(f"normal_class {normal_class!r} is none of the classes; {hint}")
    return label


def caption_key(text: object) -> str:
    """What spellings of one caption have in common: lower case, single spaces, no dots at the end."""
    return " ".join(str(text).lower().split()).rstrip(". ")


def caption_number(text: object) -> int:
    """A number in int64 that is the same for captions of one `caption_key`, and in every process."""
    return int.from_bytes(hashlib.sha256(caption_key(text).encode()).digest()[:8], "big", signed=True)


def describe_set(
    root: str | Path, videos: Iterable[tuple[str | Path, str]], *, split: int | None = None, sized: bool = True
) -> dict:
    """A set as above.

    Args:
        videos: pairs of a path below it and the name of the class.
        split: number of the official split that the videos are listed in.
        sized: are they files whose size can be known?
    """
    root = Path(root).absolute()
    rows = [
        {"path": PurePosixPath(path).as_posix(), "class": str(name), "bytes": _size(root / path) if sized else None}
        for path, name in videos
    ]
    return {"root": str(root), "split": split, "videos": rows}


def overlap(trained: dict, tested: dict) -> str:
    """What two sets have in common that they must not, in words; "" where that is nothing.

    That are videos of one name (folder of the class and file, or the file alone where a path has no folder), files of
    the same size with the same first and last bytes, and lists of two splits of the same classes. Names that are mere
    numbers, as in train/open/001.mp4 and test/open/001.mp4, are not the same video unless the files are of one size.
    """
    named, copies = _same_videos(trained, tested)
    parts = []
    if _other_split(trained, tested):
        parts.append(f"split {tested['split']} is tested, but split {trained['split']} was learned from")
    if named or copies:
        ways = [f"{len(named)} by name"] * bool(named) + [f"{len(copies)} as copies of another name"] * bool(copies)
        count, total = len(named) + len(copies), len(tested["videos"])
        text = f"{count} of {total} videos are among those to learn from ({', '.join(ways)})"
        parts.append(f"{text}: {some([*named, *(f'{copy} (is {own})' for copy, own in copies)])}")
    return "; ".join(parts)


def _same_videos(trained, tested):
    """(paths of the tested that have a name of the trained, [(path, that of the trained with the same content)])."""
    owners, sizes = {}, {}
    for row in trained["videos"]:
        for key in _keys(row["path"]):
            owners.setdefault(key, row)
    pairs = [(row, own) for row in tested["videos"] if (own := _namesake(row["path"], owners))]
    names = [row for row, own in pairs if not _numbered_anew((trained, own), (tested, row))]
    for row in trained["videos"]:
        if row["bytes"]:
            sizes.setdefault(row["bytes"], []).append(row["path"])
    seen, copies = {id(row) for row in names}, []
    for row in tested["videos"]:
        if id(row) in seen or row["bytes"] not in sizes:
            continue
        edges = _edges(Path(tested["root"], row["path"]))
        same = (p for p in sizes[row["bytes"]] if edges and _edges(Path(trained["root"], p)) == edges)
        if (own := next(same, None)) is not None:
            copies.append((row["path"], own))
    return [row["path"] for row in names], copies


def _keys(path):
    """What a video is known by: its class folder and file, and the file alone, marked by whether there is a folder."""
    stem, folder = bare_name(path).casefold(), class_key(PurePosixPath(path).parent.name)
    return (folder, stem), (bool(folder), stem)


def _namesake(path, owners):
    """The row of the name of a path, or None; by the file alone, where one of both paths has no folder."""
    (folder, stem), _ = _keys(path)
    keys = ((folder, stem), (False, stem), *([] if folder else [(True, stem)]))
    return next((owners[key] for key in keys if key in owners), None)


def _numbered_anew(*pairs):
    """Is the name of two rows, each given with its set, a mere number in folders for each set, as `overlap` says?"""
    names = [bare_name(row["path"]).casefold() for _, row in pairs]
    folders = {Path(own["root"], PurePosixPath(row["path"]).parent.parent).name for own, row in pairs}
    one, other = (row["bytes"] for _, row in pairs)
    return all(map(_NUMBERED.fullmatch, names)) and len(folders) == 2 and (one is None or one != other)


def _other_split(trained, tested):
    """Are both lists of numbered splits, of other numbers, and mostly of the same classes?"""
    if not trained["split"] or not tested["split"] or trained["split"] == tested["split"]:
        return False
    ours, theirs = ({class_key(row["class"]) for row in own["videos"]} for own in (trained, tested))
    return 2 * len(ours & theirs) >= len(theirs)


def _size(path):
    try:
        return path.stat().st_size
    except OSError:
        return None


def _edges(path):
    """Digest of the first and the last bytes of a file, or None where it cannot be read."""
    try:
        return source_stamp(path)["edges"]
    except OSError:
        return None
