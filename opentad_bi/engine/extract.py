"""Features of whole videos, in both directions on one lattice, from the backbone of a detector.

The videos are seen through the sliding windows of a dataset, so a backbone that takes windows of a fixed length only,
or looks across the whole of a window, is given what it was made for. `extract_forms.py` says what of the windows is
kept and how.

B windows, C channels, T grid positions of a window, V of them valid, n positions of a video
"""

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..ops.records import FORWARD
from ..ops.reverse import reverse_batch
from ..ops.windows import central_parts
from ..utils.distributed import gather_objects, is_main, rank, world_size
from ..utils.provenance import source_stamp
from ..utils.validation import check_finite
from .extract_forms import Part, feature_file
from .loaders import to_device


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
