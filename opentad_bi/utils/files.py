"""Files that are either whole or absent."""

import json
import os
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic(path):
    """Yield a temporary path beside `path` (same suffix) and rename it to `path` if the block succeeds.

    A crash leaves the former `path` as it was; the temporary file is removed on an exception.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporaries(folder):
    """Remove what killed processes left of `atomic` in `folder`; no other process may be writing there."""
    for path in Path(folder).glob(".*.tmp.*"):
        path.unlink()


def write_json(path, value):
    """Write `value` as JSON to `path`, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value))


def read_json(path, what="file"):
    """Read JSON; a missing or unreadable file is an error that names `what` and the path."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{what} {path} does not exist")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{what} {path} is not valid JSON: {error}") from error
