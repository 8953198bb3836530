"""Score the frames of any videos for anomalies: tables, a curve, heat-maps and a page to watch for each."""

from pathlib import Path

from ..apis import detect_anomaly, heat_frames, init_anomaly_detector, localize
from ..config import parse_overrides
from ..datasets.video_anomaly.captions import read_captions
from ..datasets.video_anomaly.frame_counts import fit_to_files
from ..errors import some
from ..evaluation.anomaly.localization import over_videos
from ..evaluation.viz.curves import draw_score_curve
from ..evaluation.viz.overlay import draw_heat_frame
from ..evaluation.viz.page import write_page
from ..ops.names import bare_name, label_of
from ..prepare.playable import playable
from ..registry import nearest
from ..utils.files import write_json
from ..utils.logging import LOGGER, setup_logging
from .common import make_writable
from .detect import find_videos, former_results, one_by_one, write_tables

CURVE = "anomaly score"


def run(args):
    """Detect; returns 0, or 1 if some video could not be read or shown."""
    videos = find_videos(args.videos)
    check_numbers(args)
    results, measured = former_results(args.out), {}
    make_writable(args.out, "--out")
    setup_logging()
    options = parse_overrides(args.cfg_options)
    model = init_anomaly_detector(args.config, args.checkpoint, args.device, options=options)
    check_heat_class(args, model)
    boxes = read_boxes(args.boxes, model, videos)
    check_boxes(args.boxes, boxes, videos)

    def found_in(video, progress):
        options = {"stride": args.stride, "threshold": args.threshold, "sigma": args.smooth}
        return detect_anomaly(model, video, batch_size=args.batch_size, progress=progress, **options)

    def told(video, found):
        results[video.stem] = [{key: e[key] for key in ("segment", "label", "score")} for e in found.intervals]
        write_tables(args.out, results)
        LOGGER.info("%s: %s", video, summary(found))
        return show(model, found, args, boxes.get(video.stem), measured)

    return one_by_one(videos, found_in, told)


def check_numbers(args):
    """ValueError, naming the option, for a number that makes no sense."""
    lowest = {"stride": 1, "batch_size": 1, "heat_maps": 0, "smooth": 0, "threshold": 0}
    for name, least in lowest.items():
        value = getattr(args, name)
        if value is not None and not least <= value < float("inf"):
            raise ValueError(f"--{name} {value} must be a number of at least {least}")
    if args.threshold > 1:
        raise ValueError(f"--threshold {args.threshold} must be a number from 0 to 1, as scores are")


def check_heat_class(args, model):
    """KeyError for a class of heat-maps that the model does not have, ValueError for a model without heat-maps."""
    if (args.heat_maps or args.boxes) and not hasattr(model.model, "heat_map"):
        raise ValueError(f"--heat-maps, --boxes: the model {model.cfg.model.type} has no heat-maps")
    classes = model.model.classes
    if args.heat_class is not None and label_of(args.heat_class, classes) is None:
        raise KeyError(
            f"--heat-class {args.heat_class!r}: no such class; {nearest(args.heat_class, classes, every=True)}"
        )


def read_boxes(path, model, videos=()):
    """{video: arguments of `localize`} of the caption file `path`, read as the config reads those of the training.

    The class is that of the video where the model has it. Frames of those of `videos` (paths) that the file counts at
    another rate are mapped by time; other frames than a video has are a ValueError.
    """
    if path is None:
        return {}
    train = model.cfg.dataset.get("train", {})
    options = {key: train[key] for key in ("frame_base", "on_bad_box") if key in train}
    mode = {key: train[key] for key in ("enabled_mode", "open_end") if key in train}
    found = {}
    records, report = read_captions(path, **options)
    files = {video.stem: video for video in videos}
    records, _ = fit_to_files(records, [files.get(bare_name(record.path)) for record in records], report)
    for record in records:
        label = label_of(record.category or "", model.model.classes)
        name = None if label is None else model.model.classes[label]
        own = found.setdefault(bare_name(record.path), {"regions": [], "name": name, **mode})
        own["regions"] += record.regions
    return found


