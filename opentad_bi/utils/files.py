"""Files and folders.

Listings are complete, or an error that names the folder which cannot be read; a file is written whole or not at all;
what cannot be read as expected is an error that names the file, and the line.
"""

import contextlib
import gzip
import json
import os
import secrets
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..errors import some

UTF16 = (BOM_UTF16_BE, BOM_UTF16_LE)
NameList = str | Path | Iterable[str] | None  # names, or the file that lists them


def list_folder(folder: str | Path, pattern: str = "*", *, absent: bool = False) -> list[Path]:
    """Entries of a folder, hidden ones too.  Returns a list of Path, sorted by name.

    Args:
        pattern: of the names, as in a shell; letter case counts.
        absent: a folder that is not there has no entries, and is not an error.
    Raises:
        OSError: one that names the folder: FileNotFoundError, NotADirectoryError, PermissionError, ...
    """
    return [Path(folder, entry.name) for entry in _entries(folder, absent) if fnmatchcase(entry.name, pattern)]


def walk_files(root: str | Path, suffixes: Collection[str] | None = None) -> list[Path]:
    """Files below a folder, in links to folders too; hidden files and folders are left out.

    A link that leads back to a folder above it is passed over. What a link or another special file leads to is not
    looked at: whoever opens it has to say so.

    Args:
        suffixes: lower-case suffixes, such as (".mp4",), of the files to list in any letter case; None: all files.
    Returns:
        list of Path, sorted.
    Raises:
        OSError: see `list_folder`, of `root` or a folder below it.
    """
    found: list[Path] = []
    waiting: list[tuple[Path, frozenset[str]]] = [(Path(root), frozenset())]
    while waiting:
        folder, above = waiting.pop()
        above |= {os.path.realpath(folder)}
        for entry in _entries(folder):
            path = folder / entry.name
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                if not entry.is_symlink() or os.path.realpath(path) not in above:
                    waiting.append((path, above))
            elif suffixes is None or path.suffix.lower() in suffixes:
                found.append(path)
    return sorted(found)


def match_files(root: str | Path, pattern: str) -> list[Path]:
    """Files below a folder by a pattern of their path, with "/" between names and "*" within one.

    Returns:
        list of Path, sorted; empty where the folders that the pattern names are not there.
    Raises:
        OSError: see `list_folder`.
    """
    *folders, name = Path(pattern).parts
    places = [Path(root)]
    for part in folders:
        places = [path for place in places for path in _matching(place, part) if path.is_dir()]
    return sorted(path for place in places for path in _matching(place, name) if is_file(path))


def is_file(path: str | Path) -> bool:
    """Is there a file?  One in a folder that must not be entered is an error, PermissionError, not an absent one."""
    try:
        return Path(path).is_file()
    except PermissionError as error:
        raise _named(Path(path).parent, error) from error
    except OSError:  # a name that no file can have
        return False


def _matching(folder, part):
    """What one part of a pattern stands for; a plain name may be absent, and its folder is not listed."""
    return list_folder(folder, part, absent=True) if any(mark in part for mark in "*?[") else [folder / part]


