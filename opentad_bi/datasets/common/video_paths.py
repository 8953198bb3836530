"""Where the files of named videos lie: classes by names, and a list of layouts that is tried in turn."""

import glob
import os
import re
import string
from collections.abc import Sequence
from pathlib import Path, PurePath, PurePosixPath

from ...ops.names import VIDEO_SUFFIXES, bare_name, class_key
from ...registry import nearest
from ...utils.files import is_file, match_files

_SEGMENT = re.compile(r"(.+?_x264)[_.\- ].*", re.I)


def parent_name(name: str | PurePath) -> str:
    """The video that a segment is from: `Abuse001_x264_3.mp4` -> `Abuse001_x264`; other names as they are, bare."""
    bare = bare_name(name)
    found = _SEGMENT.fullmatch(bare)
    return found[1] if found else bare


# of UCF-Crime, as it is unpacked by different people; relative to the root, '*' is any text
LAYOUTS = ("{path}", "UCF_Crimes_Videos/UCF_Crimes/Videos/{folder}/{file}", "UCF_Crimes/Videos/{folder}/{file}",
           "Videos/{folder}/{file}", "{folder}/{file}", "Anomaly-Videos-Part-*/{folder}/{file}", "{file}")  # fmt: skip
FIELDS = ("path", "folder", "file")
ALIASES = {"roadaccedent": "RoadAccidents", "roadaccedents": "RoadAccidents", "roadaccident": "RoadAccidents"}
_TEST_NORMAL, _TRAIN_NORMAL = "Testing_Normal_Videos_Anomaly", "Training_Normal_Videos_Anomaly"
_NORMAL_FOLDERS = (_TEST_NORMAL, _TRAIN_NORMAL, "Normal_Videos_event")
_NORMAL, _DIGIT = re.compile("(?<!ab)normalvideo"), re.compile(r"\d")


def class_of_path(
    path: str | PurePath, classes: Sequence[str] | None = None, normal_class: str = "Normal"
) -> str | None:
    """The class that the name or the folder of a video says.  Returns the class as `classes` spells it, or None.

    Args:
        path: as a list says it: `Abuse001_x264.mp4`, or with folders.
        classes: names that there are; None: any letters before the first digit of a name are one.
        normal_class: what videos whose name or folder begins with Normal_Videos are, or with this name.
    """
    path = PurePosixPath(str(path).replace("\\", "/"))
    for part in (path.name, path.parent.name):
        letters = _letters(bare_name(part)).strip("_- ")
        alias = class_of_words(letters, normal_class)
        if alias == normal_class:
            return normal_class
        found = None if classes is None else {class_key(name): name for name in classes}.get(class_key(alias))
        if found or (classes is None and alias and len(letters) < len(bare_name(part))):
            return found or alias
    return None


def _letters(text: str) -> str:
    """What stands before the first digit."""
    return _DIGIT.split(text, maxsplit=1)[0]


def class_of_words(text: str, normal_class: str = "Normal") -> str:
    """A class in its usual spelling: `normal_class` for all that normal videos are called, else `text` or its alias."""
    key = class_key(text)
    if _NORMAL.search(key) or key in ("normal", class_key(normal_class)):
        return normal_class
    return ALIASES.get(key, text)


def check_layouts(layouts: str | Sequence[str] | None) -> tuple[str, ...]:
    """Layouts as a tuple, `LAYOUTS` for None; ValueError for one with an unknown field."""
    layouts = LAYOUTS if layouts is None else tuple([layouts] if isinstance(layouts, str) else layouts)
    for layout in layouts:
        try:
            fields = [name for _, name, _, _ in string.Formatter().parse(layout) if name is not None]
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(
                f"layout {layout!r} is not a path with {{path}}, {{folder}} or {{file}}: {error}"
            ) from None
        for name in fields:
            if name not in FIELDS:
                raise ValueError(f"layout {layout!r}: unknown field {{{name}}}; {nearest(name, FIELDS, every=True)}")
    if not layouts:
        raise ValueError("layouts is empty; give at least one, such as '{path}'")
    return layouts


def find_video_file(path: str | PurePath, root: str | Path, layouts: str | Sequence[str] | None = None) -> Path:
    """The first file that a layout finds; the file of a segment is that of its video.

    Args:
        path: of a video or segment as a list says it, absolute or relative, with or without extension.
        root: folder that the layouts are relative to.
        layouts: patterns with {path}, {folder} (of the class, of normal videos, and what the path itself says) and
            {file}; None: `LAYOUTS`.
    Raises:
        FileNotFoundError: there is none; lists all that was tried.
    """
    tried = []
    for place, is_pattern in _places(path, check_layouts(layouts)):
        if is_pattern:
            found = [] if os.path.isabs(place) else match_files(root, place)
        else:
            found = [Path(root) / place] if is_file(Path(root) / place) else []
        if found:
            return found[0]
        tried.append(str(Path(root) / place))
    tried = list(dict.fromkeys(tried))
    raise FileNotFoundError(f"video {str(path)!r} was not found; {len(tried)} files were tried: {', '.join(tried)}")


def _places(path, layouts):
    """(path below the root, is it a pattern?) by every layout, the video's own name before that of its parent."""
    path = PurePosixPath(str(path).replace("\\", "/"))
    stems = dict.fromkeys([bare_name(path.name), parent_name(path.name)])
    suffixes = [path.suffix] if path.suffix.lower() in VIDEO_SUFFIXES else VIDEO_SUFFIXES
    files = [f"{stem}{suffix}" for stem in stems for suffix in suffixes]
    for layout in layouts:
        is_pattern = "*" in layout
        for file in files:
            for folder in _folders(path) if "{folder}" in layout else [""]:
                own = {"path": str(path.with_name(file)), "folder": folder, "file": file}
                if is_pattern:
                    own = {key: glob.escape(value) for key, value in own.items()}
                yield layout.format(**own), is_pattern


def _folders(path):
    """Folders of classes that a video may lie in: the one that its path says, then that of its name."""
    name = _letters(path.name)
    if _NORMAL.search(class_key(name)):
        # names of the test have a '_' before the number
        own = list(_NORMAL_FOLDERS if name.endswith("_") else (_TRAIN_NORMAL, _TEST_NORMAL, _NORMAL_FOLDERS[2]))
    else:
        letters = name.strip("_- ")
        own = [ALIASES.get(class_key(letters), letters), letters]
    return [folder for folder in dict.fromkeys([path.parent.name, *own]) if folder]
