"""Which keys of an annotation hold times or frames, and what they become when the video is played backwards.

Keys are known by the words of their names (`segment(frames)`, `t-start`, `startFrame`) and by their values. A time t
of a video of D seconds becomes D - t. A frame number f is taken as a boundary between frames, f / fps seconds from the
beginning, as ActionFormer's `segment(frames)` is, and becomes D * fps - f.
"""

import re

from ..utils.annotation import number

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


def holds_times(key, value, lengths):
    """Does a key of a video, which is not one of its `lengths` in seconds or frames, hold times of it?"""
    if key in _COUNTS_OF_VIDEO or number(value) in lengths:
        return False
    return _is_time(words(key)) and _has_number(value)


def words(key):
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

    def __init__(self, action, segment, duration, fps):
        self.action, self.segment, self.duration, self.fps = action, segment, duration, fps
        self.mirrored, self.dropped, self.frames = {}, set(), set()
        for key, value in action.items():
            if key in ("segment", "label") or key in self.mirrored:
                continue
            names = words(key)
            pair = isinstance(value, (list, tuple)) and len(value) == 2 and None not in map(number, value)
            if pair and not _kept(names):
                self._mirror(names, (key,), [number(time) for time in value])
            elif (_is_time(names) and _has_number(value)) or (_POINTS & set(names) and number(value) is not None):
                self._mirror_end(key, names, value)

    def report(self):
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
    """Do the words of a name speak of a time or of a frame?"""
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
