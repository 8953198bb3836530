"""Videos with captions and boxes that move, as the readers of caption files give them."""

import re
from dataclasses import dataclass

from ..ops.names import bare_name

_SEGMENT = re.compile(r"(.+?_x264)[_.\- ].*", re.I)


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A labelled frame of a region.

    Args:
        frame: number in the video file, from 0.
        box: (x1, y1, x2, y2) in shares of the frame's width and height.
        enabled: the box lives on from here to the next keyframe, or to the end of the region.
    """

    frame: int
    box: tuple
    enabled: bool


@dataclass(frozen=True, slots=True)
class Region:
    """A described part of the picture.

    Args:
        caption: text.
        start, end: first and last frame, both included; None where the file does not say.
        keyframes: tuple of Keyframe, rising in frame; empty: no box.
        negatives: tuple of texts that are nearly right and wrong.
    """

    caption: str
    start: int | None
    end: int | None
    keyframes: tuple
    negatives: tuple = ()


@dataclass(frozen=True, slots=True)
class CaptionedVideo:
    """A video, or a segment of one, with its caption.

    Args:
        name: of the video or segment, without folder and extension.
        path: of the video file, as the caption file says it.
        category: class as the caption file or the name says it, or None.
        abnormal: the category is not the normal one or, without a category, some region has a box.
        caption: of the whole.
        window: (first, stop) in seconds, or None: all of the file.
        regions: tuple of Region.
        fps, frames: of the file, if the caption file says so.
    """

    name: str
    path: str
    category: str | None
    abnormal: bool
    caption: str
    window: tuple | None = None
    regions: tuple = ()
    fps: float | None = None
    frames: int | None = None


def parent_name(name):
    """The video that a segment is from: `Abuse001_x264_3.mp4` -> `Abuse001_x264`; other names as they are, bare."""
    name = bare_name(name)
    found = _SEGMENT.fullmatch(name)
    return found[1] if found else name
