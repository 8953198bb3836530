"""Reverse every video of a folder with several processes, and verify the results.

A run that was stopped resumes where it was: results that are what would be made stay. Verification compares a reversed
video with its source frame by frame, without the index that made it.
"""

import logging
import multiprocessing
import os
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...ops.names import VIDEO_SUFFIXES
from ...utils.files import list_folder, walk_files
from ...utils.provenance import file_change
from ..frames import count_frames, frame_rate, index_frames, open_video
from ..h264 import CONTAINERS
from .video import made_of, reverse_video

log = logging.getLogger(__name__)

STALE_SEC = 60
UNRECORDED = "does not say what it was made of, as an older version made it; only its frames are counted"
LEAST_PSNR_DB = 24.0  # crf 18 gives 35 to 50 dB; two different frames of one video are mostly below 20


@dataclass(frozen=True)
class Job:
    """One video to reverse: source, destination, keyword arguments of `reverse_video`, whether to verify it."""

    src: Path
    dst: Path
    options: dict
    verify: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a job: `status` is reversed, finished (found to be what would be made) or failed.

    `note` says why it failed, or why a result that was there is made again or could not be compared.
    """

    src: Path
    status: str
    frames: int = 0
    seconds_spent: float = 0.0
    note: str = ""


def plan(
    src: Path | str,
    dst: Path | str,
    *,
    extensions: Sequence[str] = VIDEO_SUFFIXES,
    options: dict | None = None,
    verify: bool = False,
) -> list[Job]:
    """The jobs that reverse the folder `src` into `dst`, keeping relative names.

    A suffix that cannot hold the result (.avi, .webm, ...) becomes .mp4.

    Args:
        extensions: suffixes of the files to reverse.
        options, verify: of every job.
    Raises:
        FileNotFoundError: a missing or empty folder.
        ValueError: `dst` is `src` or inside it, or two videos would get one name.
    """
    src, dst = Path(src), Path(dst)
    if not src.is_dir():
        raise FileNotFoundError(f"folder {src} does not exist")
    if src.resolve() == dst.resolve() or src.resolve() in dst.resolve().parents:
        raise ValueError(f"the reversed videos cannot go into the folder they come from: {dst} is in {src}")
    suffixes = {"." + e.lower().lstrip(".") for e in extensions}
    files = walk_files(src, suffixes)
    if not files:
        raise FileNotFoundError(f"no video ({', '.join(sorted(suffixes))}) is in {src}")
    jobs = []
    taken: dict[Path, Path] = {}
    for file in files:
        target = dst / file.relative_to(src)
        if target.suffix.lower() not in CONTAINERS:
            target = target.with_suffix(".mp4")
        if target in taken:
            raise ValueError(f"{file} and {taken[target]} would both be reversed to {target}")
        taken[target] = file
        jobs.append(Job(file, target, options or {}, verify))
    return jobs


def reverse_folder(jobs: Sequence[Job], *, workers: int | None = None) -> Iterator[Outcome]:
    """Run `jobs` in `workers` processes (default: one per core); yield an Outcome as each one ends.

    One video's failure does not stop the others.
    """
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    for folder in {job.dst.parent for job in jobs}:
        _sweep(folder)
    if workers == 1:
        yield from map(run_job, jobs)
        return
    # Fresh processes: decoder threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting = {pool.submit(run_job, job): job for job in jobs}
        try:
            for future in as_completed(waiting):
                try:
                    yield future.result()
                except BrokenProcessPool:
                    note = "a worker process was killed (out of memory?); run again to resume"
                    yield Outcome(waiting[future].src, "failed", note=note)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def run_job(job: Job) -> Outcome:
    """Run one job; every error becomes a failed Outcome."""
    begin = time.perf_counter()
    try:
        status, frames, note = _reverse_or_skip(job)
        if job.verify:
            problems = verify_reversed(job.src, job.dst, lossless=job.options.get("lossless", False))
            if problems:
                raise ValueError(f"{job.dst} is not {job.src} reversed: {'; '.join(problems)}")
    except Exception as error:
        return Outcome(job.src, "failed", seconds_spent=time.perf_counter() - begin, note=str(error) or repr(error))
    return Outcome(job.src, status, frames, time.perf_counter() - begin, note)


def _reverse_or_skip(job):
    """(status, frames, note); a result that is there stays if it is what would be made."""
    note = ""
    if job.dst.exists() and not job.options.get("overwrite", False):
        kept = made_of(job.dst)
        note = UNRECORDED if kept is None else _changes(job, kept)
        if kept is None or not note:
            return "finished", _check_finished(job), note
    options = job.options | ({"overwrite": True} if note else {})
    return "reversed", reverse_video(job.src, job.dst, **options).frames, note


def _changes(job, kept):
    """How a result differs from what would be made now, in words, or ""; `kept` is what it was made of."""
    changes = [f"its source {change}"] if (change := file_change(kept["source"], job.src)) else []
    for name, value in kept["settings"].items():
        asked = job.options.get(name, value)
        if asked != value and not (name == "crf" and job.options.get("lossless")):
            changes.append(f"{name} was {value} and is {asked}")
    return f"{job.dst} is made again: {', '.join(changes)}" if changes else ""


def _check_finished(job):
    """Return the frame count of an existing result; ValueError if it is not the source's."""
    done = index_frames(job.dst)
    count = count_frames(job.dst) if done is None else len(done)
    own = index_frames(job.src, keep_damaged=job.options.get("keep_damaged", False))
    # Some codecs have packets that show nothing: before a result is called wrong, the frames are really counted.
    if own is None or len(own) != count:
        expected = count_frames(job.src)
        if expected != count:
            raise ValueError(
                f"{job.dst} exists and has {count} frames, its source {expected}; --overwrite makes it again"
            )
    return count


