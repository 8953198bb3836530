"""Texts of captions: language, translation, length, and the report of reading them.

Texts of captioned videos made fit for training: translations, Chinese ones, empty ones, too long ones.

What a caption file held, in numbers.
"""

import re
from collections import Counter
from dataclasses import asdict, dataclass, field, replace

from ...ops.names import bare_name, caption_key, shown_class
from ...utils.files import read_json
from ...utils.logging import LOGGER
from ...utils.validation import check_choice

ON_CHINESE = ("warn", "skip", "error")
ON_EMPTY = ("region", "skip", "error")
TEMPLATE = "a surveillance video of {}"
_CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def has_chinese(text):
    """Does a text hold a Chinese character?"""
    return _CHINESE.search(text) is not None


def read_caption_map(path):
    """Read {caption: what stands in its place} from a JSON file; ValueError for anything else in it."""
    content = read_json(path, "caption map")
    if not isinstance(content, dict):
        raise ValueError(f"caption map {path} holds a {type(content).__name__} where {{caption: caption}} is expected")
    for text, other in content.items():
        if not isinstance(other, str) or not other.strip():
            raise ValueError(f"caption map {path}: {text!r} has {other!r}, which is no caption")
    return {text.strip(): other.strip() for text, other in content.items()}


def translate(records, caption_map, report):
    """The records with every caption that the map has replaced, counted in the report."""

    def text(caption):
        if caption not in caption_map:
            return caption
        report.translated += 1
        return caption_map[caption]

    return [
        replace(
            record,
            caption=text(record.caption),
            regions=tuple(
                replace(region, caption=text(region.caption), negatives=tuple(map(text, region.negatives)))
                for region in record.regions
            ),
        )
        for record in records
    ]


def settle_chinese(records, choice, report):
    """What becomes of Chinese captions, which a CLIP tokenizer takes apart into bytes.

    Args:
        records: list of CaptionedVideo.
        choice: "warn": they stay; "skip": their videos and regions are left out, counted; "error".
        report: ReadReport.
    Raises:
        ValueError: for "error", naming the first and their number.
    """
    check_choice("on_chinese", choice, ON_CHINESE)
    chinese = [(record.name, record.caption) for record in records if has_chinese(record.caption)]
    inner = [(record.name, text) for record in records for region in record.regions
             for text in (region.caption, *region.negatives) if has_chinese(text)]  # fmt: skip
    if not chinese and not inner:
        return list(records)
    name, text = (chinese + inner)[0]
    told = f"{len(chinese)} captions and {len(inner)} of regions hold Chinese, such as {text!r} of {name!r}"
    if choice == "error":
        raise ValueError(f"{told}; give a caption_map, or choose on_chinese 'warn' or 'skip'")
    LOGGER.warning("%s; a CLIP tokenizer takes them apart into bytes", told)
    if choice == "warn":
        return list(records)
    report.skipped["the caption holds Chinese"] += len(chinese)
    kept = [record for record in records if not has_chinese(record.caption)]
    report.skipped["regions: the caption holds Chinese"] += sum(
        has_chinese(region.caption) for record in kept for region in record.regions
    )
    return [
        replace(
            record,
            regions=tuple(
                replace(region, negatives=tuple(text for text in region.negatives if not has_chinese(text)))
                for region in record.regions
                if not has_chinese(region.caption)
            ),
        )
        for record in kept
    ]


def settle_empty(records, choice, report):
    """What becomes of videos and regions without a caption.

    Args:
        records: list of CaptionedVideo.
        choice: of videos: "region": the caption of the first region that has one, else the class in a sentence;
            "skip": left out, counted; "error". A video without caption, region and category is left out in any case,
            and a region with a box but no caption takes that of its video.
        report: ReadReport.
    Raises:
        ValueError: for "error", naming the first and their number.
    """
    check_choice("empty_caption", choice, ON_EMPTY)
    empty = [record for record in records if not record.caption]
    if empty and choice == "error":
        raise ValueError(f"{len(empty)} videos have no caption, such as {empty[0].name!r}; see empty_caption")
    found = []
    for record in records:
        caption = record.caption or (choice == "region" and _fallback(record))
        if caption:
            kept = [region for region in record.regions if region.caption or region.keyframes]
            regions = tuple(replace(region, caption=region.caption or caption) for region in kept)
            found.append(replace(record, caption=caption, regions=regions))
        else:
            report.skipped["no caption"] += 1
    return found


def _fallback(record):
    """A caption for a video that has none, or None."""
    first = next((region.caption for region in record.regions if region.caption), None)
    return first or (record.category and TEMPLATE.format(shown_class(record.category)))


def count_truncated(records, count_tokens, *, caption_limit=77, region_limit=77):
    """How many texts a text tower cuts off.

    Args:
        records: list of CaptionedVideo.
        count_tokens: function of a text -> its number of tokens, those of start and end among them.
        caption_limit, region_limit: tokens that the tower takes.
    Returns:
        {"captions": n, "regions": n, "longest": tokens of the longest text}; every distinct text is counted as often
        as it stands there.
    """
    regions = (region for record in records for region in record.regions)
    texts = {"captions": Counter(record.caption for record in records if record.caption),
             "regions": Counter(text for own in regions for text in (own.caption, *own.negatives) if text)}  # fmt: skip
    lengths = {text: count_tokens(text) for own in texts.values() for text in own}
    limits = {"captions": caption_limit, "regions": region_limit}
    found = {key: sum(n for text, n in own.items() if lengths[text] > limits[key]) for key, own in texts.items()}
    return {**found, "longest": max(lengths.values(), default=0)}


NAMED = ("unequal_lists", "assumed_normal")  # counts whose entries are named
REASONED = "skipped_regions"  # the count whose entries are named with what is wrong


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
    def duplicate_share(self):
        """Share of captions that another video has too, counted once less for each distinct one."""
        return 1 - self.distinct_captions / self.captions if self.captions else 0.0

    def names(self):
        """{reason or count: [where an entry of it stands, ...]}"""
        found = {}
        for what, where in self.named:
            found.setdefault(what, []).append(where)
        return found

    def add(self, other):
        """Take in the counts of another report."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def count(self, records):
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

    def as_dict(self):
        """All counts as JSON takes them, the most frequent reason and pattern first."""
        ordered = {key: dict(value.most_common()) if isinstance(value, Counter) else value
                   for key, value in asdict(self).items()}  # fmt: skip
        return {**ordered, "duplicate_share": round(self.duplicate_share, 4)}

    def __str__(self):
        parts = [f"{self.videos} videos ({self.abnormal} abnormal) of {self.entries} entries"]
        parts.append(f"{self.regions} regions ({self.boxed_regions} with boxes), {self.keyframes} keyframes")
        parts.append(f"{self.captions} captions ({self.distinct_captions} distinct)")
        names = ("unequal_lists", "empty_captions", "empty_region_captions", "non_ascii_captions", "chinese_captions",
                 "chinese_region_captions", "region_negatives", "translated", "clipped_boxes", "dropped_boxes",
                 "repeated_keyframes", "skipped_regions", "assumed_normal", "repeated_videos")  # fmt: skip
        parts += [f"{getattr(self, name)} {name.replace('_', ' ')}" for name in names if getattr(self, name)]
        parts += [f"{count} skipped: {reason}" for reason, count in self.skipped.most_common()]
        return "; ".join(parts)
