"""Captioned videos with boxes, read from JSON files of four forms (`caption_entries`)."""

import os
from functools import partial
from pathlib import Path

from ..errors import some
from ..utils.annotation import TIMELINE_HINT, holds_timeline
from ..utils.files import list_folder, read_json, read_lines
from ..utils.logging import LOGGER
from ..utils.validation import check_choice
from .caption_entries import EntryReader, is_nested, lacks, segments
from .caption_regions import ON_BAD_BOX, RegionReader, shown
from .caption_report import NAMED, REASONED, ReadReport

ON_BAD_ENTRY = ("error", "skip")
_SUFFIXES = (".json", ".json.gz", ".jsonl")


def read_captions(
    sources,
    *,
    classes=None,
    normal_class="Normal",
    frame_base=0,
    on_bad_box="error",
    on_bad_entry="error",
):
    """Read caption files.

    Args:
        sources: a JSON file, a text file with the path of one per line, a folder of JSON files, or a list of these.
        classes: names that a category may have, or None: any.
        normal_class: the class without anomalies.
        frame_base: number of a video's first frame in the files, 0 or 1.
        on_bad_box: of a box without area: "error", or "drop" its keyframe, see `RegionReader`.
        on_bad_entry: of a region or an entry that cannot be read: "error", or "skip" it, counted with its reason; a
            region that cannot be read never costs its video.
    Returns:
        list of CaptionedVideo in the order of the files, and a ReadReport.
    Raises:
        FileNotFoundError, ValueError: naming file, entry and value.
    """
    if frame_base not in (0, 1) or isinstance(frame_base, bool):
        raise ValueError(f"frame_base {frame_base!r} is the number of the first frame: 0 or 1")
    check_choice("on_bad_box", on_bad_box, ON_BAD_BOX)
    check_choice("on_bad_entry", on_bad_entry, ON_BAD_ENTRY)
    report, records = ReadReport(), []
    regions = RegionReader(frame_base=frame_base, on_bad_box=on_bad_box, skip=on_bad_entry == "skip")
    entries = EntryReader(regions, classes=classes, normal_class=normal_class)
    for path in caption_files(sources):
        records += _read(path, entries, report, skip=on_bad_entry == "skip")
        report.files += 1
    report.count(records)
    for what, names in report.names().items():
        LOGGER.warning("caption files: %d %s: %s", len(names), what.replace("_", " "), some(names))
    return records, report


def caption_files(sources):
    """The JSON files that `read_captions` reads, as paths; FileNotFoundError or ValueError where there are none."""
    if not isinstance(sources, (str, os.PathLike)):
        if not sources or not isinstance(sources, (list, tuple)):
            raise ValueError(f"caption files {sources!r} name none")
        return [path for source in sources for path in caption_files(source)]
    path = Path(sources)
    if path.is_dir():
        found = [p for p in list_folder(path, "[!.]*") if p.name.lower().endswith(_SUFFIXES)]
        if not found:
            raise FileNotFoundError(f"folder of caption files {path} holds no .json file")
        return found
    if path.suffix == ".txt":
        found = [path.parent / text for _, text in read_lines(path, "list of caption files")]
        for line in found:
            if not line.is_file():
                raise FileNotFoundError(f"list of caption files {path}: {line} does not exist")
        return found
    return [path]


def _read(path, reader, report, *, skip):
    """The records of one file."""
    content = read_json(path, "caption file")
    if not isinstance(content, (list, dict)) or not content:
        raise ValueError(f"caption file {path} must hold a list or an object of videos; it holds {shown(content)}")
    records, problems, count = [], [], 0
    for where, make in _jobs(content, reader):
        count += 1
        reader.regions.report = own = ReadReport()  # of an entry that fails nothing is counted
        try:
            record = make()
        except ValueError as error:
            problems.append(f"{where}: {error}")
            continue
        if isinstance(record, str):
            report.skipped[record] += 1
            report.named.append((record, where))
        else:
            records.append(record)
            report.named += [(what, where) for what in NAMED if getattr(own, what)]
            report.named += [(REASONED, f"{where}: {problem}") for problem in own.region_problems]
            report.add(own)
    report.entries += count
    if problems and not skip and not holds_timeline(content):
        raise ValueError(
            f"caption file {path}: {len(problems)} of {count} entries cannot be read: {problems[0]}"
            + "; on_bad_entry='skip' leaves out the regions and entries that cannot be read"
        )
    report.skipped.update({"unreadable": len(problems)} if problems else {})
    report.named += [("unreadable", problem) for problem in problems]
    if not records:
        reason = problems[0] if problems else some(report.skipped)
        if holds_timeline(content):
            reason = f"it is a timeline export of Label Studio; {TIMELINE_HINT}"
        raise ValueError(f"caption file {path}: none of {count} entries is a video: {reason}")
    return records


def _jobs(content, reader):
    """(where it stands, function that gives its record or the reason why it is left out) of every entry."""
    if isinstance(content, list):
        for number, entry in enumerate(content):
            name = (entry.get("f_path") or entry.get("video")) if isinstance(entry, dict) else None
            yield f"entry {number} ({shown(name)})" if name else f"entry {number}", partial(reader.listed, entry)
        return
    for name, value in content.items():
        if is_nested(value):
            for segment, inner in segments(value).items():
                yield f"{name!r}, segment {segment!r}", partial(_keyed, reader, name, inner, segment)
        else:
            yield f"{name!r}", partial(_keyed, reader, name, value, None)


def _keyed(reader, name, value, segment):
    if not isinstance(value, dict):
        raise ValueError(f"an object is expected, not {shown(value)}")
    return lacks(value) or reader.keyed(name, value, segment)
