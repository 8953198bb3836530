"""Entries of caption files in their four forms, made into records.

list: {"f_path", "global_caption", "bbox_info": [{"caption", "start_frame", "end_frame", "keyframes": [...]}]}
late list: {"video", "global_caption", "region_captions": [...], "box_infos": [[{"frame", "bbox"}]], "timestamps"}
dict: {video: {"global": {"Caption"}, "region": [{"caption", "keyframes"} or a text]}}
nested dict: {video: {segment: {"timestamps": [[first, stop]], "global": ..., "region": ...}}}
"""

import re
from pathlib import PurePosixPath

from ..ops.names import bare_name, class_key, served_path
from .caption_records import CaptionedVideo
from .caption_regions import TOLERANCE, finite, first_given, items_of, shown, text_of
from .video_paths import class_of_path, class_of_words

_PATHS, _CAPTIONS = ("f_path", "video", "video_path"), ("global_caption", "caption", "Caption")
_FORM = {"global", "region"}  # of a video in a dict
_ABOUT = {
    *("timestamps", "category", "dataset", "duration", "fps"),
    *("frames", "frames_count", "framesCount", "split", "id"),
}
_COUNTS = ("frames_count", "framesCount", "n_frames", "num_frames")
_IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_CLASS = re.compile(r"[A-Z][A-Za-z]*([ _-][A-Za-z]+)*")
_NO_CLASS = {"camera", "cam", "clip", "part", "scene", "segment", "video"}  # what numbered files are called anyway


class EntryReader:
    """Makes records of entries; a ValueError says what is wrong with one, but not where it stands.

    Args:
        regions: RegionReader.
        classes: names that a category may have, or None: any. Then a name without boxes is of the class before its
            number only if that looks like one: `Theft_03`, not `clip_03`.
        normal_class: the class without anomalies.
    """

    def __init__(self, regions, *, classes=None, normal_class="Normal"):
        self.regions, self.classes, self.normal_class = regions, classes, normal_class

    def listed(self, entry):
        """The record of an entry of a list."""
        if not isinstance(entry, dict):
            raise ValueError(f"an object is expected, not {shown(entry)}")
        path = _path(first_given(entry, _PATHS))
        if _FORM & set(entry):
            if reason := lacks(entry):
                raise ValueError(reason)
            return self.keyed(path, entry)
        caption = text_of("global_caption", first_given(entry, _CAPTIONS))
        return self._record(path, None, caption, self.regions.of_entry(entry), entry)

    def keyed(self, path, entry, segment=None):
        """The record of a value of a dict: that of a video, or of a segment of it."""
        about = entry["global"] if isinstance(entry["global"], dict) else {"caption": entry["global"]}
        caption = text_of("global caption", first_given(about, _CAPTIONS))
        return self._record(_path(path), segment, caption, self.regions.described(entry["region"]), entry)

    def _record(self, path, segment, caption, regions, entry):
        report = self.regions.report
        report.empty_captions += not caption
        # a region that could not be read is one all the same: its video is not taken for a normal one
        boxed = report.skipped_regions > 0 or any(region.keyframes for region in regions)
        category = text_of("category", entry.get("category"))
        if class_key(category) not in map(class_key, self.classes or ()):
            category = class_of_words(category, self.normal_class) or self._class_of_path(path, boxed)
        report.assumed_normal += not category and not boxed
        abnormal = class_key(category) != class_key(self.normal_class) if category else boxed
        return CaptionedVideo(
            name=bare_name(segment or path),
            path=path,
            category=category or None,
            abnormal=abnormal,
            caption=caption,
            window=_window(entry.get("timestamps")),
            regions=regions,
            fps=_positive("fps", entry.get("fps")),
            frames=_positive("frames_count", first_given(entry, _COUNTS), whole=True),
        )

    def _class_of_path(self, path, boxed):
        """The class that a path says, or None; without boxes, no class is made up of any word."""
        name = class_of_path(path, self.classes, self.normal_class)
        if name is None or self.classes is not None or boxed or name == self.normal_class:
            return name
        return name if _CLASS.fullmatch(name) and class_key(name) not in _NO_CLASS else None


def lacks(entry):
    """Which of what a value of a dict must have it lacks, or None."""
    missing = [key for key in ("global", "region") if key not in entry]
    return f"it has no {' and no '.join(map(repr, missing))}" if missing else None


def is_nested(value):
    """Does a value of a dict hold segments, and not a video itself?"""
    return isinstance(value, dict) and not _FORM & set(value) and any(isinstance(v, dict) for v in value.values())


def segments(value):
    """{name: segment} of a value that holds them, without what is said of their video."""
    return {name: own for name, own in value.items() if isinstance(own, dict) or name not in _ABOUT}


def _path(value):
    """A path of a video with '/', not empty."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(f"{' or '.join(map(repr, _PATHS[:2]))} {shown(value)} is not the path of a video")
    path = served_path(value).replace("\\", "/")
    if not PurePosixPath(path).name:
        raise ValueError(f"path {shown(value)} names no file")
    if path.lower().endswith(_IMAGES):
        raise ValueError(f"path {shown(value)} is that of an image; FG-CLIP's form for images is not read, videos are")
    return text_of("path", path)


def _window(value):
    """(first, stop) in seconds of [s, e] or [[s, e]]; None for None, [] and [[]]."""
    pairs = items_of("timestamps", value)
    if len(pairs) == 1 and isinstance(pairs[0], list):
        pairs = pairs[0]
    if not pairs:
        return None
    if len(pairs) != 2 or not all(map(finite, pairs)) or not -TOLERANCE <= pairs[0] < pairs[1]:
        raise ValueError(f"timestamps {shown(value)} are not [start, end] in seconds, the end after the start")
    return max(float(pairs[0]), 0.0), float(pairs[1])


def _positive(name, value, *, whole=False):
    """A number above 0, or None for None."""
    if value is None:
        return None
    if not finite(value) or value <= 0 or (whole and value != int(value)):
        raise ValueError(f"{name} {shown(value)} is not a {'whole ' if whole else ''}number above 0")
    return int(value) if whole else float(value)
