"""Folders of data sets: in the layout of THUMOS14 (raw_data/, annotations/), and of generated files."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..utils.files import list_folder, match_files, read_json, write_json, write_text
from ..utils.provenance import differences

SUBSETS = ("training", "validation")
RECORD = "demo.json"  # in a folder of generated files: the options they were made with


def start_layout(root: Path | str, *, overwrite: bool = False) -> Path:
    """Create the folders of a data set at `root` and return the folder for its videos, `root/raw_data`.

    Raises:
        FileExistsError: there are annotations already, unless `overwrite`: then they and the old videos are removed.
    """
    root = Path(root)
    annotations = root / "annotations" / "thumos_14_anno.json"
    if annotations.exists() and not overwrite:
        raise FileExistsError(f"{annotations} exists; --overwrite makes the set again")
    annotations.unlink(missing_ok=True)
    raw_data = root / "raw_data"
    raw_data.mkdir(parents=True, exist_ok=True)
    if overwrite:
        for video in list_folder(raw_data, "video_*.mp4"):
            video.unlink()
    return raw_data


def finish_layout(root: Path | str, database: dict[str, dict], classes: Iterable[str]) -> None:
    """Write `database` and the class map (one of `classes` per line: the line number is the label)."""
    folder = Path(root) / "annotations"
    write_text(folder / "category_idx.txt", "".join(f"{name}\n" for name in classes))
    write_json(folder / "thumos_14_anno.json", {"database": database})


def entry(subset: str, frames: int, fps: int, actions: Sequence[tuple[int, int, str]]) -> dict:
    """The entry of one video in the database.

    Args:
        subset: one of SUBSETS.
        actions: (first frame, frame after the last, class name) of each action.
    """
    annotations = [
        {"segment": [round(first / fps, 6), round(stop / fps, 6)], "label": str(name)} for first, stop, name in actions
    ]
    return {"subset": subset, "duration": round(frames / fps, 6), "frame": frames, "annotations": annotations}


def summary(out: Path | str, database: dict[str, dict]) -> str:
    """A table of the sizes of both subsets."""
    rows = [f"{out}", f"{'subset':<12}{'videos':>8}{'frames':>10}{'seconds':>10}{'actions':>9}"]
    for subset in SUBSETS:
        own = [v for v in database.values() if v["subset"] == subset]
        frames, seconds = sum(v["frame"] for v in own), sum(v["duration"] for v in own)
        actions = sum(len(v["annotations"]) for v in own)
        rows.append(f"{subset:<12}{len(own):>8}{frames:>10}{seconds:>10.1f}{actions:>9}")
    return "\n".join(rows)


def start_generated(
    out: Path | str, record: dict, what: str, patterns: Iterable[str], *, overwrite: bool = False
) -> Path:
    """Make the folder `out` ready for a generated set, and write what it is generated from to out/demo.json.

    Args:
        record: options of the set, as JSON holds them.
        what: is generated, in words.
        patterns: of the generated files, relative to `out`; with `overwrite` those of an earlier set are removed, and
            folders that are empty then.
    Returns:
        `out` as a path.
    Raises:
        FileExistsError: other files are there, or a generated set and no `overwrite`; says how its options differ.
    """
    out = Path(out)
    if out.is_dir() and list_folder(out):
        if not (out / RECORD).is_file():
            raise FileExistsError(f"{out} is not empty and holds no generated {what} ({RECORD}); choose another folder")
        if not overwrite:
            changes = differences(read_json(out / RECORD, "record"), json.loads(json.dumps(record)))
            made = f", with other settings ({', '.join(changes)})" if changes else ""
            raise FileExistsError(f"{out} holds generated {what} already{made}; --overwrite makes them again")
        for path in [path for pattern in patterns for path in match_files(out, pattern)]:
            path.unlink()
            if not list_folder(path.parent):
                path.parent.rmdir()
    write_json(out / RECORD, record)
    return out
