"""What happens when in a video."""

from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ..datasets.detection.stream import VideoWindows
from ..engine.data import to_device
from ..evaluation.detection.post_processing import SEGMENT_DECIMALS
from ..ops.records import FORWARD, chief
from ..registry import METRICS, nearest
from ..utils.prefetch import ahead


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
    def chief(self):
        """Detections of the direction that stands for the whole (`ops.directions.chief`)."""
        return self.detections[chief(self.detections)]


def detect(model, video, *, direction=None, batch_size=None, min_score=0.0, progress=False):
    """Find the actions of a video: [{"segment": [start_sec, end_sec], "label", "score"}, ...] by falling score.

    The numbers are those of `tools/test.py` for the same video; but where frames come at a variable rate, seconds are
    those of a player (`datasets.stream.VideoWindows.player_sec`). The video is decoded once, a few frames at a time,
    in a thread beside the network, and its length does not matter for the memory. The steps of the test pipeline
    after decoding must treat frames one by one (`datasets.stream`).

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
    options = {"batch_size": batch_size, "min_score": min_score, "progress": progress}
    return detect_all(model, video, direction=direction, **options).chief


def detect_all(model, video, *, direction=None, batch_size=None, min_score=0.0, progress=False):
    """`VideoDetections` of all directions that the model offers, or of `direction` alone; arguments as of `detect`."""
    size = model.cfg.solver.test.batch_size if batch_size is None else batch_size
    if size < 1:
        raise ValueError(f"batch_size {size} must be at least 1")
    metric, first = build_metric(model), True
    look = {"desc": progress if isinstance(progress, str) else "detect", "unit": "window", "leave": False}
    with (
        VideoWindows(model.windows, video, model.classes) as windows,
        tqdm(total=len(windows), disable=not progress, **look) as bar,
        closing(ahead(batches(windows, size))) as loaded,
    ):
        for batch in loaded:
            results = predict(model, batch)
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


def build_metric(model):
    """A fresh metric that post-processes as that of the config does, without ground truth."""
    evaluation = model.cfg.to_dict()["evaluation"]
    return METRICS.build({**evaluation, "class_map": list(model.classes)}, scored=False)


def batches(windows, size):
    """Batches of at most `size` windows."""
    samples = iter(windows)

    def batch():
        group = list(islice(samples, size))
        return windows.collate(group) if group else None

    return iter(batch, None)


@torch.no_grad()
def predict(model, batch):
    """One `ops.prediction.Result` per window of a batch on the CPU."""
    if "wrap" in model.cfg.dataset:
        batch = {FORWARD: batch}  # the model reverses it where it lies
    with model.autocast():
        return model.model.predict(to_device(batch, model.device))


def check_direction(model, results, direction):
    """ValueError unless post-processing gives `direction`; the results of a few windows tell."""
    metric = build_metric(model)
    metric.update(results)
    offered = metric.results()
    if direction not in offered:
        raise ValueError(f"direction {direction!r}: this model gives none; {nearest(direction, offered, every=True)}")


def at_player_times(entries, windows):
    """`entries` with the seconds at which a player shows what lies at their seconds at the average rate."""
    segments = np.asarray([entry["segment"] for entry in entries], np.float64).reshape(-1, 2)
    shown = np.round(windows.player_sec(segments), SEGMENT_DECIMALS).tolist()
    return [entry | {"segment": segment} for entry, segment in zip(entries, shown, strict=True)]


def strong(entries, min_score):
    """Entries that score `min_score` or more, by falling score."""
    return sorted((e for e in entries if e["score"] >= min_score), key=lambda e: -e["score"])
