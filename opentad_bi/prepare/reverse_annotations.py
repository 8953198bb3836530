"""Mirror an annotation file in time, for videos that are played backwards."""

import copy
import logging
import math
from pathlib import Path

from ..utils.files import read_json, write_json

log = logging.getLogger(__name__)


def reverse_annotations(annotations, *, digits=6):
    """Return the annotation dict `{"database": {video: {...}}}` of the reversed videos.

    A segment [s, e] of a video of `duration` D seconds becomes [D-e, D-s], rounded to `digits` decimals (None: not
    rounded); the actions come in the opposite order. Everything else is kept. Doing it twice gives the input back, to
    the rounding. Segments that reach beyond the video are mirrored like the others.
    """
    if not isinstance(annotations, dict) or not isinstance(annotations.get("database"), dict):
        raise ValueError("an annotation file is an object with the key 'database'")
    mirrored = copy.deepcopy(annotations)
    for name, video in mirrored["database"].items():
        if video.get("annotations"):
            duration = _duration(name, video)
            video["annotations"] = [_mirror(name, a, duration, digits) for a in reversed(video["annotations"])]
    return mirrored


def _duration(name, video):
    duration = video.get("duration")
    if not _is_time(duration) or duration <= 0:
        raise ValueError(f"video {name}: 'duration' must be a positive number of seconds, got {duration!r}")
    return duration


def _mirror(name, action, duration, digits):
    segment = action.get("segment")
    if not isinstance(segment, list) or len(segment) != 2 or not all(map(_is_time, segment)):
        raise ValueError(f"video {name}: 'segment' must be [start, end] in seconds, got {segment!r}")
    start, end = segment
    if start > end:
        raise ValueError(f"video {name}: segment {segment} ends before it starts")
    if start < 0 or end > duration:
        log.warning("video %s: segment %s reaches beyond the video's %s seconds", name, segment, duration)
    times = [duration - end, duration - start]
    return {**action, "segment": times if digits is None else [round(t, digits) for t in times]}


def _is_time(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def reverse_annotation_file(src, dst, *, digits=6, overwrite=False):
    """Write `reverse_annotations` of the JSON file `src` to `dst`; return (number of videos, number of actions)."""
    src, dst = Path(src), Path(dst)
    annotations = read_json(src, "annotation file")
    if dst.exists():
        if dst.samefile(src):
            raise ValueError(f"{src} cannot be reversed onto itself")
        if not overwrite:
            raise FileExistsError(f"{dst} exists; say --overwrite to replace it")
    try:
        mirrored = reverse_annotations(annotations, digits=digits)
    except ValueError as error:
        raise ValueError(f"{src}: {error}") from error
    write_json(dst, mirrored)
    videos = mirrored["database"].values()
    return len(videos), sum(len(v.get("annotations", [])) for v in videos)
