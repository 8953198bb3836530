"""What a kept result was made of, so that it is not taken for that of other data, weights or settings.

Results have records beside them: settings, and stamps of the files that were read.

The stamp of a file is {"path", "bytes", "changed_ns", "status_ns", "edges"}: where it lay, its size, its times of
change (mtime, and ctime, which cannot be set back), and a digest of its first and last 64 kB.
"""

import functools
import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import some
from .distributed import barrier, is_main
from .files import read_json, write_json
from .logging import LOGGER

EDGE = 1 << 16  # bytes at either end of a file that its stamp has a digest of
READERS = 16  # files read at once
FRESH_NS = 10**9  # times of a file that changed so lately may stay as they are when it changes again


def digest(value: object) -> str:
    """SHA-256 of anything that JSON can hold, as hexadecimal text; paths count as text."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def source_stamp(path: str | Path) -> dict:
    """The stamp of a file.

    Raises:
        FileNotFoundError, OSError: it cannot be read.
    """
    path = Path(path)
    stat = os.stat(path)
    status = None if _fresh(stat) else stat.st_ctime_ns  # None: compared by its content
    times = {"changed_ns": stat.st_mtime_ns, "status_ns": status}
    return {"path": str(path.resolve()), "bytes": stat.st_size, **times, "edges": _digest_of(path, stat)}


def is_stamp(value: object) -> bool:
    """Is a value from a file the stamp of a file?"""
    return isinstance(value, dict) and {"path", "bytes", "changed_ns", "status_ns", "edges"} <= set(value)


def source_stamps(paths: dict) -> dict:
    """{name: stamp} of many files, {name: path}; several are read at once, as a far disk answers slowly."""
    with ThreadPoolExecutor(READERS) as pool:
        return dict(zip(paths, pool.map(source_stamp, paths.values()), strict=True))


def file_change(stamp: dict, path: str | Path | None = None) -> str:
    """How a file differs from its `stamp`, in words; "" if it does not, or is not there any more.

    The content is looked at only where one of the times differs: a copy with a time of its own is the same file.

    Args:
        stamp: what `source_stamp` gave.
        path: of the file; None: where it lay, which may be in a folder of another user.
    Raises:
        OSError: it cannot be read.
    """
    try:
        return _change(stamp, Path(path or stamp["path"]))
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except PermissionError:
        if path is not None:
            raise
        return ""


def _change(stamp, path):
    stat = os.stat(path)
    if stat.st_size != stamp["bytes"]:
        return f"has {stat.st_size} bytes and had {stamp['bytes']}"
    if (stat.st_mtime_ns, stat.st_ctime_ns) == (stamp["changed_ns"], stamp["status_ns"]):
        return ""
    return "" if _digest_of(path, stat) == stamp["edges"] else "has another content"


def changed_files(stamps: dict, paths: dict | None = None) -> dict:
    """{name: how it differs} of the files that are not what their stamps say; see `file_change`.

    Args:
        stamps: {name: stamp}.
        paths: {name: path}, where files lie now, if elsewhere.
    """
    with ThreadPoolExecutor(READERS) as pool:
        found = pool.map(lambda name: file_change(stamps[name], (paths or {}).get(name)), stamps)
        changes = dict(zip(stamps, found, strict=True))
    return {name: change for name, change in changes.items() if change}


def differences(kept: dict, now: dict, name: str = "") -> list:
    """What two records of provenance differ in, as lines of text.

    Records are {name: value}; a value may be a record too, or a stamp, of which the place and the times do not count.
    What one of both does not have is not a difference: an older version wrote less, and a file may be gone.
    """
    found = []
    for key in kept:
        if key not in now or kept[key] == now[key]:
            continue
        own = f"{name}.{key}" if name else str(key)
        one, other = kept[key], now[key]
        if not (isinstance(one, dict) and isinstance(other, dict)):
            found.append(f"{own} was {_short(one)} and is {_short(other)}")
        elif "edges" in one and "edges" in other:
            if (one["bytes"], one["edges"]) != (other["bytes"], other["edges"]):
                found.append(f"{own} is another file ({other['bytes']} bytes, it had {one['bytes']})")
        else:
            found += differences(one, other, own)
    return found


def named(changes: dict[str, str] | Sequence[str]) -> str:
    """Some of `changed_files` or `differences`, in words."""
    lines = [f"{name} {change}" for name, change in changes.items()] if isinstance(changes, dict) else changes
    return some(lines)


def _short(value) -> str:
    """A value as an error shows it: of a digest, its beginning."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:12]}..."


def _fresh(stat) -> bool:
    """Did a file change a moment ago?"""
    return time.time_ns() - stat.st_ctime_ns < FRESH_NS


def _digest_of(path, stat):
    """Digest of both ends of a file, read once as long as it does not change."""
    edges = _edges.__wrapped__ if _fresh(stat) else _edges
    return edges(str(path), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


@functools.lru_cache(maxsize=1 << 17)
def _edges(path, size, *_times):
    """Digest of the first and last `EDGE` bytes; the times make a changed file another entry of the cache."""
    total = hashlib.sha256()
    with open(path, "rb") as file:
        total.update(file.read(EDGE))
        if size > EDGE:
            file.seek(max(EDGE, size - EDGE))
            total.update(file.read(EDGE))
    return total.hexdigest()


FEATURE_RECORD = "features.json"  # of class folders of features; it stays beside them


def check_record(
    path: Path, settings: dict, *, overwrite: bool = False, part: str | None = None, defaults: dict | None = None
) -> None:
    """Refuse to mix with files of other settings, as the record at `path` says.

    A first run that was interrupted goes on; where an overwriting was, files may still be the earlier ones.

    Args:
        path: the JSON file; nothing is refused where there is none.
        settings: what the files depend on, {name: value as JSON reads it back}.
        overwrite: True if all files are made again.
        part: key under which the record has its settings; None: they are entries of the record itself.
        defaults: settings of records that do not say.
    Raises:
        ValueError: other settings, which are named, or an overwriting that did not end.
    """
    if overwrite or not path.is_file():
        return
    record = read_json(path, "record of features")
    former = {**(defaults or {}), **(record.get(part, {}) if part else record)}
    differ = [key for key in settings if former.get(key) != settings[key]]
    if differ:
        raise ValueError(
            f"{path} reports features made otherwise, in {', '.join(differ)}; choose another --out, or make them "
            "again with --overwrite"
        )
    if record.get("overwrites") and not record.get("complete", True):
        raise ValueError(
            f"{path} reports an --overwrite that did not end, so that earlier files may be left among the new ones; "
            "make them again with --overwrite, or choose another --out"
        )


def read_feature_record(folder: str | Path) -> dict | None:
    """The record of the features in `folder`, or None; a warning reports an extraction that did not end.

    Raises:
        ValueError: it is not a JSON object.
    """
    path = Path(folder) / FEATURE_RECORD
    if not path.is_file():
        return None
    record = read_json(path, "record of features")
    if not isinstance(record, dict):
        raise ValueError(f"record of features {path} holds a {type(record).__name__} where a JSON object is expected")
    failed, complete = record.get("failed") or (), record.get("complete", True)
    if failed or not complete:
        LOGGER.warning(
            "%s reports an extraction that did not end (complete: %s; failed: %s), so features may be missing",
            path,
            str(bool(complete)).lower(),
            some(failed) or "none",
        )
    return record


def write_records(records: Mapping[str | Path, dict], **state: object) -> None:
    """Write every {path: record} with `state`, once all processes are here; one of them writes."""
    barrier()
    if is_main():
        for path, record in records.items():
            write_json(path, {**record, **state})
