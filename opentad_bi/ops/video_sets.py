"""Which videos a set has, as runs and checkpoints keep it, and which of them another set has too.

A set is {"root": folder, "split": number of an official split or None, "videos": [{"path", "class", "bytes"}, ...]},
with paths relative to the folder; `bytes` is the size of the file, or None where content does not count (features).
"""

import re
from pathlib import Path, PurePosixPath

from ..utils.provenance import source_stamp
from ..utils.wording import some
from .video_names import bare_name, class_key

_NUMBERED = re.compile(r"(cam|camera|clip|file|sample|scene|segment|test|train|val|vid|video)?[\W_]*[\d\W_]+")


def describe_set(root, videos, *, split=None, sized=True) -> dict:
    """A set as above.

    Args:
        root: folder of the videos.
        videos: pairs of a path below it and the name of the class.
        split: number of the official split that the videos are listed in.
        sized: are they files whose size can be told?
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
