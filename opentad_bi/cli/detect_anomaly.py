"""Score the frames of any videos for anomalies: tables, a curve, heat-maps and a page to watch for each."""

from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..apis import detect_anomaly, heat_frames, init_anomaly_detector, localize
from ..apis.anomaly import AnomalyDetector, VideoAnomalies
from ..config import parse_overrides
from ..contracts import HeatMaps
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
from .detect import each_found, exit_code, find_videos, note_problems, previous_results, problems_of, write_tables

CURVE = "anomaly score"


def run(args: Namespace) -> int:
    """Detect; returns 0, or 1 if some video could not be read or shown."""
    videos = find_videos(args.videos)
    check_numbers(args)
    results = previous_results(args.out)
    make_writable(args.out, "--out")
    setup_logging()
    overrides = parse_overrides(args.cfg_options)
    model = init_anomaly_detector(args.config, args.checkpoint, args.device, options=overrides)
    if args.heat_maps or args.boxes or args.heat_class:
        check_heat_maps(model, args.heat_class)
    boxes = read_boxes(args.boxes, model, videos)
    check_boxes(args.boxes, boxes, videos)
    options = {"stride": args.stride, "threshold": args.threshold, "sigma": args.smooth, "batch_size": args.batch_size}
    writer = Writer(model, args.out, args.heat_maps, args.heat_class, boxes, page=not args.no_page)
    failures: dict[Path, Exception] = {}
    for found in each_found(videos, partial(detect_anomaly, model, **options), failures):
        shared = ("segment", "label", "score")
        results[found.video.stem] = [{key: entry[key] for key in shared} for entry in found.intervals]
        write_tables(args.out, results)
        LOGGER.info("%s: %s", found.video, summary(found))
        note_problems(found.video, writer.write(found), failures)
    return exit_code(failures, videos)


# ----- what is read first


def check_numbers(args: Namespace) -> None:
    """ValueError, naming the option, for a number that makes no sense."""
    lowest = {"stride": 1, "batch_size": 1, "heat_maps": 0, "smooth": 0, "threshold": 0}
    for name, least in lowest.items():
        value = vars(args)[name]
        if value is not None and not least <= value < float("inf"):
            option = name.replace("_", "-")
            raise ValueError(f"--{option} {value} must be a number of at least {least}")
    if args.threshold > 1:
        raise ValueError(f"--threshold {args.threshold} must be a number from 0 to 1, as scores are")


def check_heat_maps(model: AnomalyDetector, name: str | None) -> None:
    """ValueError for a model without heat-maps, KeyError for a class `name` of them that it does not have."""
    classes: list[str] = model.model.classes
    if not isinstance(model.model, HeatMaps):
        raise ValueError(f"--heat-maps, --boxes: the model {model.cfg.model.type} has no heat-maps")
    if name is not None and label_of(name, classes) is None:
        raise KeyError(f"--heat-class {name!r}: no such class; {nearest(name, classes, every=True)}")


def read_boxes(path: str | None, model: AnomalyDetector, videos: Sequence[Path] = ()) -> dict[str, dict]:
    """{video: arguments of `localize`} of the caption file `path`, read as the config reads those of the training.

    The class is that of the video where the model has it. Frames of those of `videos` (paths) that the file counts at
    another rate are mapped by time; other frames than a video has are a ValueError.
    """
    if path is None:
        return {}
    train = model.cfg.dataset.get("train", {})
    options = {key: train[key] for key in ("frame_base", "on_bad_box") if key in train}
    mode = {key: train[key] for key in ("enabled_mode", "open_end") if key in train}
    found: dict[str, dict] = {}
    records, report = read_captions(path, **options)
    files = {video.stem: video for video in videos}
    paths: list = [files.get(bare_name(record.path)) for record in records]  # None: not among them
    for record in fit_to_files(records, paths, report)[0]:
        label = label_of(record.category or "", model.model.classes)
        name = None if label is None else model.model.classes[label]
        own = found.setdefault(bare_name(record.path), {"regions": [], "name": name, **mode})
        own["regions"] += record.regions
    return found


def check_boxes(path: str | None, boxes: dict[str, dict], videos: Sequence[Path]) -> None:
    """ValueError if a caption file knows none of the videos; a warning for those it does not know."""
    unknown = [video.stem for video in videos if path is not None and video.stem not in boxes]
    if unknown and len(unknown) == len(videos):
        raise ValueError(f"--boxes {path} has none of the videos ({some(unknown)}), but {some(list(boxes))}")
    if unknown:
        LOGGER.warning("--boxes %s: heat-maps of %s are not measured, as it does not have them", path, some(unknown))