def _entries(folder, absent=False):
    """The entries of a folder, as the system gives them, sorted by name."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError as error:
        if absent:
            return []
        raise FileNotFoundError(f"folder {folder} does not exist") from error
    except OSError as error:
        raise _named(folder, error) from error


def _is_folder(entry):
    """Is an entry a folder, or a link to one?"""
    try:
        return entry.is_dir()
    except OSError as error:
        if not entry.is_symlink():
            raise _named(entry.path, error) from error
        return False  # a link to itself: taken for a file, which cannot be opened


def _named(path, error):
    """An error of the system, in words that name the path."""
    kind = type(error) if isinstance(error, (PermissionError, NotADirectoryError)) else OSError
    return kind(f"folder {path} cannot be read ({error.strerror or error}), so its files are not known")


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` (same suffix) and rename it to `path` if the block succeeds.

    A crash leaves the earlier `path` as it was; the temporary file is removed on an exception.

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


def remove_temporaries(folder: str | Path) -> None:
    """Remove what killed processes left of `atomic` in `folder`; no other process may be writing there."""
    for path in list_folder(folder, ".*.tmp.*", absent=True):
        path.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path`, atomically, in UTF-8."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: object) -> None:
    """Write `value` as JSON to `path`, atomically."""
    write_text(path, json.dumps(value))


def read_json(path: str | Path, what: str = "file", repeated: list | None = None) -> Any:
    """Read JSON, through gzip if `path` ends in .gz; a missing or unreadable file is an error that names `what`.

    A file that ends in .jsonl has a value per line, which become a list. A byte order mark is passed over. A name
    that an object has twice is an error, as one of its values would be lost.

    Args:
        what: what it is, for messages.
        repeated: a list that takes the names that an object has twice, of which the last counts, instead of an error.
    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not JSON, or names (all are listed) stand twice in an object.
    """
    path, found = Path(path), []
    suffix = path.suffix.lower()
    if not path.is_file():
        raise FileNotFoundError(f"{what} {path} does not exist")

    def build(pairs):
        members = dict(pairs)
        if len(members) < len(pairs):
            found.extend(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        return members

    try:
        with (gzip.open if suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig") as stream:
            content = _lines(stream, build) if suffix == ".jsonl" else json.load(stream, object_pairs_hook=build)
    except UnicodeDecodeError as error:
        raise ValueError(f"{what} {path} is not text in UTF-8: {error}") from error
    except RecursionError:
        raise ValueError(f"{what} {path} is not valid JSON: it is nested too deep") from None
    except (ValueError, gzip.BadGzipFile, EOFError, zlib.error) as error:  # ValueError: also of thousands of digits
        form = "gzipped JSON" if suffix == ".gz" else "JSON"
        raise ValueError(f"{what} {path} is not valid {form}: {error}") from error
    if repeated is not None:
        repeated.extend(found)
    elif found:
        raise ValueError(f"{what} {path} has {some([repr(name) for name in found])} twice")
    return content


def _lines(stream, build):
    """The values of JSON Lines, one per line that is not blank."""
    found = []
    for number, line in enumerate(stream, start=1):
        if line.strip():
            try:
                found.append(json.loads(line, object_pairs_hook=build))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error
    return found


def read_names(source: NameList, what: str = "list of names") -> list[str]:
    """Names as a list, from None, a list, a JSON list (.json, .json.gz) or a text file with one name per line.

    Raises:
        FileNotFoundError, ValueError: naming `what` and the path.
    """
    if source is None:
        return []
    entries = _names_in(Path(source), what) if isinstance(source, str | Path) else source
    return [name for entry in entries if (name := str(entry).strip())]


def _names_in(path: Path, what: str) -> list:
    """The list in a JSON file, or the lines of a text file."""
    if path.suffix in (".json", ".gz"):
        names = read_json(path, what)
        if not isinstance(names, list):
            raise ValueError(f"{what} {path} must be a JSON list of names; it holds a {type(names).__name__}")
        return names
    if not path.is_file():
        raise FileNotFoundError(f"{what} {path} does not exist (text with one name per line, or a JSON list)")
    return read_text(path, what).split("\n")


def read_text(path: str | Path, what: str = "file") -> str:
    """The text of a file in UTF-8, without a byte order mark; lines end with "\\n", however they end in the file.

    Raises:
        FileNotFoundError, ValueError: naming `what` and the path: no such file, or it is not UTF-8 text.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{what} {path} does not exist")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        utf16 = " (it begins as UTF-16 does: save it as UTF-8)" if path.read_bytes()[:2] in UTF16 else ""
        raise ValueError(f"{what} {path} is not text in UTF-8{utf16}: {error}") from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ValueError(f"{what} {path} is not text in UTF-8: it holds a zero byte in line {line}")
    return text


def read_lines(path: str | Path, what: str) -> list[tuple[int, str]]:
    """The lines of a text file that are not blank.  Returns a list of (number from 1, text without blanks at its ends).

    Args:
        path: file in UTF-8.
        what: what the file is, for the messages.
    Raises:
        FileNotFoundError, ValueError: as `read_text`; nothing is in it.
    """
    numbered = enumerate(read_text(path, what).split("\n"), start=1)
    lines = [(number, line.strip()) for number, line in numbered if line.strip()]
    if not lines:
        raise ValueError(f"{what} {path} is empty")
    return lines
