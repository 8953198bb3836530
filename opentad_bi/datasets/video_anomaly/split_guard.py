"""Videos of a test set are kept out of training, also where they come in segments or under other spellings."""

import re
from collections.abc import Sequence
from pathlib import Path

from ...ops.names import bare_name, list_fields, served_path
from ...utils.files import read_names
from ...utils.logging import LOGGER
from ..common.video_paths import parent_name
from .records import CaptionedVideo, ReadReport

_NUMBER = re.compile(r"_\d+$")


def name_keys(name: str) -> set[str]:
    """What a name may be known by: the video it is from, and that without the number of a segment."""
    key = parent_name(name).lower().removesuffix("_x264")
    return {key} if parent_name(name).lower().endswith("_x264") else {key, _NUMBER.sub("", key)}


def read_forbidden(source: str | Path | Sequence[str]) -> set[str]:
    """Keys of the videos of an official list: names or a file of them, of which lines may end in numbers of frames."""
    keys = set()
    for line in read_names(source, "forbid_list"):
        keys.add(max(name_keys(list_fields(served_path(line))[0]), key=len))
    return keys


def guard(
    records: Sequence[CaptionedVideo],
    forbid_list: str | Path | Sequence[str] | None,
    *,
    drop: bool = False,
    report: ReadReport | None = None,
) -> list[CaptionedVideo]:
    """The records without those of forbidden videos.

    Args:
        forbid_list: names of videos, or a file of them such as UCF-Crime's Anomaly_Test.txt; None: nothing is.
        drop: leave them out, counted in `report` and logged; otherwise any is an error.
    Raises:
        ValueError: forbidden videos, with their number and the first names.
    """
    if forbid_list is None:
        return list(records)
    forbidden = read_forbidden(forbid_list)
    if not forbidden:
        raise ValueError(f"forbid_list {forbid_list} names no video")
    hits = [(name_keys(record.name) | name_keys(record.path)) & forbidden for record in records]
    found = [bare_name(record.name) for record, hit in zip(records, hits, strict=True) if hit]
    if not found:
        return list(records)
    summary = (
        f"{len(found)} of {len(records)} entries are of {len(set().union(*hits))} of the {len(forbidden)} videos in "
        f"forbid_list, such as {', '.join(sorted(set(found))[:3])}"
    )
    if not drop:
        raise ValueError(f"{summary}; a model must not be trained on its test, see drop_forbidden")
    LOGGER.warning("%s; they are left out", summary)
    if report is not None:
        report.skipped["in forbid_list"] += len(found)
    return [record for record, hit in zip(records, hits, strict=True) if not hit]
