"""What is read of caption files: videos with a caption, their regions with boxes, and counts of what was read."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...ops.names import bare_name, caption_key

_CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
NAMED = ("unequal_lists", "assumed_normal")  # counts whose entries are named
REASONED = "skipped_regions"  # the count whose entries are named with what is wrong


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A labelled frame of a region.

    Args:
        frame: number in the video file, from 0.
        box: (x1, y1, x2, y2) in shares of the frame's width and height.
        enabled: the box stays visible from here to the next keyframe, or to the end of the region.
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


def has_chinese(text: str) -> bool:
    """Does a text hold a Chinese character?"""
    return _CHINESE.search(text) is not None


@dataclass
class ReadReport:
    """Counts of what was read, and of what was repaired or left out.

    Args:
        files, entries: read.
        videos: entries that became records, segments of one file each by itself.
        skipped: {reason: entries left out}.
        regions, boxed_regions, keyframes: of the records.
        patterns: {pattern: regions}, a T or F for every keyframe as it is enabled or not; in brackets, where no
            keyframe of the region said so.
        unequal_lists: entries with more captions than lists of boxes, or fewer.
        empty_captions, empty_region_captions: texts without a letter.
        clipped_boxes: boxes that reached out of the frame, by at most 2 % of its side.
        dropped_boxes: boxes without area that were left out.
        repeated_keyframes: keyframes that another one of the same frame replaced.
        abnormal, captions, distinct_captions, non_ascii_captions, chinese_captions: of the records.
        region_captions, distinct_region_captions, chinese_region_captions: likewise.
        translated: captions replaced by the caption map.
        region_negatives: texts that are wrong for a region.
        assumed_normal: entries of no known class and without boxes.
        repeated_videos: entries of a video, or of a window of one, that another entry has too.
        skipped_regions, region_problems: regions that could not be read and were left out, and what is wrong with them.
        named: pairs of a reason of `skipped`, or of a name of `NAMED`, and where the entry stands.
    """

    files: int = 0
    entries: int = 0
    videos: int = 0
    skipped: Counter = field(default_factory=Counter)
    regions: int = 0
    boxed_regions: int = 0
    keyframes: int = 0
    patterns: Counter = field(default_factory=Counter)
    unequal_lists: int = 0
    empty_captions: int = 0
    empty_region_captions: int = 0
    clipped_boxes: int = 0
    dropped_boxes: int = 0
    repeated_keyframes: int = 0
    abnormal: int = 0
    captions: int = 0
    distinct_captions: int = 0
    non_ascii_captions: int = 0
    chinese_captions: int = 0
    region_captions: int = 0
    distinct_region_captions: int = 0
    chinese_region_captions: int = 0
    translated: int = 0
    region_negatives: int = 0
    assumed_normal: int = 0
    repeated_videos: int = 0
    skipped_regions: int = 0
    region_problems: list = field(default_factory=list)
    named: list = field(default_factory=list)

    @property
    def duplicate_share(self) -> float:
        """Share of captions that another video has too, counted once less for each distinct one."""
        return 1 - self.distinct_captions / self.captions if self.captions else 0.0

    def names(self) -> dict[str, list[str]]:
        """{reason or count: [where an entry of it stands, ...]}"""
        found: dict[str, list[str]] = {}
        for what, where in self.named:
            found.setdefault(what, []).append(where)
        return found

    def add(self, other: "ReadReport") -> None:
        """Take in the counts of another report."""
        for name, value in vars(other).items():
            vars(self)[name] += value

    def count(self, records: Sequence[CaptionedVideo]) -> None:
        """Set what follows from the records alone."""
        captions = [record.caption for record in records if record.caption]
        regions = [region for record in records for region in record.regions]
        texts = [region.caption for region in regions if region.caption]
        self.videos, self.abnormal = len(records), sum(record.abnormal for record in records)
        self.repeated_videos = len(records) - len({(bare_name(record.path), record.window) for record in records})
        self.regions = len(regions)
        self.boxed_regions = sum(bool(region.keyframes) for region in regions)
        self.keyframes = sum(len(region.keyframes) for region in regions)
        self.captions, self.distinct_captions = len(captions), len(set(map(caption_key, captions)))
        self.non_ascii_captions = sum(not text.isascii() for text in captions)
        self.chinese_captions = sum(map(has_chinese, captions))
        self.region_captions, self.distinct_region_captions = len(texts), len(set(map(caption_key, texts)))
        self.chinese_region_captions = sum(map(has_chinese, texts))
        self.region_negatives = sum(len(region.negatives) for region in regions)

    def __str__(self):
        parts = [f"{self.videos} videos ({self.abnormal} abnormal) of {self.entries} entries"]
        parts.append(f"{self.regions} regions ({self.boxed_regions} with boxes), {self.keyframes} keyframes")
        parts.append(f"{self.captions} captions ({self.distinct_captions} distinct)")
        names = ("unequal_lists", "empty_captions", "empty_region_captions", "non_ascii_captions", "chinese_captions",
                 "chinese_region_captions", "region_negatives", "translated", "clipped_boxes", "dropped_boxes",
                 "repeated_keyframes", "skipped_regions", "assumed_normal", "repeated_videos")  # fmt: skip
        parts += [f"{vars(self)[name]} {name.replace('_', ' ')}" for name in names if vars(self)[name]]
        parts += [f"{count} skipped: {reason}" for reason, count in self.skipped.most_common()]
        return "; ".join(parts)
