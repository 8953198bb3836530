"""Names of videos and classes, as lists, folders and annotations spell them."""

from pathlib import PurePosixPath

_EXTENSIONS = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".npy")


def bare_name(text):
    """The name of a video without folders and without the extension of a video or feature file."""
    path = PurePosixPath(str(text).strip().replace("\\", "/"))
    return path.stem if path.suffix.lower() in _EXTENSIONS else path.name


def class_key(name):
    """What two spellings of one class have in common: letters in lower case, no '_', '-' and spaces."""
    return "".join(str(name).lower().replace("_", "").replace("-", "").split())


def shown_class(name):
    """The name of a class as it is shown and put into prompts: '_' is a space."""
    return str(name).replace("_", " ").strip()
