"""Files that are either whole or absent, and what a reader needs to say of those that are not as expected."""

import contextlib
import gzip
import json
import os
import secrets
from pathlib import Path


@contextlib.contextmanager
def atomic(path):
    """Yield a temporary path beside `path` (same suffix) and rename it to `path` if the block succeeds.

    A crash leaves the former `path` as it was; the temporary file is removed on an exception.

    Raises:
        PermissionError, OSError: "cannot write `path`: reason", whatever the system objected to.
    """
    path = Path(path)
    # processes of several machines may share a disk, and have the same number
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{secrets.token_hex(3)}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if not _about(error, temporary):
            raise
        kind = PermissionError if isinstance(error, PermissionError) else OSError
        raise kind(f"cannot write {path}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _about(error, temporary):
    """Is a system's error about writing `temporary` (a full disk names no file), not about some other file?"""
    if error.errno is None or error.filename is None:
        return error.errno is not None
    name = Path(os.fsdecode(error.filename))
    return name == temporary or name in temporary.parents


def remove_temporaries(folder):
    """Remove what killed processes left of `atomic` in `folder`; no other process may be writing there."""
    for path in Path(folder).glob(".*.tmp.*"):
        path.unlink()


def write_text(path, text):
    """Write `text` to `path`, atomically, in UTF-8."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path, value):
    """Write `value` as JSON to `path`, atomically."""
    write_text(path, json.dumps(value))


def read_json(path, what="file", unique=False):
    """Read JSON, through gzip if `path` ends in .gz; a missing or unreadable file is an error that names `what`.

    A byte order mark is passed over. With `unique`, a name that an object has twice is an error.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{what} {path} does not exist")
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig") as stream:
            return json.load(stream, object_pairs_hook=_unique if unique else None)
    except UnicodeDecodeError as error:
        raise ValueError(f"{what} {path} is not text in UTF-8: {error}") from error
    except _Twice as error:
        raise ValueError(f"{what} {path} has {error.args[0]!r} twice") from None
    except (json.JSONDecodeError, gzip.BadGzipFile, EOFError) as error:
        form = "gzipped JSON" if path.suffix == ".gz" else "JSON"
        raise ValueError(f"{what} {path} is not valid {form}: {error}") from error


class _Twice(Exception):
    """A name stands twice in one object."""


def _unique(pairs):
    """The dict of an object's pairs."""
    found = {}
    for name, value in pairs:
        if name in found:
            raise _Twice(name)
        found[name] = value
    return found


def read_names(source, what="list of names"):
    """Names as a list, from None, a list, a JSON list (.json, .json.gz) or a text file with one name per line.

    Raises:
        FileNotFoundError, ValueError: naming `what` and the path.
    """
    if source is None:
        return []
    if isinstance(source, (str, Path)):
        source = _names_in(Path(source), what)
    return [name for entry in source if (name := str(entry).strip())]


def _names_in(path, what):
    """The list in a JSON file, or the lines of a text file."""
    if path.suffix in (".json", ".gz"):
        names = read_json(path, what)
        if not isinstance(names, list):
            raise ValueError(f"{what} {path} must be a JSON list of names; it holds a {type(names).__name__}")
        return names
    if not path.is_file():
        raise FileNotFoundError(f"{what} {path} does not exist (text with one name per line, or a JSON list)")
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{what} {path} is not text in UTF-8: {error}") from error
