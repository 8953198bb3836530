"""Find the actions of any videos with a trained network: tables, a picture and a page to watch for each.

Three parts, each called once by `run`: what is read first, so that mistakes show before the work; one video after the
other; and, of each, what is written.
"""

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ..apis import detect_all, init_detector
from ..apis.detection import VideoDetections
from ..config import parse_overrides
from ..datasets.readers.base import VideoError
from ..errors import some
from ..evaluation.detection.io import parse_results, segments_by_video
from ..evaluation.viz.page import write_page
from ..evaluation.viz.timeline import draw_timeline
from ..ops.names import FUSED_PAIR, VIDEO_SUFFIXES
from ..prepare.playable import playable
from ..utils.files import atomic, list_folder, read_json, write_json
from ..utils.logging import LOGGER, setup_logging
from .common import make_writable

COLUMNS = ("video", "start_sec", "end_sec", "label", "score")


def run(args: Namespace) -> int:
    """Detect; returns 0, or 1 if some video could not be read or shown."""
    videos = find_videos(args.videos)
    truth = truth_of(videos, args.ground_truth) if args.ground_truth else {}
    results = previous_results(args.out)
    make_writable(args.out, "--out")
    setup_logging()
    overrides = parse_overrides(args.cfg_options)
    model = init_detector(args.config, args.checkpoint, args.device, classes=args.classes, options=overrides)
    options = {"direction": args.direction, "batch_size": args.batch_size, "min_score": args.min_score}
    failures: dict[Path, Exception] = {}
    for found in each_found(videos, partial(detect_all, model, **options), failures):
        results[found.video.stem] = found.chief
        write_tables(args.out, results)
        LOGGER.info("%s: %s", found.video, summary(found))
        own = truth.get(found.video.stem)
        note_problems(found.video, show(found, own, args.out, args.min_score, page=not args.no_page), failures)
    return exit_code(failures, videos)


# ----- what is read first


def find_videos(paths: Iterable[Path | str]) -> list[Path]:
    """Files of `paths`, the folders among them replaced by the videos in them; each once, by the order given.

    Raises:
        FileNotFoundError: a path does not exist, or a folder has no video in it.
        ValueError: two videos of one name, whose outputs would be one file.
    """
    files: dict[Path, Path] = {}
    names: dict[str, Path] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"video {path} does not exist")
        found = [p for p in list_folder(path) if is_video(p)] if path.is_dir() else [path]
        if not found:
            raise FileNotFoundError(f"folder {path} has no videos in it ({', '.join(VIDEO_SUFFIXES)})")
        files.update({file.resolve(): file for file in found})
    for file in files.values():
        if other := names.get(file.stem):
            raise ValueError(
                f"{other} and {file} have the same name, so their outputs would be one; rename one of them"
            )
        names[file.stem] = file
    return list(files.values())


def is_video(path: Path) -> bool:
    """Does `path` look like a video that is not hidden?"""
    return path.suffix.lower() in VIDEO_SUFFIXES and path.is_file() and not path.name.startswith(".")


def truth_of(videos: Sequence[Path], path: Path | str) -> dict[str, list]:
    """The true segments of an annotation file, by video; a warning of `videos` (paths) that it does not have."""
    truth = segments_by_video(path)
    missing = [video.stem for video in videos if video.stem not in truth]
    if missing:
        LOGGER.warning(
            "%d of %d videos are not in the ground truth %s, so none is drawn for them: %s; it has %s",
            len(missing), len(videos), path, some(missing), some(list(truth)),
        )  # fmt: skip
    return truth


def previous_results(out: Path) -> dict[str, list]:
    """{video: entries} of the detections.json that is in `out` already; ValueError if it is damaged."""
    path = out / "detections.json"
    if not path.is_file():
        return {}
    try:
        results = read_json(path).get("results")
        parse_results(results)
    except (ValueError, AttributeError) as error:
        raise ValueError(
            f"the previous results {path} cannot be added to; remove them, or choose another --out: {error}"
        ) from error
    return results


