"""Temporal action detection on any video.

A trained network, ready to look at videos.

What happens when in a video.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from torch import nn
from tqdm import tqdm

from ..config import dataset_config, load_config
from ..datasets.detection.stream import VideoWindows, split_pipeline
from ..engine.data import to_device
from ..engine.runner import autocast, precision
from ..engine.warm_start import check_same_classes, file_classes, fill, load_initial_weights
from ..evaluation.detection.post_processing import SEGMENT_DECIMALS
from ..ops.names import FORWARD, chief
from ..registry import METRICS, MODELS, nearest
from ..utils.files import read_names
from ..utils.prefetch import ahead


@dataclass(frozen=True)
class Detector:
    """What `detect` needs of a network.

    Args:
        model: in evaluation mode, on `device`.
        cfg: its config.
        classes: names by label.
        device: where the model is.
        autocast: a function that returns the context of its precision.
    """

    model: nn.Module
    cfg: Config
    classes: list[str]
    device: torch.device
    autocast: Callable

    @property
    def windows(self):
        """Config of the windows through which videos are seen: `dataset.test`, as a plain dict."""
        return windows_config(self.cfg)


def init_detector(
    config, checkpoint=None, device=None, *, classes=None, options=None, for_checkpoint=None, back_checkpoint=None
):
    """A detector that `detect` takes.

    A network that was trained on reversed video is to be shown reversed video (`tools/reverse_videos.py`); a pair
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
    if isinstance(config, Config):
        if options:
            raise ValueError("options take effect while a config is read; give the path of the config, or no options")
        cfg = config
    else:
        cfg = load_config(config, options)
    where = cfg.filename or "the config"
    refuse_features(cfg, where)
    device = choose_device(device)
    dtype = precision(cfg.solver.get("amp"))
    model = MODELS.build(cfg.model)
    branches = {"for_model": for_checkpoint, "back_model": back_checkpoint}
    files = load(model, cfg, checkpoint, {name: spec for name, spec in branches.items() if spec is not None})
    names = find_classes(classes, files, cfg.get("evaluation", {}).get("class_map"))
    check_classes(names, model)
    # half precision is of no use on a CPU
    use = None if device.type == "cpu" and dtype is torch.float16 else dtype
    return Detector(model.eval().to(device), cfg, names, device, autocast(device, use))


def windows_config(cfg):
    """Config of `dataset.test` without what is wrapped around it, as a plain dict."""
    splits = cfg.to_dict().get("dataset", {})
    return dataset_config({name: split for name, split in splits.items() if name != "wrap"}, "test")


def refuse_features(cfg, where):
    """ValueError if the network does not look at frames through sliding windows."""
    windows = windows_config(cfg)
    if "pipeline" not in windows:
        raise ValueError(
            f"{where}: its dataset.test is a {windows.get('type')}, which has no sliding windows; a network that "
            "scores frames is run by tools/detect_anomaly.py"
        )
    try:
        split_pipeline(windows["pipeline"])
    except ValueError as error:
        raise ValueError(
            f"{where}: {error}. Take the config and checkpoint of a network that is run on frames (its model has a "
            "backbone); on features, use tools/extract_features.py and tools/test.py"
        ) from error


def choose_device(device):
    """The device of that name; default CUDA where there is one."""
    try:
        chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise ValueError(f"{device!r} is no device; choose cpu or cuda") from error
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {chosen}: {torch.cuda.device_count()} CUDA devices are available here; choose cpu")
    return chosen


def load(model, cfg, checkpoint, by_branch):
    """Fill the model from `checkpoint`, or each branch from `by_branch` or the config's `load_from`.

    Returns:
        {file: names of the classes that it gives, or None}.
    Raises:
        ValueError: files of other classes.
    """
    if checkpoint is not None:
        if by_branch:
            raise ValueError("checkpoint fills the whole model; for_checkpoint and back_checkpoint fill its branches")
        return {str(checkpoint): file_classes(fill(model, checkpoint))}
    modules = model.branches()
    for name in by_branch:
        if name not in modules:
            raise ValueError(f"weights for {name}: the model has no such branch, only {', '.join(modules)}")
    names = {}
    for name, module in modules.items():
        branch = cfg.get("branches", {}).get(name, {})
        spec = by_branch.get(name) or branch.get("load_from")
        if not spec:
            raise ValueError(
                f"there are no weights for branch {name!r}; give checkpoint, or for a pair for_checkpoint, "
                "back_checkpoint"
            )
        names[str(spec)] = file_classes(load_initial_weights(name, module, {**branch, "load_from": spec}))
    check_same_classes(names)
    return names


def find_classes(classes, files, class_map):
    """Names by label: those given, else those that one of the checkpoint `files` has, else `class_map`.

    Given names may be new, but a name of the checkpoint under another label is a ValueError.
    """
    source, trained = next(((file, names) for file, names in files.items() if names), (None, None))
    if classes is not None:
        given = read_names(classes, "list of classes")
        if trained and any(name in trained and trained[i : i + 1] != [name] for i, name in enumerate(given)):
            check_same_classes({source: trained, "classes": given})
        return given
    if trained:
        return trained
    if class_map and (not isinstance(class_map, (str, Path)) or Path(class_map).is_file()):
        return read_names(class_map, "class map")
    raise ValueError(
        "the names of the classes are not known: the checkpoint does not hold them, and evaluation.class_map "
        f"{class_map!r} of the config does not exist; give classes: a list of names, or a file with one per line"
    )


def check_classes(names, model):
    """ValueError unless there is one name for each class that the heads of `model` tell apart."""
    for branch, module in model.branches().items():
        count = getattr(getattr(module, "rpn_head", None), "num_classes", None)
        if count is not None and count != len(names):
            raise ValueError(
                f"there are {len(names)} names of classes, beginning with {', '.join(names[:3])}, but {branch} tells "
                f"{count} apart; give classes"
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
    def chief(self):
        """Detections of the direction that stands for the whole (`ops.names.chief`)."""
        return self.detections[chief(self.detections)]


def detect(model, video, *, direction=None, batch_size=None, min_score=0.0, progress=False):
    """Find the actions of a video: [{"segment": [start_sec, end_sec], "label", "score"}, ...] by falling score.

    The numbers are those of `tools/test.py` for the same video; but where frames come at a variable rate, seconds are
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
    """One `ops.records.Result` per window of a batch on the CPU."""
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
