"""Features of videos: what a network makes of their parts, one after another, gathered into an array per video.

`extract` is the loop of every extraction. It takes pieces of videos from an encoder, such as `window_pieces`, and gives
what was gathered of each video, such as `VideoRows`, to a function that writes it.

Videos are seen through the sliding windows of a dataset, so a backbone that takes windows of a fixed length only, or
looks across the whole of a window, has its proper input. Of the windows, one of two forms is kept: one row per position
of the video, or every window as the network gives it.

B windows of a batch, W of a video, C channels, T grid positions of a window, V of them valid, n positions of a video
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..contracts import Batch
from ..ops.names import BACKWARD, FORWARD
from ..ops.reverse import reverse_batch
from ..ops.windows import central_parts
from ..utils.distributed import is_main, world_size
from ..utils.logging import LOGGER
from ..utils.validation import check_finite
from .data import to_device

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Piece:
    """What a network makes of a part of a video, or why there is nothing of it.

    Args:
        video: its name.
        arrays: {kind of file, such as a direction: array}.
        last: no other piece of the video follows.
        place: where in the video it is; what gathers the pieces knows its form.
        facts: of the video, to be kept beside its features.
        error: what is wrong with the video, or "".
    """

    video: str
    arrays: Arrays = field(default_factory=dict)
    last: bool = True
    place: Any = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


class Gathered(Protocol):
    """What gathers the pieces of one video."""

    def add(self, piece: Piece) -> None:
        """Take in the next piece."""

    def finish(self) -> tuple[Arrays, dict[str, Any]]:
        """{kind of file: array} of the whole video, and facts to keep beside them."""


class Whole:
    """A video that is one piece."""

    def add(self, piece: Piece) -> None:
        """Take it in."""
        self.piece = piece

    def finish(self) -> tuple[Arrays, dict[str, Any]]:
        """Its arrays and facts."""
        return self.piece.arrays, dict(self.piece.facts)


def extract(
    pieces: Iterable[Piece],
    gather: Callable[[], Gathered],
    save: Callable[[str, Gathered], None],
    *,
    total: int,
    unit: str = "video",
) -> dict[str, str]:
    """Gather the pieces of every video, and save each video as it ends.

    Args:
        pieces: those of different videos may alternate.
        gather: makes what gathers those of one video.
        save: called with the name of a video and what was gathered.
        total: number of videos, or of pieces if `unit` is another word.
    Returns:
        {name: what is wrong} of the videos that could not be read.
    """
    begun: dict[str, Gathered] = {}
    failed = {}
    with tqdm(total=total, desc="extract", unit=unit, disable=not is_main()) as progress:
        for piece in pieces:
            if piece.error:
                failed[piece.video] = piece.error
                LOGGER.warning("%s", piece.error)
                begun.pop(piece.video, None)
            else:
                begun.setdefault(piece.video, gather()).add(piece)
                if piece.last:
                    save(piece.video, begun.pop(piece.video))
            progress.update(piece.last or unit != "video")
    return failed


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


def plan_parts(windows: Iterable[tuple[str, int, int]]) -> list[Part]:
    """Parts of all windows.

    Args:
        windows: (video, first position, end) of every sample, the windows of a video one after another.
    """
    by_video: dict[str, list[tuple[int, int, int]]] = {}
    for index, (video, start, end) in enumerate(windows):
        by_video.setdefault(video, []).append((index, start, end))
    parts = []
    for video, rows in by_video.items():
        for k, (first, stop) in enumerate(central_parts([row[1:] for row in rows]).tolist()):
            index, start, _ = rows[k]
            parts.append(Part(index, video, start, first - start, stop - start, k == len(rows) - 1))
    return parts


class VideoRows:
    """(n, C): every position from the window in whose middle it lies best.

    Row i of the forward array stands for grid position i; row j of the backward one is the output on the reversed
    frames for position n - 1 - j.
    """

    name = "videos"

    def __init__(self) -> None:
        self.rows: dict[str, list[np.ndarray]] = defaultdict(list)

    def add(self, piece: Piece) -> None:
        """Take the rows that a window speaks for, of maps (T, C) in the order of the direction."""
        part, valid = piece.place
        first, stop = min(part.first, valid), min(part.stop, valid)
        for direction, maps in piece.arrays.items():
            rows = maps[valid - stop : valid - first] if direction == BACKWARD else maps[first:stop]
            self.rows[direction].append(np.array(rows))

    def finish(self) -> tuple[Arrays, dict[str, Any]]:
        """The rows of all windows, and no facts."""
        return {d: np.concatenate(rows[::-1] if d == BACKWARD else rows) for d, rows in self.rows.items()}, {}


class Windows:
    """(W, T, C): every window with its padding, as the network gives it, the backward ones of the reversed window.

    Facts: `starts`, the first grid position of every window, and `valid`, its V.
    """

    name = "windows"

    def __init__(self) -> None:
        self.rows: dict[str, list[np.ndarray]] = defaultdict(list)
        self.starts: list[int] = []
        self.valid: list[int] = []

    def add(self, piece: Piece) -> None:
        """Take the maps (T, C) of a window as they are."""
        part, valid = piece.place
        self.starts.append(part.start)
        self.valid.append(valid)
        for direction, maps in piece.arrays.items():
            self.rows[direction].append(maps.copy())

    def finish(self) -> tuple[Arrays, dict[str, Any]]:
        """All windows, one after the other, and where they are."""
        return {d: np.stack(rows) for d, rows in self.rows.items()}, {"starts": self.starts, "valid": self.valid}


@torch.no_grad()
def window_pieces(
    backbones: Mapping[str, nn.Module],
    dataset: Any,
    parts: Sequence[Part],
    *,
    batch_size: int,
    num_workers: int,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager],
) -> Iterator[Piece]:
    """What backbones make of windows; one batch is held at a time.

    Args:
        backbones: {"for" and/or "back": network from frames (B, 3, T', H, W) to (B, C, T)}, on `device`.
        dataset: a `contracts.Dataset` that is `Windowed`.
        parts: the windows, of `plan_parts`.
        batch_size, num_workers: windows per pass, over all processes; loader processes in this process.
        autocast: a function that returns the autocast context.
    Yields:
        pieces of {direction: float32 (T, C)}; their place is (`Part`, V).
    Raises:
        ValueError: non-finite features.
    """
    loader: DataLoader = DataLoader(
        dataset,
        batch_size=max(1, batch_size // world_size()),
        sampler=[part.index for part in parts],
        num_workers=num_workers,
        collate_fn=dataset.collate,
        pin_memory=device.type == "cuda",
    )
    for backbone in backbones.values():
        backbone.eval()
    todo = iter(parts)
    for batch in loader:
        with autocast():
            features = window_features(backbones, to_device(batch, device))
        for row, valid in enumerate(batch["masks"].sum(1).tolist()):
            part = next(todo)
            yield Piece(part.video, {d: maps[row] for d, maps in features.items()}, part.last, (part, valid))


def window_features(backbones: Mapping[str, nn.Module], batch: Batch) -> Arrays:
    """{direction: (B, T, C) float32 array} of a batch of windows, each in the order in which its network saw it.

    Raises:
        ValueError: another number of positions than the window has; non-finite features.
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


def in_dtype(maps: np.ndarray, dtype: str, video: str) -> np.ndarray:
    """A contiguous copy of float32 features in `dtype`; ValueError if they are non-finite, or become so in it."""
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