# ----- one video after the other


def each_found(videos: Sequence[Path], find: Callable[..., Any], failures: dict[Path, Exception]) -> Iterator[Any]:
    """What is found in each video that can be read; the error of another is logged, and put into `failures`.

    Args:
        find: (path, progress=text of the progress bar) -> what is found.
        failures: {path: error}, which is added to.
    """
    for number, video in enumerate(videos, 1):
        try:
            found = find(video, progress=f"{number}/{len(videos)} {video.name}")
        except (VideoError, OSError) as error:
            failures[video] = error
            LOGGER.error("%s", error)
            continue
        yield found


def note_problems(video: Path, problems: Mapping[str, Exception], failures: dict[Path, Exception]) -> None:
    """Log what could not be written of a video, {what: error}, and put it into `failures`."""
    for what, problem in problems.items():
        failures[video] = problem
        LOGGER.error("%s: no %s: %s", video, what, problem)


def exit_code(failures: Mapping[Path, Exception], videos: Sequence[Path]) -> int:
    """0, or 1 with a line that names the videos that failed."""
    if failures:
        names = ", ".join(str(video) for video in failures)
        LOGGER.error("%d of %d videos failed: %s", len(failures), len(videos), names)
    return 1 if failures else 0


# ----- what is written


def write_tables(out: Path, results: Mapping[str, list]) -> None:
    """Write detections.json and detections.csv of {video: entries}."""
    write_json(out / "detections.json", {"results": results})
    rows = [(name, *e["segment"], e["label"], e["score"]) for name, entries in results.items() for e in entries]
    with atomic(out / "detections.csv") as temporary:
        pd.DataFrame(rows, columns=COLUMNS).to_csv(temporary, index=False)


def summary(found: VideoDetections) -> str:
    """What one line says of the detections of a video."""
    text = f"{len(found.chief)} detections in {found.duration:.1f} s"
    if not found.chief:
        return text
    best = found.chief[0]
    return f"{text}, best: {best['label']} from {best['segment'][0]} to {best['segment'][1]} s ({best['score']:.2f})"


def show(
    found: VideoDetections, truth: list | None, out: Path, min_score: float, *, page: bool = True
) -> dict[str, Exception]:
    """Write the picture and the page of one video to the folder `out`; returns {"picture" or "page": what went wrong}.

    Args:
        found: what was found in it.
        truth: its annotated segments, or None.
        min_score: what scores less is left out.
        page: write one.
    """
    shown = {d: entries for d, entries in found.detections.items() if d not in FUSED_PAIR} or found.detections
    steps: dict[str, Callable[[], None]] = {"picture": lambda: write_picture(found, shown, truth, out, min_score)}
    if page:
        steps["page"] = lambda: write_player(found, shown, truth, out)
    return problems_of(steps)


def problems_of(steps: Mapping[str, Callable[[], None]]) -> dict[str, Exception]:
    """Call every step; returns {name: error} of those that could not read or write."""
    problems: dict[str, Exception] = {}
    for what, write in steps.items():
        try:
            write()
        except (ValueError, OSError) as error:
            problems[what] = error
    return problems


def write_picture(
    found: VideoDetections, shown: dict[str, list], truth: list | None, out: Path, min_score: float
) -> None:
    """Draw the timeline of what is `shown` of one video."""
    name = found.video.stem
    draw_timeline(
        out / f"{name}.png",
        {direction: {name: entries} for direction, entries in shown.items()},
        None if truth is None else {name: truth},
        videos=[name],
        durations={name: found.duration},
        min_score=min_score,
    )


def write_player(found: VideoDetections, shown: dict[str, list], truth: list | None, out: Path) -> None:
    """Write the page of what is `shown` of one video."""
    video = playable(found.video, folder=out)
    page = out / f"{found.video.stem}.html"
    write_page(page, video, shown, truth=truth, duration=found.duration, name=found.video.name)
