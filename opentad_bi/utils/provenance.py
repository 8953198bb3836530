"""What a kept result was made of, so that it is not taken for that of other data, weights or settings.

The stamp of a file is {"path", "bytes", "changed_ns", "status_ns", "edges"}: where it lay, its size, its times of
change (mtime, and ctime, which cannot be set back), and a digest of its first and last 64 kB.
"""

import functools
import hashlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .wording import some

EDGE = 1 << 16  # bytes at either end of a file that its stamp has a digest of
READERS = 16  # files read at once
FRESH_NS = 10**9  # times of a file that changed so lately may stay as they are when it changes again


def digest(value) -> str:
    """SHA-256 of anything that JSON can hold, as hexadecimal text; paths count as text."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def source_stamp(path) -> dict:
    """The stamp of a file.

    Raises:
        FileNotFoundError, OSError: it cannot be read.
    """
    path = Path(path)
    stat = os.stat(path)
    status = None if _fresh(stat) else stat.st_ctime_ns  # None: compared by its content
    times = {"changed_ns": stat.st_mtime_ns, "status_ns": status}
    return {"path": str(path.resolve()), "bytes": stat.st_size, **times, "edges": _digest_of(path, stat)}


def is_stamp(value) -> bool:
    """Is a value from a file the stamp of a file?"""
    return isinstance(value, dict) and {"path", "bytes", "changed_ns", "status_ns", "edges"} <= set(value)


def source_stamps(paths: dict) -> dict:
    """{name: stamp} of many files, {name: path}; several are read at once, as a far disk answers slowly."""
    with ThreadPoolExecutor(READERS) as pool:
        return dict(zip(paths, pool.map(source_stamp, paths.values()), strict=True))


def file_change(stamp: dict, path=None) -> str:
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
    What one of both does not have is no difference: an older version wrote less, and a file may be gone.
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


def named(changes) -> str:
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
