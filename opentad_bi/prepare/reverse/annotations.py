"""Mirror an annotation file in time, whatever form its times have, for videos that are played backwards.

Keys that hold times or frames are known by the words of their names (`segment(frames)`, `t-start`, `startFrame`) and by
their values. A time t of a video of D seconds becomes D - t. A frame number f is taken as a boundary between frames,
f / fps seconds from the beginning, as ActionFormer's `segment(frames)` is, and becomes D * fps - f.
"""

import copy
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from ...utils.annotation import number, raw_database, read_database
from ...utils.files import read_json, write_json

log = logging.getLogger(__name__)

_STARTS, _ENDS = {"start", "begin", "init", "onset", "from"}, {"end", "stop", "finish", "offset", "to"}
_FRAMES = {"frame", "frames", "keyframe", "keyframes", "f"}
_TIMES = {"time", "times", "timestamp", "timestamps", "segment", "segments", "sec", "secs", "second", "seconds",
          "ms", "t", "interval", "intervals", "span", "spans", "moment", "moments", "shot", "shots"}  # fmt: skip
_POINTS = {"center", "centre", "mid", "middle", "midpoint", "peak", "apex"}  # of an action, where it is one number
# of a length, a rate, a number of things or an identity, which are the same played backwards
_INVARIANT = {"duration", "fps", "rate", "num", "number", "count", "counts", "length", "total", "n", "rfps",
              "size", "shape", "width", "height", "resolution"}  # fmt: skip
_IDENTITY = {"id", "ids", "label", "labels", "name", "names", "score", "scores"}
_COUNTS_OF_VIDEO = {"frame", "frames", "feature_frame", "featureFrame"}
_TIME_TEXT = re.compile(r"\s*[\d:.,]*\d[\d:.,]*\s*[a-z]{0,3}\s*")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def reverse_annotations(annotations: dict, *, digits: int | None = 6) -> dict:
    """The annotation dict `{"database": {video: {...}}}` of the reversed videos.

    A segment [s, e] of a video of `duration` D seconds becomes [D-e, D-s], rounded to `digits` decimals (None: not
    rounded); the actions come in the opposite order. Doing it twice gives the input back, to the rounding. Segments
    that reach beyond the video are mirrored like the others, with a warning. Other keys of an action that hold times
    or frames are mirrored too, or dropped, which is logged, see `Times`. Keys of a video that hold times are dropped;
    everything else is kept.

    Raises:
        ValueError: not an annotation, a malformed entry, or a video with actions but without `duration`.
    """
    return _reversed(annotations, "annotation", digits)


def reverse_annotation_file(
    src: Path | str, dst: Path | str, *, digits: int | None = 6, overwrite: bool = False
) -> tuple[int, int]:
    """Write `reverse_annotations` of the JSON file `src` to `dst`.  Returns the number of videos, number of actions.

    Raises:
        FileExistsError: `dst` is there and may not be replaced.
        FileNotFoundError, ValueError: naming the file, see `reverse_annotations`.
    """
    src, dst = Path(src), Path(dst)
    annotations = read_json(src, "annotation")
    if dst.exists():
        if dst.samefile(src):
            raise ValueError(f"{src} cannot be reversed onto itself")
        if not overwrite:
            raise FileExistsError(f"{dst} exists; --overwrite replaces it")
    mirrored = _reversed(annotations, f"annotation {src}", digits)
    write_json(dst, mirrored)
    videos = raw_database(mirrored, str(src)).values()
    return len(videos), sum(len(v.get("annotations") or []) for v in videos)


def _reversed(annotations, where, digits):
    entries = read_database(annotations, where)
    mirrored = copy.deepcopy(annotations)
    database = raw_database(mirrored, where)
    for name, entry in entries.items():
        if entry["annotations"] and "duration" not in entry:
            raise ValueError(f"{where}: video {name!r}: duration is missing, so its segments cannot be mirrored")
    counts: dict[tuple[str, str], int] = {}
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


def holds_times(key: str, value: object, lengths: Sequence[float]) -> bool:
    """Does a key of a video, which is not one of its `lengths` in seconds or frames, hold times of it?"""
    if key in _COUNTS_OF_VIDEO or number(value) in lengths:
        return False
    return _is_time(words(key)) and _has_number(value)


def words(key: str) -> list[str]:
    """The words of a key's name, in lower case: "segment(frames)" -> ["segment", "frames"]."""
    return [word.lower() for word in _WORD.findall(str(key))]


