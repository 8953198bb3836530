"""Write a set of untrimmed videos in the layout of THUMOS14: raw_data/, annotations/."""

import json
from pathlib import Path

from ..utils.files import atomic, list_folder, read_json, write_json
from ..utils.provenance import differences

SUBSETS = ("training", "validation")


def start_layout(root, *, overwrite=False):
    """Create the folders of a data set at `root` and return the folder for its videos, `root/raw_data`.

    FileExistsError if there are annotations already, unless `overwrite`: then they and the old videos are removed.
    """
    root = Path(root)
    annotations = root / "annotations" / "thumos_14_anno.json"
    if annotations.exists() and not overwrite:
        raise FileExistsError(f"{annotations} exists; say --overwrite to make the set again")
    annotations.unlink(missing_ok=True)
    raw_data = root / "raw_data"
    raw_data.mkdir(parents=True, exist_ok=True)
    if overwrite:
        for video in list_folder(raw_data, "video_*.mp4"):
            video.unlink()
    return raw_data


def holds_generated(out, name, record, what, *, overwrite):
    """Does the folder `out` hold a generated set that is to be made again?

    Args:
        out: folder.
        name: of the file in it that says what it was generated from.
        record: what that file would hold now.
        what: is generated, in words.
        overwrite: make it again if there is one.
    Raises:
        FileExistsError: something else is there, or a set that is not to be made again; says how that differs.
    """
    if not out.is_dir() or not list_folder(out):
        return False
    if not (out / name).is_file():
        raise FileExistsError(f"{out} is not empty and holds no generated {what} ({name}); choose another")
    if not overwrite:
        changes = differences(read_json(out / name, "record"), json.loads(json.dumps(record)))
        made = f", of other settings ({', '.join(changes)})" if changes else ""
        raise FileExistsError(f"{out} holds generated {what} already{made}; say --overwrite to make them again")
    return True


def finish_layout(root, database, classes):
    """Write `database` and the class map (one of `classes` per line: the line number is the label)."""
    folder = Path(root) / "annotations"
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / "category_idx.txt") as temporary:
        temporary.write_text("".join(f"{name}\n" for name in classes))
    write_json(folder / "thumos_14_anno.json", {"database": database})


def entry(subset, frames, fps, actions):
    """Describe one video.

    Args:
        subset: one of SUBSETS.
        frames: number of frames.
        fps: frames per second.
        actions: (first frame, frame after the last, class name) of each action.
    """
    annotations = [
        {"segment": [round(first / fps, 6), round(stop / fps, 6)], "label": str(name)} for first, stop, name in actions
    ]
    return {"subset": subset, "duration": round(frames / fps, 6), "frame": frames, "annotations": annotations}


def summary(out, database):
    """Describe a data set by the size of its subsets."""
    rows = [f"{out}", f"{'subset':<12}{'videos':>8}{'frames':>10}{'seconds':>10}{'actions':>9}"]
    for subset in SUBSETS:
        own = [v for v in database.values() if v["subset"] == subset]
        frames, seconds = sum(v["frame"] for v in own), sum(v["duration"] for v in own)
        actions = sum(len(v["annotations"]) for v in own)
        rows.append(f"{subset:<12}{len(own):>8}{frames:>10}{seconds:>10.1f}{actions:>9}")
    return "\n".join(rows)
