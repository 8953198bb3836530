"""Mirror an annotation file in time, for videos that are played backwards."""

import copy
import logging
from pathlib import Path

from ..utils.annotation import raw_database, read_database
from ..utils.files import read_json, write_json
from .times_of_keys import Times, holds_times

log = logging.getLogger(__name__)


def reverse_annotations(annotations, *, digits=6):
    """Return the annotation dict `{"database": {video: {...}}}` of the reversed videos.

    A segment [s, e] of a video of `duration` D seconds becomes [D-e, D-s], rounded to `digits` decimals (None: not
    rounded); the actions come in the opposite order. Doing it twice gives the input back, to the rounding. Segments
    that reach beyond the video are mirrored like the others, with a warning. Other keys of an action that hold times
    or frames are mirrored too, or dropped, and what is done with which is logged, see `times_of_keys`. Keys of a video
    that hold times are dropped; everything else is kept.

    Raises:
        ValueError: no annotation file, a malformed entry, or a video with actions but without `duration`.
    """
    return _reversed(annotations, "annotation", digits)


def _reversed(annotations, where, digits):
    entries = read_database(annotations, where)
    mirrored = copy.deepcopy(annotations)
    database = raw_database(mirrored, where)
    for name, entry in entries.items():
        if entry["annotations"] and "duration" not in entry:
            raise ValueError(f"{where}: video {name!r}: duration is missing, so its segments cannot be mirrored")
    counts = {}
    for name, video in database.items():
        _drop_times_of_video(video, entries[name], counts)
        if entries[name]["annotations"]:
            video["annotations"] = _mirrored_actions(name, video, entries[name], digits, counts)
    for (what, key), count in counts.items():
        log.log(logging.WARNING if "dropped" in what else logging.INFO, "%s: %r %s, %d times", where, key, what, count)
    return mirrored


def _mirrored_actions(name, video, entry, digits, counts):
    """The annotations of one video, the last first, with every time mirrored."""
    duration = entry["duration"]
    fps = entry.get("fps") or (entry["frame"] / duration if "frame" in entry else None)
    found = []
    for raw, action in zip(video["annotations"], entry["annotations"], strict=True):
        start, end = action["segment"]
        if start < 0 or end > duration:
            log.warning("video %s: segment %s reaches beyond the video's %s seconds", name, [start, end], duration)
        times = Times(raw, action["segment"], duration, fps)
        values = {"segment": [duration - end, duration - start], **times.mirrored}
        kept = {key: values.get(key, value) for key, value in raw.items() if key not in times.dropped}
        found.append({key: _rounded(value, digits) if key in values else value for key, value in kept.items()})
        for what, keys in times.report().items():
            for key in keys:
                counts[what, key] = counts.get((what, key), 0) + 1
    return found[::-1]


def _drop_times_of_video(video, entry, counts):
    """Drop what a video says of times besides its annotations and its length: they are of the video played forward."""
    lengths = [entry[key] for key in ("duration", "frame") if key in entry]
    for key in [key for key, value in video.items() if key != "annotations" and holds_times(key, value, lengths)]:
        del video[key]
        what = "of a video dropped, as it holds times of the video played forward"
        counts[what, key] = counts.get((what, key), 0) + 1


def _rounded(value, digits):
    if isinstance(value, list):
        return [_rounded(item, digits) for item in value]
    return value if digits is None else round(value, digits)


def reverse_annotation_file(src, dst, *, digits=6, overwrite=False):
    """Write `reverse_annotations` of the JSON file `src` to `dst`; return (number of videos, number of actions)."""
    src, dst = Path(src), Path(dst)
    annotations = read_json(src, "annotation")
    if dst.exists():
        if dst.samefile(src):
            raise ValueError(f"{src} cannot be reversed onto itself")
        if not overwrite:
            raise FileExistsError(f"{dst} exists; say --overwrite to replace it")
    mirrored = _reversed(annotations, f"annotation {src}", digits)
    write_json(dst, mirrored)
    videos = raw_database(mirrored, str(src)).values()
    return len(videos), sum(len(v.get("annotations") or []) for v in videos)
