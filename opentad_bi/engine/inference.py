"""Evaluation of a model on a data set, and features of a backbone.

Run a model over a dataset and hand all results to a metric.

The two forms of extracted features: one row per position of a video, or every window as the network gives it.

W windows of a video, T grid positions of a window, V of them valid, n positions of the video, C channels

Features of whole videos, in both directions on one lattice, from the backbone of a detector.

The videos are seen through the sliding windows of a dataset, so a backbone that takes windows of a fixed length only,
or looks across the whole of a window, is given what it was made for. `extract_forms.py` says what of the windows is
kept and how.

B windows, C channels, T grid positions of a window, V of them valid, n positions of a video
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..ops.names import BACKWARD, FORWARD
from ..ops.reverse import reverse_batch
from ..ops.windows import central_parts
from ..utils.distributed import gather_objects, is_main, rank, world_size
from ..utils.files import atomic, write_json
from ..utils.provenance import source_stamp
from ..utils.validation import check_finite
from .data import eval_loader, to_device


@torch.no_grad()
def evaluate(model, dataset, metric, *, batch_size, num_workers, device, autocast):
    """Predict every sample once, over all processes, and return the metric's numbers.

    Args:
        model: has `predict(batch) -> list`, one result per sample.
        dataset: has `collate`.
        metric: has `update(results)` and `compute()`; it sees the results in the order of the dataset.
        batch_size: samples per batch over all processes.
        num_workers: loader processes in this process.
        device: where the model is.
        autocast: a function that returns the autocast context.
    Returns:
        what `metric.compute()` gives, on every process.
    """
    training = model.training
    model.eval()
    loader, indices = eval_loader(
        dataset, batch_size=batch_size, num_workers=num_workers, pin_memory=device.type == "cuda"
    )
    results = []
    for batch in tqdm(loader, desc="predict", unit="batch", disable=not is_main(), leave=False):
        with autocast():
            results += model.predict(to_device(batch, device))
    model.train(training)
    gathered = gather_objects(list(zip(indices, results, strict=True)))
    metrics = None
    if is_main():
        in_order = sorted((pair for part in gathered for pair in part), key=lambda pair: pair[0])
        metric.update([result for _, result in in_order])
        metrics = metric.compute()
    return gather_objects(metrics)[0]


@dataclass(frozen=True)
class Part:
    """What one window gives to the file of its video.

    Args:
        index: of the sample in the dataset.
        start: first grid position of the window.
        first, stop: positions of the window (exclusive end) that it speaks for where windows overlap.
        last: no other window of the video follows.
    """

    index: int
    video: str
    start: int
    first: int
    stop: int
    last: bool


class VideoRows:
    """(n, C): every position from the window in whose middle it lies best; backward as the reversed video runs."""

    name = "videos"

    def take(self, direction, maps, part, valid):
        """Rows of the positions that a window speaks for, from its maps (T, C) in the order of the direction."""
        first, stop = min(part.first, valid), min(part.stop, valid)
        return maps[valid - stop : valid - first] if direction == BACKWARD else maps[first:stop]

    def save(self, path, direction, rows, parts, valid, facts):
        """Write the rows of all windows of one video, and `facts`, if there are any, in NAME.json."""
        if facts:
            write_json(path.with_name(f"{path.stem}.json"), facts)
        table = np.concatenate(rows[::-1] if direction == BACKWARD else rows)
        with atomic(path) as temporary:
            np.save(temporary, table)


class Windows:
    """(W, T, C): every window with its padding, as the network gives it, the backward ones of the reversed window.

    Beside NAME.npy lies NAME.json: `starts`, the first grid position of every window, and `valid`, its V, and `facts`.
    """

    name = "windows"

    def take(self, direction, maps, part, valid):
        """The maps as they are."""
        return maps

    def save(self, path, direction, rows, parts, valid, facts):
        """Write all windows of one video, one after the other; the array last, since it tells that both are there."""
        index = {"starts": [part.start for part in parts], "valid": valid}
        write_json(path.with_name(f"{path.stem}.json"), index | facts)
        with atomic(path) as temporary:
            table = np.lib.format.open_memmap(temporary, "w+", rows[0].dtype, (len(rows), *rows[0].shape))
            for row, window in zip(table, rows, strict=True):
                row[:] = window
            table.flush()


def feature_file(out, direction, video):
    """Path of the features of one video."""
    return Path(out) / direction / f"{video}.npy"


def plan_parts(windows):
    """Parts of all windows.

    Args:
        windows: (video, first position, end) of every sample, the windows of a video one after another.
    """
    by_video = {}
    for index, (video, start, end) in enumerate(windows):
        by_video.setdefault(video, []).append((index, start, end))
    parts = []
    for video, rows in by_video.items():
        for k, (first, stop) in enumerate(central_parts([row[1:] for row in rows]).tolist()):
            index, start, _ = rows[k]
            parts.append(Part(index, video, start, first - start, stop - start, k == len(rows) - 1))
    return parts


def unfinished(parts, directions, out, overwrite=False):
    """Parts of the videos of this process that lack a file in some direction; with `overwrite`, of all of them."""
    videos = list(dict.fromkeys(part.video for part in parts))
    if not overwrite:
        videos = [v for v in videos if not all(feature_file(out, d, v).is_file() for d in directions)]
    # one list for all: files appear while processes look, and a network file system shows each its own state
    videos = gather_objects(videos)[0]
    mine = set(videos[rank() :: world_size()])
    return [part for part in parts if part.video in mine]


@torch.no_grad()
def extract(
    backbones,
    dataset,
    out,
    sources,
    *,
    form,
    batch_size,
    num_workers,
    device,
    autocast,
    dtype="float32",
    overwrite=False,
):
    """Write `out/<direction>/<video>.npy` for every video of `dataset`.

    Row i of a forward file of `VideoRows` stands for grid position i; row j of a backward file is the output on the
    reversed frames for position n - 1 - j. Files that are there are kept. One batch of windows and the features of one
    video are held at a time.

    Args:
        backbones: {"for" and/or "back": network from frames (B, 3, T', H, W) to (B, C, T)}, on `device`.
        dataset: has `windows()` and `collate`; its samples are windows.
        sources: {video: its file, if there is one}; its stamp is kept in NAME.json beside the features.
        form: `VideoRows()` or `Windows()`.
        batch_size, num_workers: windows per pass, over all processes; loader processes in this process.
        autocast: a function that returns the autocast context.
        dtype: of the files, "float32" or "float16".
        overwrite: make files again that are there.
    Returns:
        number of videos written by this process.
    Raises:
        ValueError: features that are not finite, in `dtype`.
    """
    parts = unfinished(plan_parts(dataset.windows()), backbones, out, overwrite)
    loader = DataLoader(
        dataset,
        batch_size=max(1, batch_size // world_size()),
        sampler=[part.index for part in parts],
        num_workers=num_workers,
        collate_fn=dataset.collate,
        pin_memory=device.type == "cuda",
    )
    for backbone in backbones.values():
        backbone.eval()
    video, written, todo = Collected(backbones), 0, iter(parts)
    with tqdm(total=len(parts), desc="extract", unit="window", disable=not is_main()) as progress:
        for batch in loader:
            valid = batch["masks"].sum(1).tolist()
            with autocast():
                features = window_features(backbones, to_device(batch, device))
            for row, length in enumerate(valid):
                part = next(todo)
                taken = {d: form.take(d, maps[row], part, length) for d, maps in features.items()}
                video.add(part, length, {d: in_dtype(maps, dtype, part.video) for d, maps in taken.items()})
                if part.last:
                    video.save(out, form, overwrite, sources.get(part.video))
                    video, written = Collected(backbones), written + 1
            progress.update(len(valid))
    return written


class Collected:
    """What the windows of one video have given so far, by direction."""

    def __init__(self, directions):
        self.rows = {direction: [] for direction in directions}
        self.parts, self.valid = [], []

    def add(self, part, valid, rows):
        """Take in what one window gives: {direction: array}."""
        self.parts.append(part)
        self.valid.append(valid)
        for direction, array in rows.items():
            self.rows[direction].append(array)

    def save(self, out, form, overwrite, source):
        """Write the files that are not there, or all; the stamp of the video file `source` is kept beside them."""
        facts = {} if source is None else {"source": source_stamp(source)}
        for direction, rows in self.rows.items():
            path = feature_file(out, direction, self.parts[0].video)
            if overwrite or not path.is_file():
                form.save(path, direction, rows, self.parts, self.valid, facts)


def window_features(backbones, batch):
    """{direction: (B, T, C) float32 array} of a batch of windows, each in the order in which its network saw it.

    Raises:
        ValueError: another number of positions than the window has; features that are NaN or infinite.
    """
    length = batch["masks"].shape[1]
    features = {}
    for direction, backbone in backbones.items():
        side = batch if direction == FORWARD else reverse_batch(batch)
        maps = backbone(side["inputs"]).float()
        if maps.shape[-1] != length:
            raise ValueError(f"the backbone gives {maps.shape[-1]} positions for a window of {length}")
        parts = [("inputs", side["inputs"], None), (f"features ({direction})", maps, batch["masks"][:, None])]
        check_finite(parts, batch["meta"], backbone)
        features[direction] = maps.transpose(1, 2).cpu().numpy()
    return features


def in_dtype(maps, dtype, video):
    """A contiguous copy of float32 features in `dtype`; ValueError if they are not finite, or not in that dtype."""
    wrong = int((~np.isfinite(maps)).sum())
    if wrong:
        raise ValueError(
            f"video {video!r}: features are not finite: {wrong} of {maps.size} numbers are NaN or infinite; if the "
            "network runs in float16, take full precision (--precision fp32, solver.amp=None), else see its weights"
        )
    with np.errstate(over="ignore"):
        kept = np.array(maps, dtype=dtype)
    if not np.isfinite(kept).all():
        raise ValueError(
            f"video {video!r}: features reach {np.abs(maps).max():.4g}, more than {dtype} holds; take --dtype float32"
        )
    return kept
