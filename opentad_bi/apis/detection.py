"""Temporal action detection on any video: what happens when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from ..contracts import Detector as DetectorContract
from ..contracts import Model
from ..datasets.detection.stream import VideoWindows, split_pipeline
from ..engine.warm_start import check_same_classes
from ..evaluation.detection.map import DetectionMAP
from ..evaluation.detection.post_processing import SEGMENT_DECIMALS
from ..ops.names import chief
from ..registry import METRICS, MODELS, nearest
from ..utils.files import NameList, read_names
from .common import LoadedModel, choose_device, load, loading, read_config, ready, windows_config


@dataclass(frozen=True)
class Detector(LoadedModel):
    """What `detect` needs of a network: a `LoadedModel` whose data are windows, and `classes`, names by label."""

    classes: list[str]


def init_detector(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    *,
    classes: NameList = None,
    options: dict[str, Any] | None = None,
    for_checkpoint: str | Path | None = None,
    back_checkpoint: str | Path | None = None,
) -> Detector:
    """A detector that `detect` takes.

    A network that was trained on reversed video is to be shown reversed video (`opentad-bi reverse-videos`); a pair
    reverses what it sees by itself.

    Args:
        config: path of a config, or a loaded one. Of the data that it names nothing need be there.
        checkpoint: weights of the whole model, "PATH" (averaged ones preferred) or "PATH:KEY"; strict.
        device: such as "cpu" or "cuda:1"; default CUDA where there is one.
        classes: names by label, or a file of them (text with one per line, or a JSON list). Default those in the
            checkpoint, else those of `evaluation.class_map` in the config.
        options: {"a.b": value}, overrides of existing keys of the config as --cfg-options takes them.
        for_checkpoint, back_checkpoint: weights of the two networks of a pair, instead of `checkpoint`.
    Raises:
        FileNotFoundError, KeyError, ValueError: what is wrong with the config, the weights or the names.
    """
    cfg = read_config(config, options)
    where = cfg.filename or "the config"
    refuse_features(cfg, where)
    chosen = choose_device(device)
    model = MODELS.build(cfg.model)
    branches = {"for_model": for_checkpoint, "back_model": back_checkpoint}
    files = load(model, cfg, checkpoint, {name: spec for name, spec in branches.items() if spec is not None})
    names = find_classes(classes, files, cfg.get("evaluation", {}).get("class_map"))
    check_classes(names, model)
    return Detector(*ready(model, cfg, chosen), names)


def refuse_features(cfg: Config, where: str | Path) -> None:
    """ValueError if the network does not look at frames through sliding windows."""
    windows = windows_config(cfg)
    if "pipeline" not in windows:
        raise ValueError(
            f"{where}: its dataset.test is a {windows.get('type')}, which has no sliding windows; a network that "
            "scores frames is run by opentad-bi detect-anomaly"
        )
    try:
        split_pipeline(windows["pipeline"])
    except ValueError as error:
        raise ValueError(
            f"{where}: {error}. Take the config and checkpoint of a network that is run on frames (its model has a "
            "backbone); on features, use opentad-bi extract-features and opentad-bi test"
        ) from error


def find_classes(classes: NameList, files: Mapping[str, list[str] | None], class_map: NameList) -> list[str]:
    """Names by label: those given, else those that one of the checkpoint `files` has, else `class_map`.

    Given names may be new, but a name of the checkpoint under another label is a ValueError.
    """
    source, trained = next(((file, names) for file, names in files.items() if names), (None, None))
    if classes is not None:
        given = read_names(classes, "list of classes")
        if trained and any(name in trained and trained[i : i + 1] != [name] for i, name in enumerate(given)):
            check_same_classes({str(source): trained, "classes": given})
        return given
    if trained:
        return trained
    if class_map and (not isinstance(class_map, (str, Path)) or Path(class_map).is_file()):
        return read_names(class_map, "class map")
    raise ValueError(
        "the names of the classes are not known: the checkpoint does not hold them, and evaluation.class_map "
        f"{class_map!r} of the config does not exist; give classes: a list of names, or a file with one per line"
    )


def check_classes(names: Sequence[str], model: Model) -> None:
    """ValueError unless there is one name for each class of the heads of `model`."""
    for branch, module in model.branches().items():
        grid = DetectorContract.of(module).grid()  # None of a network that is no detector
        if grid is not None and grid.num_classes != len(names):
            raise ValueError(
                f"there are {len(names)} names of classes, beginning with {', '.join(names[:3])}, but {branch} has "
                f"{grid.num_classes} classes; give classes"
            )


@dataclass(frozen=True)
class VideoDetections:
    """What was found in one video.

    Args:
        video: its path.
        detections: {direction: [{"segment": [start_sec, end_sec], "label", "score"}, ...] by falling score}.
        duration: seconds.
        fps: frames per second, on average.
    """

    video: Path
    detections: dict[str, list]
    duration: float
    fps: float

    @property
    def chief(self) -> list[dict]:
        """Detections of the direction that stands for the whole (`ops.names.chief`)."""
        return self.detections[chief(self.detections)]


def detect(
    model: Detector,
    video: str | Path,
    *,
    direction: str | None = None,
    batch_size: int | None = None,
    min_score: float = 0.0,
    progress: bool | str = False,
) -> list[dict]:
    """Find the actions of a video: [{"segment": [start_sec, end_sec], "label", "score"}, ...] by falling score.

    The numbers are those of `opentad-bi test` for the same video; but where frames come at a variable rate, seconds are
    those of a player (`VideoWindows.player_sec` of `datasets.detection.stream`). The video is decoded once, a few
    frames at a time, in a thread beside the network, and its length does not matter for the memory. The steps of the
    test pipeline after decoding must treat frames one by one (`datasets.detection.stream`).

    Args:
        model: what `init_detector` gives.
        video: path of the file.
        direction: whose results: "model" of a single network; of a pair "for", "back", "merged", and with a fusion
            "fused". Default the one that stands for the whole: fused, else merged, else that of the single network.
        batch_size: windows that go through the network at once; default `solver.test.batch_size` of the config.
        min_score: what scores less is left out.
        progress: show a bar; a text stands in front of it.
    Raises:
        FileNotFoundError, VideoError: the video is missing or cannot be read.
        ValueError: a direction that the model does not offer.
    """
    return detect_all(
        model, video, direction=direction, batch_size=batch_size, min_score=min_score, progress=progress
    ).chief


def detect_all(
    model: Detector,
    video: str | Path,
    *,
    direction: str | None = None,
    batch_size: int | None = None,
    min_score: float = 0.0,
    progress: bool | str = False,
) -> VideoDetections:
    """`VideoDetections` of all directions that the model offers, or of `direction` alone; arguments as of `detect`."""
    size = model.cfg.solver.test.batch_size if batch_size is None else batch_size
    if size < 1:
        raise ValueError(f"batch_size {size} must be at least 1")
    metric, first = build_metric(model), True
    windows = VideoWindows(model.data, video, model.classes)
    with windows, loading(windows, size, len(windows), "window", progress) as (loaded, bar):
        for batch in loaded:
            results = model.predict(batch)
            del batch  # two at a time are enough: the next one waits already
            if first and direction is not None:
                check_direction(model, results, direction)
            first = False
            metric.update(results)
            bar.update(len(results))
    name = windows.path.stem
    found = {d: strong(videos[name], min_score) for d, videos in metric.results().items() if direction in (None, d)}
    if windows.uneven:
        found = {d: at_player_times(entries, windows) for d, entries in found.items()}
    return VideoDetections(windows.path, found, float(windows.player_sec(windows.duration_sec)), windows.fps)


def build_metric(model: Detector) -> DetectionMAP:
    """A fresh metric that post-processes as that of the config does, without ground truth."""
    evaluation = model.cfg.to_dict()["evaluation"]
    return METRICS.build({**evaluation, "class_map": list(model.classes)}, scored=False)


def check_direction(model: Detector, results: list, direction: str) -> None:
    """ValueError unless post-processing gives `direction`; the results of a few windows say."""
    metric = build_metric(model)
    metric.update(results)
    offered = metric.results()
    if direction not in offered:
        raise ValueError(f"direction {direction!r}: this model gives none; {nearest(direction, offered, every=True)}")


def at_player_times(entries: list[dict], windows: VideoWindows) -> list[dict]:
    """`entries` with the seconds at which a player shows what lies at their seconds at the average rate."""
    segments = np.asarray([entry["segment"] for entry in entries], np.float64).reshape(-1, 2)
    shown = np.round(windows.player_sec(segments), SEGMENT_DECIMALS).tolist()
    return [entry | {"segment": segment} for entry, segment in zip(entries, shown, strict=True)]


def strong(entries: list[dict], min_score: float) -> list[dict]:
    """Entries that score `min_score` or more, by falling score."""
    return sorted((e for e in entries if e["score"] >= min_score), key=lambda e: -e["score"])
