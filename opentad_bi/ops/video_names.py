"""Names of videos and classes, as lists, folders and annotations spell them."""

from pathlib import PurePosixPath

from ..registry import nearest

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
