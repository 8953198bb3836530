"""Features of whole videos, in both directions on one lattice, from the backbone of a detector.

The videos are seen through the sliding windows of a dataset, so a backbone that takes windows of a fixed length only,
or looks across the whole of a window, is given what it was made for. A position that several windows hold is taken
from the one in whose middle it lies best (`central_parts`).

B windows, C channels, T grid positions of a window, V of them valid, n positions of a video
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..ops.reverse import reverse_batch
from ..ops.stitching import central_parts
from ..utils.distributed import is_main, rank, world_size
from ..utils.files import atomic
from .loaders import to_device

DIRECTIONS = ("for", "back")


@dataclass(frozen=True)
class Part:
    """What one window gives to the file of its video: positions `first` to `stop` (exclusive) of the window."""

    index: int
    video: str
    first: int
    stop: int
    last: bool


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
            parts.append(Part(index, video, first - start, stop - start, k == len(rows) - 1))
    return parts


def unfinished(parts, directions, out, overwrite=False):
    """Parts of the videos of this process that lack a file in some direction; with `overwrite`, of all of them."""
    videos = dict.fromkeys(part.video for part in parts)
    if not overwrite:
        videos = [v for v in videos if not all(feature_file(out, d, v).is_file() for d in directions)]
    mine = set(list(videos)[rank() :: world_size()])
    return [part for part in parts if part.video in mine]


@torch.no_grad()
def extract(backbones, dataset, out, *, batch_size, num_workers, device, autocast, overwrite=False):
    """Write `out/<direction>/<video>.npy`, float32 (n, C), for every video of `dataset`.

    Row i of a forward file stands for grid position i; row j of a backward file is the output on the reversed frames
    for position n - 1 - j. Files that are there are kept; a file is written whole or not at all. At most one batch of
    windows and the features of one video are held at a time.

    Args:
        backbones: {"for" and/or "back": network from frames (B, 3, T', H, W) to (B, C, T)}, on `device`.
        dataset: has `windows()` and `collate`; its samples are windows.
        batch_size: windows per pass, over all processes.
        num_workers: loader processes in this process.
        autocast: a function that returns the autocast context.
        overwrite: make files again that are there.
    Returns:
        number of videos written by this process.
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
    chunks, written, todo = {direction: [] for direction in backbones}, 0, iter(parts)
    with tqdm(total=len(parts), desc="extract", unit="window", disable=not is_main()) as progress:
        for batch in loader:
            valid = batch["masks"].sum(1).tolist()
            with autocast():
                features = window_features(backbones, to_device(batch, device))
            for row, length in enumerate(valid):
                part = next(todo)
                for direction, maps in features.items():
                    chunks[direction].append(maps[row, part.first : min(part.stop, length)])
                if part.last:
                    write(out, part.video, chunks, overwrite)
                    chunks, written = {direction: [] for direction in backbones}, written + 1
            progress.update(len(valid))
    return written


def window_features(backbones, batch):
    """{direction: (B, T, C) float32 array} of a batch of windows, all in forward order."""
    length = batch["masks"].shape[1]
    features = {}
    for direction, backbone in backbones.items():
        side = batch if direction == "for" else reverse_batch(batch)
        maps = backbone(side["inputs"]).float()
        if maps.shape[-1] != length:
            raise ValueError(f"the backbone gives {maps.shape[-1]} positions for a window of {length}")
        if direction == "back":
            maps = reverse_batch({"inputs": maps, "masks": batch["masks"]})["inputs"]
        features[direction] = maps.transpose(1, 2).cpu().numpy()
    return features


def write(out, video, chunks, overwrite):
    """Write the files of one video from its parts; backward features in the order of the reversed video."""
    for direction, rows in chunks.items():
        path = feature_file(out, direction, video)
        if path.is_file() and not overwrite:
            continue
        table = np.concatenate(rows)
        with atomic(path) as temporary:
            np.save(temporary, np.ascontiguousarray(table[::-1] if direction == "back" else table))
