"""Anomaly detection on any video: how anomalous it is, when, and where in its frames.

R rows (frames seen) of a video, C classes, N frames, h x w grid of patches, H x W pixels of a frame
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from mmengine.config import Config

from ..contracts import HeatMaps, Model
from ..datasets.readers.base import open_video
from ..datasets.video_anomaly.records import Region
from ..datasets.video_anomaly.regions import VisibilityTrack
from ..datasets.video_anomaly.stream import VideoRows, read_squares, stream_settings
from ..engine.warm_start import asks_for_classes
from ..evaluation.anomaly.localization import (
    enlarge,
    heat_box,
    highest_rows,
    likeliest,
    localization,
    score_intervals,
    unit_range,
    video_probabilities,
)
from ..evaluation.anomaly.scores import anomaly_scores, smooth
from ..registry import MODELS
from ..utils.validation import check_classes, check_count, check_finite, check_number
from .common import LoadedModel, choose_device, load, loading, read_config, ready, windows_config

AT_ONCE = 64  # frames whose heat-maps are made together


@runtime_checkable
class ScoresFrames(Protocol):
    """A model that scores frames: names of classes by label, the label without anomalies, and `RowScores` of frames."""

    classes: list[str]
    normal: int

    def predict(self, batch: dict) -> list:
        """One `ops.records.RowScores` per run of frames."""


@dataclass(frozen=True)
class AnomalyDetector(LoadedModel):
    """What `detect_anomaly` needs of a model: a `LoadedModel` that `ScoresFrames` and whose data are frames."""


@dataclass(frozen=True)
class VideoAnomalies:
    """What was found in one video.

    Args:
        video: its path.
        classes: names by label.
        normal: label of the class without anomalies.
        scores: (R,) float64, 1 - p(normal), smoothed if asked for.
        probabilities: (R, C) float32.
        edges_sec: (R + 1,) float64; row r lasts from edge r to edge r + 1.
        stride: video frames from one row to the next; row r is frame r * stride.
        fps: frames per second, on average.
        threshold: the least score of an interval.
        intervals: of `evaluation.anomaly.localization.score_intervals`.
    """

    video: Path
    classes: list[str]
    normal: int
    scores: np.ndarray
    probabilities: np.ndarray
    edges_sec: np.ndarray
    stride: int
    fps: float
    threshold: float
    intervals: list[dict]

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.edges_sec[-1])

    @property
    def class_probabilities(self) -> dict[str, float]:
        """{class: mean probability over the sixteenth of the rows that scores highest}."""
        means = video_probabilities(self.scores, self.probabilities)
        return dict(zip(self.classes, map(float, means), strict=True))

    @property
    def label(self) -> str:
        """The anomaly that is the most probable of all, whether there is one or not."""
        return self.classes[likeliest(list(self.class_probabilities.values()), self.normal)]


@dataclass(frozen=True)
class HeatFrame:
    """A frame and where in it a class is.

    Args:
        row: whose frame it is.
        frame: its number in the video.
        sec: start of the row in seconds.
        score: score of the row.
        image: uint8 (H, W, 3) RGB.
        heat: float32 (H, W); 0 and 1 are the lowest and the highest value in all frames shown of the video.
        box: (4,) float64 xyxy in 0..1 around the largest part above half of the maximum, or None.
    """

    row: int
    frame: int
    sec: float
    score: float
    image: np.ndarray
    heat: np.ndarray
    box: np.ndarray | None


def init_anomaly_detector(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    *,
    options: dict[str, Any] | None = None,
) -> AnomalyDetector:
    """A detector that `detect_anomaly` takes.

    Args:
        config: path of a config, or a loaded one, whose `dataset.test` is a FrameStreamDataset. Of the data that it
            names nothing need be there.
        checkpoint: weights of the whole model, "PATH" (averaged ones preferred) or "PATH:KEY"; strict. None: those
            that the config names, for a CLIP model without training its `pretrained`.
        device: such as "cpu" or "cuda:1"; default CUDA where there is one.
        options: {"a.b": value}, overrides of existing keys of the config as --cfg-options takes them; so texts and
            names of classes may be others than those of the training.
    Raises:
        FileNotFoundError, KeyError, ValueError: what is wrong with the config or the weights.
    """
    cfg = read_config(config, options)
    frames = windows_config(cfg)
    size = stream_settings(frames)["size"]
    chosen = choose_device(device)
    named = {"classes": check_classes(frames.get("classes"))} if asks_for_classes(MODELS, cfg.model) else {}
    model: Any = MODELS.build(cfg.model, **named)
    if not isinstance(model, ScoresFrames):
        raise ValueError(f"the model {cfg.model.type} does not score frames: it needs classes, normal and predict")
    Model.of(model).check_dataset(_Frames(size))
    if checkpoint is not None or not Model.of(model).comes_trained:
        load(model, cfg, checkpoint, {})
    return AnomalyDetector(*ready(model, cfg, chosen))


@dataclass(frozen=True)
class _Frames:
    """What `check_dataset` of a model reads."""

    image_size: int


def detect_anomaly(
    model: AnomalyDetector,
    video: str | Path,
    *,
    stride: int | None = None,
    threshold: float = 0.5,
    sigma: float = 0.0,
    batch_size: int | None = None,
    progress: bool | str = False,
) -> VideoAnomalies:
    """Score every `stride`-th frame of a video, and find the intervals that score high.

    The scores are those of `opentad-bi test` for the same video. It is decoded once, a few frames at a time, in a
    thread beside the model, and its length does not matter for the memory.

    Args:
        model: what `init_anomaly_detector` gives.
        video: path of the file.
        stride: video frames from one row to the next; default `dataset.test.stride` of the config.
        threshold: score of 0 to 1 from which on a row belongs to an interval.
        sigma: Gaussian smoothing of the scores, in rows; 0: none.
        batch_size: runs of `dataset.test.chunk` frames at once; default `solver.test.batch_size` of the config.
        progress: show a bar; a text stands in front of it.
    Raises:
        FileNotFoundError, VideoError: the video is missing or cannot be read.
    """
    size = check_count("batch_size", model.cfg.solver.test.batch_size if batch_size is None else batch_size)
    if check_number("threshold", threshold) > 1:
        raise ValueError(f"threshold {threshold!r} must be a number from 0 to 1, as scores are")
    check_number("sigma", sigma)
    found = []
    rows = VideoRows(model.data, video, stride=stride)
    with rows, loading(rows, size, len(rows.numbers), "frame", progress) as (loaded, bar):
        for batch in loaded:
            for result in model.predict(batch):
                found.append(result.probabilities)
                bar.update(len(result.probabilities))
            del batch  # two at a time are enough: the next one waits already
    return _summary(model, rows, np.concatenate(found), threshold, sigma)


def heat_frames(
    model: AnomalyDetector, found: VideoAnomalies, count: int, name: str | None = None
) -> Iterator[HeatFrame]:
    """The frames that score highest, each with where in it a class is, in order of time.

    The frames are some way apart where there are many. They are read again, one at a time at their full size.

    Args:
        model: what `init_anomaly_detector` gives.
        found: VideoAnomalies of that model.
        count: most frames.
        name: name of the class; default `found.label`.
    Raises:
        ValueError: the model has no heat-maps.
    """
    if not isinstance(model.model, HeatMaps):
        raise ValueError(f"the model {model.cfg.model.type} has no heat-maps")
    rows = highest_rows(found.scores, check_count("count", count))
    numbers = np.array(rows) * found.stride
    maps = unit_range(_maps(model, found, numbers, name or found.label))
    with open_video(found.video, stream_settings(model.data)["reader"]) as reader:
        for row, number, small in zip(rows, numbers.tolist(), maps, strict=True):
            image = reader.frames([number])[0]
            heat = enlarge(small[None], *image.shape[:2])[0]
            sec, score = float(found.edges_sec[row]), float(found.scores[row])
            yield HeatFrame(row, number, sec, score, image, heat, heat_box(heat))


def _summary(model, rows, probabilities, threshold, sigma):
    """The VideoAnomalies of probabilities (R, C)."""
    classes, normal = list(model.model.classes), model.model.normal
    scores = smooth(anomaly_scores(probabilities, normal), sigma)
    edges = rows.edges_sec
    return VideoAnomalies(
        video=rows.path,
        classes=classes,
        normal=normal,
        scores=scores,
        probabilities=probabilities,
        edges_sec=edges,
        stride=rows.stride,
        fps=rows.fps,
        threshold=threshold,
        intervals=score_intervals(scores, probabilities, edges, classes=classes, normal=normal, threshold=threshold),
    )


def localize(
    model: AnomalyDetector,
    found: VideoAnomalies,
    regions: Iterable[Region],
    *,
    name: str | None = None,
    enabled_mode: str = "label_studio",
    open_end: str = "video",
) -> dict[str, float]:
    """Compare the heat-maps of the frames that were scored with the boxes that are in them.

    Args:
        model: what `init_anomaly_detector` gives.
        found: VideoAnomalies of that model.
        regions: `Region`s of the video with keyframes (`datasets.video_anomaly.captions.read_captions`).
        name: class whose heat-maps are taken; default `found.label`.
        enabled_mode, open_end: see `VisibilityTrack`.
    Returns:
        numbers of `evaluation.anomaly.localization.localization`; of all frames with a box together, 0 and 1 of a
        heat-map are the lowest and the highest value in them.
    """
    numbers = np.arange(len(found.scores)) * found.stride
    frames: list[int] = []
    boxes: list[np.ndarray] = []
    for region in regions:
        if not region.keyframes:
            continue
        track = VisibilityTrack(region, enabled_mode=enabled_mode, open_end=open_end)
        seen = numbers[track.visible(numbers)]
        frames, boxes = [*frames, *seen], [*boxes, *track.box(seen)]
    if not frames:
        return localization([], [])
    unique, place = np.unique(frames, return_inverse=True)
    maps = unit_range(_maps(model, found, unique, name or found.label))
    size = stream_settings(model.data)["size"]
    return localization((enlarge(maps[i : i + 1], size, size)[0] for i in place), boxes)


@torch.no_grad()
def _maps(model, found, frames, name):
    """Heat-maps of rising frame numbers: float32 (N, h, w)"""
    maps = []
    for start in range(0, len(frames), AT_ONCE):
        squares = read_squares(model.data, found.video, frames[start : start + AT_ONCE]).to(model.device)
        with model.autocast():
            part = model.model.heat_map(squares, name).float()
            check_finite([("heat-maps", part, None)], [found.video] * len(part), model.model)
            maps.append(part.cpu().numpy())
    return np.concatenate(maps)