def check_boxes(path, boxes, videos):
    """ValueError if a caption file knows none of the videos; a warning for those it does not know."""
    unknown = [video.stem for video in videos if path is not None and video.stem not in boxes]
    if unknown and len(unknown) == len(videos):
        raise ValueError(f"--boxes {path} has none of the videos ({some(unknown)}), but {some(list(boxes))}")
    if unknown:
        LOGGER.warning("--boxes %s: heat-maps of %s are not measured, as it does not have them", path, some(unknown))


def summary(found):
    """What one line says of a video."""
    peak, seconds = int(found.scores.argmax()), found.edges_sec
    text = f"{len(found.scores)} frames of {found.duration:.1f} s looked at, {len(found.intervals)} intervals"
    return f"{text}, highest score {found.scores[peak]:.2f} at {seconds[peak]:.1f} s, most like {found.label}"


def show(model, found, args, boxes=None, measured=None):
    """Write scores, picture, heat-maps and page of one video; returns what went wrong: {what: error}.

    Args:
        boxes: arguments of `localize`; its numbers are added to `measured`, {video: numbers}.
    """
    problems, heats = {}, []

    def scores():
        write_json(args.out / f"{found.video.stem}.scores.json", as_json(found, heats))

    steps = {"heat-maps": lambda: heats.extend(write_heats(model, found, args)), "scores": scores}
    steps["picture"] = lambda: write_curve(found, args)
    if boxes is not None:
        steps["localisation"] = lambda: measure(model, found, args, boxes, measured)
    if not args.no_page:
        steps["page"] = lambda: write_player(found, heats, args)
    for what, write in steps.items():
        try:
            write()
        except (ValueError, OSError) as error:
            problems[what] = error
    return problems


def as_json(found, heats):
    """What is known of a video, as plain values."""
    return {
        "video": found.video.name,
        "fps": found.fps,
        "duration_sec": found.duration,
        "stride": found.stride,
        "class": found.label,
        "class_probabilities": found.class_probabilities,
        "threshold": found.threshold,
        "intervals": found.intervals,
        "classes": found.classes,
        "rows": {
            "start_sec": found.edges_sec[:-1].tolist(),
            "score": found.scores.tolist(),
            "probabilities": found.probabilities.tolist(),
        },
        "heat_maps": heats,
    }


def measure(model, found, args, boxes, measured):
    """Add the numbers of one video to `measured` and write all of them."""
    boxes = {**boxes, "name": args.heat_class or boxes["name"]}
    measured[found.video.stem] = localize(model, found, **boxes)
    LOGGER.info("%s: heat-maps and boxes: %s", found.video, measured[found.video.stem])
    write_json(args.out / "localisation.json", {"all": over_videos(list(measured.values())), "videos": measured})


def write_heats(model, found, args):
    """Draw the heat-maps of one video and tell of each."""
    if not args.heat_maps:
        return
    name, folder = args.heat_class or found.label, Path("heat_maps") / found.video.stem
    for heat in heat_frames(model, found, args.heat_maps, name):
        file = folder / f"frame_{heat.frame:06d}.png"
        text = f"{name} at {heat.sec:.1f} s, score {heat.score:.2f}"
        draw_heat_frame(args.out / file, heat.image, heat.heat, box=heat.box, title=f"{found.video.stem}: {text}")
        box = None if heat.box is None else heat.box.tolist()
        place = {"file": file.as_posix(), "frame": heat.frame, "sec": heat.sec, "score": heat.score}
        yield {**place, "class": name, "box": box, "text": text}


def write_curve(found, args):
    """Draw the score of one video along time."""
    draw_score_curve(
        args.out / f"{found.video.stem}.png",
        found.scores,
        found.edges_sec,
        found=[entry["segment"] for entry in found.intervals],
        threshold=found.threshold,
        title=found.video.stem,
    )


def write_player(found, heats, args):
    """Write the page of one video."""
    write_page(
        args.out / f"{found.video.stem}.html",
        playable(found.video, folder=args.out),
        found.intervals,
        duration=found.duration,
        name=found.video.name,
        threshold=found.threshold,
        curve=(CURVE, found.edges_sec, found.scores),
        pictures=[(heat["sec"], heat["text"], (args.out / heat["file"]).read_bytes()) for heat in heats],
    )