# ----- what is written


def summary(found: VideoAnomalies) -> str:
    """What one line says of a video."""
    peak, seconds = int(found.scores.argmax()), found.edges_sec
    text = f"{len(found.scores)} frames of {found.duration:.1f} s looked at, {len(found.intervals)} intervals"
    return f"{text}, highest score {found.scores[peak]:.2f} at {seconds[peak]:.1f} s, most like {found.label}"


def as_json(found: VideoAnomalies, heats: list[dict]) -> dict[str, Any]:
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


class Writer:
    """Writes what there is of one video after the other into a folder.

    Args:
        model: for the heat-maps.
        out: the folder.
        count: heat-maps of a video.
        name: class of the heat-maps; None: the most probable anomaly of a video.
        boxes: {video: arguments of `localize`}.
        page: write one for each video.
    """

    def __init__(
        self,
        model: AnomalyDetector,
        out: Path,
        count: int,
        name: str | None,
        boxes: dict[str, dict],
        *,
        page: bool = True,
    ) -> None:
        self.model, self.out, self.count, self.name, self.boxes, self.page = model, out, count, name, boxes, page
        self.measured: dict[str, dict] = {}  # of all videos so far

    def write(self, found: VideoAnomalies) -> dict[str, Exception]:
        """Write heat-maps, scores, picture, measurement and page of a video; returns {what: what went wrong}."""
        heats: list[dict] = []
        scores = self.out / f"{found.video.stem}.scores.json"
        steps: dict[str, Callable[[], None]] = {
            "heat-maps": lambda: heats.extend(self.draw_heats(found)),
            "scores": lambda: write_json(scores, as_json(found, heats)),
            "picture": lambda: draw_curve(self.out, found),
        }
        if found.video.stem in self.boxes:
            steps["localisation"] = lambda: self.measure(found)
        if self.page:
            steps["page"] = lambda: write_player(self.out, found, heats)
        return problems_of(steps)

    def draw_heats(self, found: VideoAnomalies) -> Iterator[dict[str, Any]]:
        """Draw the heat-maps of a video and say of each what it shows."""
        if not self.count:
            return
        name, folder = self.name or found.label, Path("heat_maps") / found.video.stem
        for heat in heat_frames(self.model, found, self.count, name):
            file = folder / f"frame_{heat.frame:06d}.png"
            text = f"{name} at {heat.sec:.1f} s, score {heat.score:.2f}"
            draw_heat_frame(self.out / file, heat.image, heat.heat, box=heat.box, title=f"{found.video.stem}: {text}")
            box = None if heat.box is None else heat.box.tolist()
            place = {"file": file.as_posix(), "frame": heat.frame, "sec": heat.sec, "score": heat.score}
            yield {**place, "class": name, "box": box, "text": text}

    def measure(self, found: VideoAnomalies) -> None:
        """Compare the heat-maps of a video with its boxes, and write the numbers of all videos so far."""
        boxes = self.boxes[found.video.stem]
        own = localize(self.model, found, **{**boxes, "name": self.name or boxes["name"]})
        self.measured[found.video.stem] = own
        LOGGER.info("%s: heat-maps and boxes: %s", found.video, own)
        total = over_videos(list(self.measured.values()))
        write_json(self.out / "localisation.json", {"all": total, "videos": self.measured})


def draw_curve(out: Path, found: VideoAnomalies) -> None:
    """Draw the score of one video along time."""
    draw_score_curve(
        out / f"{found.video.stem}.png",
        found.scores,
        found.edges_sec,
        found=[entry["segment"] for entry in found.intervals],
        threshold=found.threshold,
        title=found.video.stem,
    )


def write_player(out: Path, found: VideoAnomalies, heats: Sequence[dict]) -> None:
    """Write the page of one video."""
    write_page(
        out / f"{found.video.stem}.html",
        playable(found.video, folder=out),
        found.intervals,
        duration=found.duration,
        name=found.video.name,
        threshold=found.threshold,
        curve=(CURVE, found.edges_sec.tolist(), found.scores.tolist()),
        pictures=[(heat["sec"], heat["text"], (out / heat["file"]).read_bytes()) for heat in heats],
    )
