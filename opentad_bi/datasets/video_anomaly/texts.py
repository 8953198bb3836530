"""Texts of captioned videos made fit for training: translations, Chinese ones, empty ones, too long ones."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...ops.names import shown_class
from ...utils.files import read_json
from ...utils.logging import LOGGER
from ...utils.validation import check_choice
from .records import CaptionedVideo, ReadReport, has_chinese

ON_CHINESE = ("warn", "skip", "error")
ON_EMPTY = ("region", "skip", "error")
TEMPLATE = "a surveillance video of {}"


def read_caption_map(path: str | Path) -> dict[str, str]:
    """Read {caption: what stands in its place} from a JSON file; ValueError for anything else in it."""
    content = read_json(path, "caption map")
    if not isinstance(content, dict):
        raise ValueError(f"caption map {path} holds a {type(content).__name__} where {{caption: caption}} is expected")
    for text, other in content.items():
        if not isinstance(other, str) or not other.strip():
            raise ValueError(f"caption map {path}: {text!r} has {other!r}, which is not a caption")
    return {text.strip(): other.strip() for text, other in content.items()}


def translate(
    records: Sequence[CaptionedVideo], caption_map: Mapping[str, str], report: ReadReport
) -> list[CaptionedVideo]:
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


def settle_chinese(records: Sequence[CaptionedVideo], choice: str, report: ReadReport) -> list[CaptionedVideo]:
    """What becomes of Chinese captions, which a CLIP tokenizer takes apart into bytes.

    Args:
        choice: "warn": they stay; "skip": their videos and regions are left out, counted; "error".
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
    summary = f"{len(chinese)} captions and {len(inner)} of regions hold Chinese, such as {text!r} of {name!r}"
    if choice == "error":
        raise ValueError(f"{summary}; give a caption_map, or choose on_chinese 'warn' or 'skip'")
    LOGGER.warning("%s; a CLIP tokenizer takes them apart into bytes", summary)
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


def settle_empty(records: Sequence[CaptionedVideo], choice: str, report: ReadReport) -> list[CaptionedVideo]:
    """What becomes of videos and regions without a caption.

    Args:
        choice: of videos: "region": the caption of the first region that has one, else the class in a sentence;
            "skip": left out, counted; "error". A video without caption, region and category is left out in any case,
            and a region with a box but no caption takes that of its video.
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


def count_truncated(
    records: Sequence[CaptionedVideo],
    count_tokens: Callable[[str], int],
    *,
    caption_limit: int = 77,
    region_limit: int = 77,
) -> dict[str, int]:
    """How many texts a text tower cuts off.

    Args:
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
