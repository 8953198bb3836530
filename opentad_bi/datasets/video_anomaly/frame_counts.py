"""Do captions count the frames of the files that lie there?  Boxes of another frame rate are mapped by time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...errors import some
from ...utils.logging import LOGGER, warn
from ..readers.base import VideoError
from ..readers.pyav import VideoHeader, read_header
from .records import CaptionedVideo, ReadReport

SHARE, FRAMES = 0.02, 2  # by which counts may differ: those of decoders and of containers do
ALIKE = 0.01  # share by which factors of several videos may differ and are one constant


@dataclass(frozen=True)
class FrameFit:
    """What the comparison of records with their files found.

    Args:
        records: N, those of `factors` with the frames of their regions mapped.
        factors: {number of the record: frames of the file for each one of the record} of what was mapped.
        problems: {number of the record: what is wrong}.
        beyond: {number of the record: what its boxes count beyond the file}, of records that say nothing of frames.
        compared: number of records whose file is there and that say frames or frames per second.
    """

    records: list
    factors: dict
    problems: dict
    beyond: dict
    compared: int


def fit_frames(records: Sequence[CaptionedVideo], paths: Sequence[Path | None], *, workers: int = 4) -> FrameFit:
    """Compare the frames and frames per second of records with the headers of their files.

    Where a record and its file last equally long, or where the counts of several videos, whose records say no frames
    per second, differ by one constant factor, frames are mapped by time. Segments of files are not compared. Of records
    that say neither, the last frame of their boxes is.

    Args:
        paths: file of each record, None where it is not there; it is not compared then.
        workers: files opened at the same time.
    """
    there = [n for n, record in enumerate(records) if paths[n] and not record.window]
    there = [n for n in there if records[n].frames or records[n].fps or last_frame(records[n])]
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        headers = dict(zip(there, pool.map(_header, [paths[number] for number in there]), strict=True))
    headers = {number: header for number, header in headers.items() if header is not None}
    silent = {
        number: header for number, header in headers.items() if not (records[number].frames or records[number].fps)
    }
    headers = {number: header for number, header in headers.items() if number not in silent}
    beyond = {number: text for number, header in silent.items() if (text := _beyond(records[number], header))}
    factors: dict[int, float] = {}
    open_: dict[int, float] = {}
    problems: dict[int, str] = {}
    for number, header in headers.items():
        factor, sure = _factor(records[number], header)
        if factor is not None:
            (factors if sure else open_)[number] = factor
        elif not sure:
            problems[number] = _problem(records[number], paths[number], header)
    middle = float(np.median(list(open_.values()))) if open_ else 1.0
    for number, factor in open_.items():
        if len(open_) > 1 and all(abs(other / middle - 1) <= ALIKE for other in open_.values()):
            factors[number] = factor
        else:
            problems[number] = _problem(records[number], paths[number], headers[number])
    mapped = [_mapped(record, factors[n], headers[n]) if n in factors else record for n, record in enumerate(records)]
    return FrameFit(mapped, factors, problems, beyond, len(headers))


def fit_to_files(
    records: Sequence[CaptionedVideo], paths: Sequence[Path | None], report: ReadReport, *, skip: bool = False
) -> tuple[list[CaptionedVideo], list[Path | None]]:
    """The records with their frames mapped, and their files, see `fit_frames`; what was mapped is logged.

    Args:
        skip: leave out records whose counts do not fit, counted in `report`, in place of an error.
    Raises:
        ValueError: counts that do not fit, with record, file and both counts.
    """
    fit = fit_frames(records, paths)
    if fit.factors:
        LOGGER.warning("%s", describe_factors(records, fit))
    if fit.beyond:
        warn(describe_beyond(fit))
    if not fit.problems:
        return fit.records, list(paths)
    text = f"{len(fit.problems)} of {len(records)} videos have other frames than their captions say: "
    text += some(list(fit.problems.values()))
    if not skip or len(fit.problems) == len(records):
        raise ValueError(f"{text}; on_bad_entry='skip' leaves such entries out")
    warn(f"{text}; they are left out")
    report.skipped["other frames than the file"] += len(fit.problems)
    kept = [number for number in range(len(records)) if number not in fit.problems]
    records = [fit.records[number] for number in kept]
    report.count(records)
    return records, [paths[number] for number in kept]


def describe_factors(records: Sequence[CaptionedVideo], fit: FrameFit) -> str:
    """What was mapped, in words."""
    shown = [f"{records[number].name} by {factor:.4g}" for number, factor in fit.factors.items()]
    what = f"frames of {len(shown)} videos are counted at another rate than their files have, and mapped by time"
    return f"{what}: {some(shown)}"


def describe_beyond(fit: FrameFit) -> str:
    """What counts frames beyond its file, in words."""
    text = f"boxes of {len(fit.beyond)} videos end beyond their files: {some(list(fit.beyond.values()))}"
    return f"{text}; are frames counted at another rate? frames_count and fps in the captions would say"


def last_frame(record: CaptionedVideo) -> int:
    """The last frame that a keyframe or the end of a region names; 0 for none."""
    ends = [region.end or 0 for region in record.regions if region.keyframes]
    return max([*ends, *(keyframe.frame for region in record.regions for keyframe in region.keyframes)], default=0)


def _beyond(record, header):
    """What a record counts beyond its file, or "" for nothing."""
    last, frames = last_frame(record), max(header.frames, default=0)
    if not frames or last <= frames + max(SHARE * frames, FRAMES):
        return ""
    return f"{record.name!r} names frame {last} of {frames}"


def _header(path):
    """The header of a file, or None where it cannot be read, which is named where frames are decoded."""
    try:
        return read_header(path)
    except (VideoError, FileNotFoundError):
        return None


def _factor(record: CaptionedVideo, header: VideoHeader) -> tuple[float | None, bool]:
    """(factor or None for none, is that sure?) of one record."""
    frames = record.frames
    if not frames:
        if not record.fps:
            return None, True
        other = header.fps > 0 and not _near(header.fps, record.fps, 0)
        return (header.fps / record.fps if other else None), True
    if not header.frames or any(_near(count, frames) for count in header.frames):
        return None, True
    count = min(header.frames, key=lambda count: abs(count - frames))
    if not record.fps or not header.fps:
        return count / frames, False
    lasts = frames / record.fps
    fits = [count for count in header.frames if _near(count / header.fps, lasts, FRAMES / min(header.fps, record.fps))]
    return (fits[0] / frames, True) if fits else (None, False)


def _near(one, other, least=None):
    return abs(one - other) <= max(SHARE * other, FRAMES if least is None else least)


def _problem(record, path, header):
    rate = f" at {record.fps:g} per second" if record.fps else ""
    own = f"{header.frames[0]} at {header.fps:g} per second"
    return f"{record.name!r} says {record.frames} frames{rate}, but {path} has {own}, so its boxes are of another cut"


def _mapped(record, factor, header):
    """A record whose regions count the frames of its file."""
    last = max(header.frames, default=0) - 1

    def at(frame):
        return frame if frame is None else min(round(frame * factor), last) if last >= 0 else round(frame * factor)

    regions = [
        replace(
            region,
            start=at(region.start),
            end=at(region.end),
            keyframes=tuple(replace(keyframe, frame=at(keyframe.frame)) for keyframe in region.keyframes),
        )
        for region in record.regions
    ]
    return replace(record, regions=tuple(regions))
