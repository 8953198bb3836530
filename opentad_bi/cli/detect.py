"""Find the actions of any videos with a trained network: tables, a picture and a page to watch for each."""

from pathlib import Path

import pandas as pd

from ..apis import detect_all, init_detector
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


def run(args):
    """Detect; returns 0, or 1 if some video could not be read or shown."""
    videos = find_videos(args.videos)
    truth = truth_of(videos, args.ground_truth) if args.ground_truth else {}
    results = former_results(args.out)
    make_writable(args.out, "--out")
    setup_logging()
    options = parse_overrides(args.cfg_options)
    model = init_detector(args.config, args.checkpoint, args.device, classes=args.classes, options=options)

    def found_in(video, progress):
        options = {"direction": args.direction, "batch_size": args.batch_size, "min_score": args.min_score}
        return detect_all(model, video, progress=progress, **options)

    def told(video, found):
        results[video.stem] = found.chief
        write_tables(args.out, results)
        LOGGER.info("%s: %s", video, summary(found))
        return show(found, truth.get(video.stem), args)

    return one_by_one(videos, found_in, told)


def one_by_one(videos, found_in, told):
    """Look into one video after the other; those that fail are logged and the others go on.

    Args:
        videos: list of paths.
        found_in: (path, text of the progress bar) -> what is found.
        told: (path, what is found) -> {what could not be shown: the error}.
    Returns:
        exit code: 1 if some video could not be read or shown.
    """
    failures = {}
    for number, video in enumerate(videos, 1):
        try:
            found = found_in(video, f"{number}/{len(videos)} {video.name}")
        except (VideoError, OSError) as error:
            failures[video] = error
            LOGGER.error("%s", error)
            continue
        for what, problem in told(video, found).items():
            failures[video] = problem
            LOGGER.error("%s: no %s: %s", video, what, problem)
    if failures:
        names = ", ".join(str(video) for video in failures)
        LOGGER.error("%d of %d videos failed: %s", len(failures), len(videos), names)
    return 1 if failures else 0


def find_videos(paths):
    """Files of `paths`, the folders among them replaced by the videos in them; each once, by the order given.

    Raises:
        FileNotFoundError: a path does not exist, or a folder has no video in it.
        ValueError: two videos of one name, whose outputs would be one file.
    """
    files, names = {}, {}
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


def truth_of(videos, path):
    """The true segments of an annotation file, by video; a warning of `videos` (paths) that it does not have."""
    truth = segments_by_video(path)
    missing = [video.stem for video in videos if video.stem not in truth]
    if missing:
        LOGGER.warning(
            "%d of %d videos are not in the ground truth %s, so none is drawn for them: %s; it has %s",
            len(missing), len(videos), path, some(missing), some(list(truth)),
        )  # fmt: skip
    return truth


def is_video(path):
    """Does `path` look like a video that is not hidden?"""
    return path.suffix.lower() in VIDEO_SUFFIXES and path.is_file() and not path.name.startswith(".")


def summary(found):
    """What one line says of the detections of a video."""
    text = f"{len(found.chief)} detections in {found.duration:.1f} s"
    if not found.chief:
        return text
    best = found.chief[0]
    return f"{text}, best: {best['label']} from {best['segment'][0]} to {best['segment'][1]} s ({best['score']:.2f})"


def show(found, truth, args):
    """Write the picture and the page of one video; returns what went wrong: {"picture" or "page": error}."""
    shown = {d: entries for d, entries in found.detections.items() if d not in FUSED_PAIR} or found.detections
    problems = {}
    for what, write in {"picture": write_picture, **({} if args.no_page else {"page": write_player})}.items():
        try:
            write(found, shown, truth, args)
        except (ValueError, OSError) as error:
            problems[what] = error
    return problems


def write_picture(found, shown, truth, args):
    """Write the timeline of what is `shown` of one video."""
    name = found.video.stem
    draw_timeline(
        args.out / f"{name}.png",
        {direction: {name: entries} for direction, entries in shown.items()},
        None if truth is None else {name: truth},
        videos=[name],
        durations={name: found.duration},
        min_score=args.min_score,
    )


def write_player(found, shown, truth, args):
    """Write the page of what is `shown` of one video."""
    video = playable(found.video, folder=args.out)
    page = args.out / f"{found.video.stem}.html"
    write_page(page, video, shown, truth=truth, duration=found.duration, name=found.video.name)


def former_results(out):
    """{video: entries} of the detections.json that is in `out` already; ValueError if it is damaged."""
    path = out / "detections.json"
    if not path.is_file():
        return {}
    try:
        results = read_json(path).get("results")
        parse_results(results)
    except (ValueError, AttributeError) as error:
        raise ValueError(
            f"the former results {path} cannot be added to; remove them, or choose another --out: {error}"
        ) from error
    return results


def write_tables(out, results):
    """Write detections.json and detections.csv of {video: entries}."""
    write_json(out / "detections.json", {"results": results})
    rows = [(name, *e["segment"], e["label"], e["score"]) for name, entries in results.items() for e in entries]
    with atomic(out / "detections.csv") as temporary:
        pd.DataFrame(rows, columns=COLUMNS).to_csv(temporary, index=False)