class Times:
    """The keys of one action, but for `segment`, that hold times.

    Args:
        action: as it stands in the file.
        segment: its start and end in seconds.
        duration: of the video in seconds.
        fps: frames per second, or None where they are not known.
    Attributes:
        mirrored: {key: value played backwards}.
        dropped: set of keys that cannot be mirrored: a start without an end, a text, frames without a known rate.
    """

    def __init__(self, action: dict, segment: Sequence[float], duration: float, fps: float | None) -> None:
        self.action, self.segment, self.duration, self.fps = action, segment, duration, fps
        self.mirrored: dict[str, list | float] = {}
        self.dropped: set[str] = set()
        self.frames: set[str] = set()  # those of `mirrored` that count frames
        for key, value in action.items():
            if key in ("segment", "label") or key in self.mirrored:
                continue
            names = words(key)
            pair = isinstance(value, (list, tuple)) and len(value) == 2 and None not in map(number, value)
            if pair and not _kept(names):
                self._mirror(names, (key,), [number(time) for time in value])
            elif (_is_time(names) and _has_number(value)) or (_POINTS & set(names) and number(value) is not None):
                self._mirror_end(key, names, value)

    def report(self) -> dict[str, list[str]]:
        """{what is done: keys} for messages."""
        seconds = [key for key in self.mirrored if key not in self.frames]
        return {
            "mirrored, as seconds": seconds,
            "mirrored, as frames": sorted(self.frames),
            "dropped, as it cannot be mirrored": sorted(self.dropped),
        }

    def _mirror_end(self, key, names, value):
        """Mirror the number under `key` with its other end, if it is one of two; else drop it."""
        other = self._other_end(names)
        times = [number(value), number(self.action.get(other))]
        if other is None or None in times:
            self.dropped.add(key)
        elif _STARTS & set(names):
            self._mirror(names, (key, other), times)

    def _mirror(self, names, keys, times):
        """Put the mirrored values of [start, end] under one key or two, or drop these keys."""
        whole = self._whole(names, times)
        if whole is None:
            self.dropped.update(keys)
            return
        back = [whole - times[1], whole - times[0]]
        if all(isinstance(time, int) for time in times) and whole != self.duration:
            back = [round(time) for time in back]
        self.mirrored.update({keys[0]: back} if len(keys) == 1 else dict(zip(keys, back, strict=True)))
        if whole != self.duration:
            self.frames.update(keys)

    def _whole(self, names, times):
        """The length of the video in the unit of `times`, seconds or frames, or None where that is not known."""
        frames = self.fps and self.duration * self.fps
        if self._near(times, 1, 0.05) and not _FRAMES & set(names):
            return self.duration
        if self.fps and (self._near(times, self.fps, 1.5) or _FRAMES & set(names)):
            return frames
        return self.duration if _is_time(names) and not _FRAMES & set(names) and times[1] <= self.duration else None

    def _near(self, times, rate, tolerance):
        """Is it the segment itself, at so many units a second?"""
        return all(abs(time - rate * own) <= tolerance for time, own in zip(times, self.segment, strict=True))

    def _other_end(self, names):
        """The key whose name has an end where `names` has a start (or the other way round), or None."""
        own, wanted = (_STARTS, _ENDS) if _STARTS & set(names) else (_ENDS, _STARTS)
        rest = [word for word in names if word not in own]
        for key in self.action:
            found = words(key)
            if wanted & set(found) and [word for word in found if word not in wanted] == rest:
                return key
        return None


def _is_time(names):
    """Do the words of a name mean a time or a frame?"""
    about = set(names)
    if about & _IDENTITY and not about & _FRAMES:
        return False
    return not about & _INVARIANT and bool(about & (_STARTS | _ENDS | _FRAMES | _TIMES))


def _kept(names):
    """Are two numbers under such a name no times?"""
    return bool(set(names) & (_INVARIANT | _IDENTITY)) and not _is_time(names)


def _has_number(value):
    """Is there a number in a value, also within lists, objects and text?"""
    if isinstance(value, (list, tuple)):
        return any(map(_has_number, value))
    if isinstance(value, dict):
        return any(map(_has_number, value.values()))
    if isinstance(value, str):
        return bool(_TIME_TEXT.fullmatch(value))
    return number(value) is not None
