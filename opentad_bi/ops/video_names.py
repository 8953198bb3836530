"""Names of videos and classes, as lists, folders and annotations spell them."""

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from ..registry import nearest

_EXTENSIONS = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".npy")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
_UPLOADED = re.compile(r"(?:https?://[^/]+)?/data/upload/(?:\d+/)?[0-9a-f]{8}-([^/?]+)")


def bare_name(text):
    """The name of a video without folders and without the extension of a video or feature file."""
    path = PurePosixPath(str(text).strip().replace("\\", "/"))
    return path.stem if path.suffix.lower() in _EXTENSIONS else path.name


def served_path(text):
    """The path of a video in what Label Studio serves it by: `/data/local-files/?d=FOLDER/NAME` -> FOLDER/NAME.

    An upload, `/data/upload/1/0a1b2c3d-NAME`, has only its name. Characters that are escaped in an address (%20) are
    what they stand for; any other text is a path already.
    """
    text = text.strip()
    if uploaded := _UPLOADED.fullmatch(text):
        return unquote(uploaded[1])
    parts = urlsplit(text, allow_fragments=False) if "local-files" in text else None  # a name may hold a #
    if parts is None or "/local-files" not in f"/{parts.path}":
        return text
    served = re.search(r"(?:^|&)d=(.*?)(?=&\w+=|$)", parts.query)  # a name may hold an & and a +, which is no space
    return unquote(served[1]).replace("\\", "/").strip("/ ") if served else text


def list_fields(line):
    """What a line of a list of videos says: a path, and words and numbers of frames behind it.

    They may stand apart by blanks, by commas or semicolons, or as `path|frames|[start, end]`. Where the line does not
    end with a number, all of it is the path, which may hold any of these.
    """
    line = line.strip()
    path, barred, rest = line.partition("|")
    if barred:
        forms = [[path.strip(), *re.findall(r"[^\s,;|\[\]()]+", rest)]]
    else:
        forms = [line.split(), [field for field in re.split(r"[\s,;]+", line) if field]]
    for fields in forms:
        if len(fields) > 1 and _NUMBER.fullmatch(fields[-1]) and not fields[0].endswith((",", ";")):
            return fields
    return [line]


def class_key(name):
    """What two spellings of one class have in common: letters in lower case, no '_', '-' and spaces."""
    return "".join(str(name).lower().replace("_", "").replace("-", "").split())


def shown_class(name):
    """The name of a class as it is shown and put into prompts: '_' is a space."""
    return str(name).replace("_", " ").strip()


def normal_label(normal_class, classes, *, needed=True):
    """Label of the class called `normal_class`, however that is spelt.

    Args:
        normal_class: name of the class without anomalies.
        classes: names by label.
        needed: False: None where there is no such class.
    Raises:
        KeyError: there is none but it is `needed`; names the nearest.
    """
    found = [label for label, name in enumerate(classes) if class_key(name) == class_key(normal_class)]
    if not found and needed:
        hint = nearest(normal_class, classes, every=True)
        raise KeyError(f"normal_class {normal_class!r} is none of the classes; {hint}")
    return found[0] if found else None
