"""JSON that may be compressed, and lists of video names."""

import gzip
import json
from pathlib import Path

from ..utils.files import read_json


def read_any_json(path, what="file"):
    """Read JSON from `path`, through gzip if it ends in .gz; errors name `what` and the path."""
    path = Path(path)
    if path.suffix != ".gz":
        return read_json(path, what)
    if not path.is_file():
        raise FileNotFoundError(f"{what} {path} does not exist")
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            return json.load(stream)
    except (OSError, EOFError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{what} {path} is not valid gzipped JSON: {error}") from error


def read_names(source, what="list of videos"):
    """Names as a list: None, a list, a JSON list (.json, .json.gz) or a text file with one name per line."""
    if source is None:
        return []
    if not isinstance(source, (str, Path)):
        return [str(name) for name in source]
    path = Path(source)
    if path.suffix in (".json", ".gz"):
        names = read_any_json(path, what)
        if not isinstance(names, list):
            raise ValueError(f"{what} {path} must be a JSON list of names; it holds a {type(names).__name__}")
        return [str(name) for name in names]
    if not path.is_file():
        raise FileNotFoundError(f"{what} {path} does not exist")
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
