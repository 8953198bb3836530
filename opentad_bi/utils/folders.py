"""What lies in a folder: all of it, or an error that names the folder which cannot be read."""

import os
from fnmatch import fnmatchcase
from pathlib import Path


def list_folder(folder, pattern="*", *, absent=False):
    """Entries of a folder, hidden ones too.

    Args:
        folder: its path.
        pattern: of the names, as in a shell; letter case counts.
        absent: a folder that is not there has no entries, and is no error.
    Returns:
        list of Path, sorted by name.
    Raises:
        OSError: one that names the folder: FileNotFoundError, NotADirectoryError, PermissionError, ...
    """
    return [Path(folder, entry.name) for entry in _entries(folder, absent) if fnmatchcase(entry.name, pattern)]


def walk_files(root, suffixes=None):
    """Files below a folder, in links to folders too; hidden files and folders are left out.

    A link that leads back to a folder above it is passed over. What a link or another special file leads to is not
    looked at: whoever opens it has to say so.

    Args:
        root: the folder.
        suffixes: lower-case suffixes, such as (".mp4",), of the files to list in any letter case; None: all files.
    Returns:
        list of Path, sorted.
    Raises:
        OSError: see `list_folder`, of `root` or a folder below it.
    """
    found, waiting = [], [(Path(root), frozenset())]
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


def match_files(root, pattern):
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


def is_file(path):
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
