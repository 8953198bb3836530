"""Regions of a caption file: read and checked, and when and where their boxes are visible, as Label Studio means it.

n keyframes, T frames, M visibility intervals
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np

from ...utils.validation import check_choice
from .records import Keyframe, ReadReport, Region

ENABLED_MODES = ("label_studio", "ignore")
OPEN_ENDS = ("video", "keyframe")


class VisibilityTrack:
    """When and where a region with at least one keyframe is visible, for many frames at once.

    An enabled keyframe says that the box stays visible from there on, moving evenly, up to the next keyframe; one that
    is not enabled ends the interval, and the box is still there at that frame. After an enabled last keyframe the box
    stays where it is. Outside first and last frame of the region there is no box.

    Args:
        region: a `records.Region`.
        enabled_mode: "label_studio", as above, or "ignore": all frames from the first to the last keyframe, whatever
            the region says.
        open_end: where an enabled last keyframe ends in a region that does not say: with the "video" or the "keyframe".
    """

    def __init__(self, region: Region, *, enabled_mode: str = "label_studio", open_end: str = "video") -> None:
        check_choice("enabled_mode", enabled_mode, ENABLED_MODES)
        check_choice("open_end", open_end, OPEN_ENDS)
        if not region.keyframes:
            raise ValueError(f"region {region.caption!r} has no keyframe, so it has no place in the picture")
        latest = {keyframe.frame: keyframe for keyframe in region.keyframes}
        keyframes = [latest[frame] for frame in sorted(latest)]
        self.frames = np.array([keyframe.frame for keyframe in keyframes], dtype=np.int64)
        self.boxes = np.array([keyframe.box for keyframe in keyframes], dtype=np.float64)
        self.enabled = np.array([keyframe.enabled for keyframe in keyframes], dtype=bool)
        self.start, self.end = region.start, region.end
        if enabled_mode == "ignore":
            self.enabled[:] = True
            self.start = self.end = None
        if enabled_mode == "ignore" or (open_end == "keyframe" and region.end is None):
            self.enabled[-1] = False

    def intervals(self, first: int, stop: int) -> np.ndarray:
        """When the box is visible in a window of frames, `stop` not included: int64 (M, 2) of [begin, end), rising."""
        ends = np.append(self.frames[1:], max(stop, self.frames[-1] + 1))
        ends = np.where(self.enabled, ends, self.frames + 1)
        low = first if self.start is None else max(first, self.start)
        high = stop if self.end is None else min(stop, self.end + 1)
        spans = np.stack([self.frames.clip(low), ends.clip(max=high)], axis=1)
        return spans[spans[:, 0] < spans[:, 1]]

    def visible(self, frames: Sequence[int] | np.ndarray) -> np.ndarray:
        """Is the box in each of the frames?  int (T,) -> bool (T,)"""
        frames = np.asarray(frames, dtype=np.int64)
        before = np.searchsorted(self.frames, frames, side="right") - 1  # the keyframe at or before each frame
        found = (before >= 0) & (self.enabled[before] | (self.frames[before] == frames))
        if self.start is not None:
            found &= frames >= self.start
        if self.end is not None:
            found &= frames <= self.end
        return found

    def box(self, frames: Sequence[int] | np.ndarray) -> np.ndarray:
        """Where the box is or, between its visibility intervals, would be; beyond its keyframes it stays.

        Args:
            frames: int (T,).
        Returns:
            float32 (T, 4), x1, y1, x2, y2 in shares of width and height.
        """
        frames = np.asarray(frames, dtype=np.int64)
        columns = [np.interp(frames, self.frames, column) for column in self.boxes.T]
        return np.stack(columns, axis=1).astype(np.float32)


TOLERANCE = 1e-3  # seconds by which a window may begin before its video
OVERSHOOT = 0.02  # of the side of the frame, by which a box may reach out and is clipped, as annotators draw them
ROUNDING = 1e-9  # of 1.02 - 1
ON_BAD_BOX = ("error", "drop")
NEGATIVES = ("negatives", "short_expr_negs")


class RegionReader:
    """Reads regions and counts in `report` (a ReadReport) what it repairs.

    Args:
        frame_base: number of a video's first frame in the file.
        on_bad_box: of a box without area: "error", or "drop" its keyframe; one that is not enabled still ends the
            interval there, with the box of the keyframe before it.
        skip: leave out a region that cannot be read, counted with its reason, in place of an error.
    """

    def __init__(self, *, frame_base: int = 0, on_bad_box: str = "error", skip: bool = False) -> None:
        self.report, self.frame_base, self.on_bad_box, self.skip = ReadReport(), frame_base, on_bad_box, skip

    def of_entry(self, entry: dict[str, Any]) -> tuple[Region, ...]:
        """Regions of an entry of a list: of `bbox_info`, or of `region_captions` and `box_infos`."""
        return self._unless_bad((), self._of_entry, entry)

    def described(self, items: Any) -> tuple[Region, ...]:
        """Regions as objects, or as texts alone: caption, and perhaps keyframes, start_frame, end_frame, negatives."""
        items = self._unless_bad([], items_of, "regions", [items] if isinstance(items, str) else items)
        regions = [self._unless_bad(None, self._described, f"region {n}", item) for n, item in enumerate(items)]
        return tuple(region for region in regions if region is not None)

    def _of_entry(self, entry):
        refuse_unknown_regions("the entry", entry, ("bbox_info", "region_captions", "box_infos"))
        if not entry.get("bbox_info"):
            return self._paired(entry.get("region_captions"), entry.get("box_infos"))
        if entry.get("region_captions") or entry.get("box_infos"):
            raise ValueError(
                "there are regions in 'bbox_info' and in 'region_captions' or 'box_infos'; one is expected"
            )
        return self.described(entry["bbox_info"])

    def _described(self, where, item):
        item = {"caption": item} if isinstance(item, str) else item
        if not isinstance(item, dict):
            raise ValueError(f"{where}: an object or a text is expected, not {shown(item)}")
        if not item.get("keyframes"):
            refuse_unknown_regions(where, item, ("keyframes",))
        start, end = (self._frame(f"{where}: {key}", item.get(key)) for key in ("start_frame", "end_frame"))
        if start is not None and end is not None and start > end:
            raise ValueError(f"{where}: start_frame {start} is after end_frame {end}")
        caption = text_of(f"{where}: caption", first_given(item, ("caption", "Caption")))
        keyframes = self._keyframes(where, item.get("keyframes"), closed=end is not None)
        return self._region(caption, start, end, keyframes, _negatives(where, item))

    def _paired(self, captions, boxes):
        """Regions as a list of captions and a list of lists of boxes, which are paired by their places."""
        captions, boxes = items_of("region_captions", captions), items_of("box_infos", boxes)
        while len(boxes) > len(captions) and not boxes[-1]:
            boxes = boxes[:-1]  # [[]] is how a video without boxes may be written
        self.report.unequal_lists += len(boxes) != len(captions)
        pairs = enumerate(zip_longest(captions, boxes))
        regions = [self._unless_bad(None, self._pair, number, *pair) for number, pair in pairs]
        return tuple(region for region in regions if region is not None)

    def _pair(self, number, caption, boxes):
        caption = text_of(f"region_captions {number}", caption)
        return self._region(caption, None, None, self._keyframes(f"box_infos {number}", boxes, closed=False))

    def _region(self, caption, start, end, keyframes, negatives=()):
        self.report.empty_region_captions += not caption
        return Region(caption, start, end, keyframes, negatives)

    def _unless_bad(self, otherwise, read, *values):
        """What `read` gives; where a region cannot be read and is skipped, `otherwise`, with nothing of it counted."""
        whole, self.report = self.report, ReadReport()
        try:
            found = read(*values)
        except ValueError as problem:
            if not self.skip:
                raise
            self.report = ReadReport(skipped_regions=1, region_problems=[str(problem)])
            found = otherwise
        finally:
            whole.add(self.report)
            self.report = whole
        return found

    def _keyframes(self, where, items, *, closed):
        """Keyframes rising in frame. Without any word of `enabled` and of an end, the last one ends the region."""
        found, said = {}, False
        for number, item in enumerate(items_of(f"{where}: keyframes", items)):
            place = f"{where}: keyframe {number}"
            if not isinstance(item, dict):
                raise ValueError(f"{place}: an object is expected, not {shown(item)}")
            frame, enabled = self._frame(f"{place}: frame", item.get("frame")), item.get("enabled")
            if frame is None:
                raise ValueError(f"{place}: there is no 'frame'")
            if enabled is not None and not isinstance(enabled, bool):
                raise ValueError(f"{place}: enabled {shown(enabled)} is neither true nor false")
            said = said or enabled is not None
            box = self._box(f"{place}: bbox", item.get("bbox", item.get("box")))
            if box is not None or (enabled is False and frame not in found):
                self.report.repeated_keyframes += frame in found
                found[frame] = Keyframe(frame, box, enabled is None or enabled)
        keyframes = _with_boxes(found)
        if keyframes:
            pattern = "".join("FT"[keyframe.enabled] for keyframe in keyframes)
            self.report.patterns[pattern if said else f"({pattern})"] += 1
        if keyframes and not said and not closed:
            last = keyframes[-1]
            keyframes[-1] = Keyframe(last.frame, last.box, False)
        return tuple(keyframes)

    def _frame(self, where, value):
        """A frame number from 0, or None for None."""
        if value is None:
            return None
        if not finite(value) or value != int(value):
            raise ValueError(f"{where} {shown(value)} is not a whole number of a frame")
        if value < self.frame_base:
            raise ValueError(f"{where} {shown(value)} is before the first frame, which is {self.frame_base}")
        return int(value) - self.frame_base

    def _box(self, where, value):
        """A box clipped to the frame, or None for one that is dropped."""
        if not isinstance(value, list) or len(value) != 4 or not all(map(finite, value)):
            raise ValueError(f"{where} {shown(value)} is not a list of four numbers x1, y1, x2, y2")
        overshoot = max(-min(value), max(value) - 1)
        if overshoot > OVERSHOOT + ROUNDING:
            raise ValueError(f"{where} {shown(value)} reaches out of the frame; {_guess(value)}")
        x1, y1, x2, y2 = (min(max(float(number), 0.0), 1.0) for number in value)
        if x2 <= x1 or y2 <= y1:
            if self.on_bad_box == "drop":
                self.report.dropped_boxes += 1
                return None
            raise ValueError(f"{where} {shown(value)} has no area; {_guess(value)}; see on_bad_box")
        self.report.clipped_boxes += overshoot > 0
        return x1, y1, x2, y2


def _negatives(where, item):
    """Texts of `negatives`, or of FG-CLIP's `short_expr_negs`: a list, or a dict whose values they are.

    There are none where FG-CLIP's `flag_short_neg` is 0.
    """
    if item.get("flag_short_neg", 1) in (0, False):
        return ()
    key = next((key for key in NEGATIVES if item.get(key)), NEGATIVES[0])
    texts = item.get(key)
    texts = list(texts.values()) if isinstance(texts, dict) else items_of(f"{where}: {key}", texts)
    return tuple(text for number, own in enumerate(texts) if (text := text_of(f"{where}: {key} {number}", own)))


def _with_boxes(found):
    """Keyframes rising in frame, of {frame: keyframe}; one without a box takes that of the one before, or goes."""
    keyframes = []
    for frame in sorted(found):
        keyframe = found[frame]
        if keyframe.box is None:
            if not keyframes or not keyframes[-1].enabled:
                continue
            keyframe = replace(keyframe, box=keyframes[-1].box)
        keyframes.append(keyframe)
    return keyframes


def _guess(box):
    """What a box that is none may be meant as."""
    if max(box) > 100 * (1 + OVERSHOOT):
        return "is it in pixels? fractions of width and height are expected"
    if max(box) > 2:
        return "is it in percent? fractions of width and height are expected"
    return f"is it x, y, width, height? x1, y1, x2, y2 are expected, up to {OVERSHOOT:.0%} outside are clipped"


def items_of(where: str, value: Any) -> list[Any]:
    """A list, or an empty one for None; ValueError for anything else."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{where}: a list is expected, not {shown(value)}")
    return value


def text_of(where: str, value: Any) -> str:
    """A text without blanks at its ends, "" for None; ValueError for anything else."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{where} {shown(value)} is not a text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(
            f"{where} {shown(value)} holds halves of characters; was it read in another encoding?"
        ) from None
    return value.strip()


def first_given(item: Mapping[str, Any], keys: Iterable[str]) -> Any:
    """The first value of the keys that says something, or None."""
    return next((item[key] for key in keys if item.get(key) not in (None, "")), None)


def refuse_unknown_regions(where: str, item: Mapping[str, Any], expected: Sequence[str]) -> None:
    """ValueError for a list or object, not empty, under a key that sounds like regions or boxes and is not expected."""
    for key, value in item.items():
        named = "box" in key.lower() or "region" in key.lower()
        if named and key not in expected and value and isinstance(value, (list, dict)):  # a number of them is no loss
            raise ValueError(f"{where}: {key!r} is not read; expected are {', '.join(map(repr, expected))}")


def finite(value: Any) -> bool:
    """Is it a finite number, and none beyond what a float counts exactly?"""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53


def shown(value: Any) -> str:
    """A value in a message, cut short."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