def _sweep(folder):
    """Remove what a killed run left: temporary files whose process is gone and that nobody wrote to lately."""
    if not folder.is_dir():
        return
    for file in list_folder(folder, ".*.tmp.*"):
        match = re.fullmatch(r"\..+\.(\d+)[0-9a-f]{6}\.tmp\.\w+", file.name)  # see `utils.files.atomic`
        if match and not _alive(int(match[1])) and time.time() - file.stat().st_mtime > STALE_SEC:
            log.info("removing %s, left by a run that was killed", file)
            file.unlink(missing_ok=True)


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def verify_reversed(src: Path | str, dst: Path | str, *, lossless: bool = False, samples: int = 16) -> list[str]:
    """How `dst` differs from `src` played backwards, in words; an empty list if it does not.

    Both are decoded from first to last frame. The frame counts must be equal, the frame rates within 0.1 % or a frame,
    the times for which frames are shown within 2 ms, and `samples` frames spread over the video must be the same: bit
    by bit if `lossless`, else with a PSNR of at least LEAST_PSNR_DB.
    """
    count = count_frames(src)
    picks = np.unique(np.linspace(0, count - 1, min(samples, count)).round().astype(int))
    own_times, own_fps, own = _decode(src, set(picks.tolist()))
    times, fps, mirrored = _decode(dst, set((count - 1 - picks).tolist()))
    if len(times) != len(own_times):
        return [f"{len(times)} frames, the source has {len(own_times)}"]
    problems = []
    # Headers may count a frame that an edit list hides, so a difference of one frame is no problem.
    if abs(fps - own_fps) > max(1e-3, 1.5 / len(times)) * own_fps:
        problems.append(f"{fps:.3f} fps, the source has {own_fps:.3f}")
    # Frame n is the reversed frame N-1-n: both gaps are how long it is shown, for all but the two ends.
    drift = np.abs(np.diff(times)[:0:-1] - np.diff(own_times)[1:]).max(initial=0)
    if drift > 2e-3:
        problems.append(f"a frame is shown {drift:.3f} s longer or shorter than in the source")
    errors = [_mean_square(own[n], mirrored[count - 1 - n]) for n in picks.tolist()]
    psnr = float(10 * np.log10(255**2 / max(max(errors), 1e-10)))
    if lossless and max(errors) > 0:
        problems.append(f"frame {picks[int(np.argmax(errors))]} of the source is not bit for bit the same")
    elif psnr < LEAST_PSNR_DB:
        problems.append(f"frame {picks[int(np.argmax(errors))]} of the source is another picture ({psnr:.1f} dB)")
    return problems


def _decode(path, picks):
    """Display times in seconds (N,), mean frames per second, and {number: luma and chroma} of `picks`."""
    container, stream = open_video(path)
    with container:
        times, kept = [], {}
        rate = float(frame_rate(stream))
        for n, frame in enumerate(container.decode(stream)):
            times.append(frame.time if frame.time is not None else n / rate)
            if n in picks:
                kept[n] = frame.to_ndarray(format=_comparable(frame.format.name)).astype(np.float32)
        if container.format.name == "avi":  # it counts frames; what times a decoder makes of that is a guess
            times = np.arange(len(times)) / rate
    return np.array(times), rate, kept


def _comparable(pix_fmt):
    """The frame's own format where numpy knows it, else RGB."""
    return pix_fmt if pix_fmt in {"yuv420p", "yuvj420p", "yuv444p", "yuvj444p", "yuv422p", "gray"} else "rgb24"


def _mean_square(a, b):
    return float(np.square(a - b).mean()) if a.shape == b.shape else float("inf")
