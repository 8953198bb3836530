"""Frames of video files at the size that a network takes, decoded once and kept between epochs.

T chosen frames, N any number of frames, H height, W width, h, w the same when resized, S side of a square
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from ...registry import READERS
from ...utils.arrays import open_array
from ...utils.files import atomic
from ...utils.logging import LOGGER
from ...utils.provenance import source_stamp
from ...utils.validation import check_choice, check_count
from ..readers.base import VideoError, VideoReader, open_video

INTERPOLATIONS = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}
RESIZE_MODES = ("shortest", "squash", "longest")
_AT_ONCE = 32  # frames held at the size of the file
_FREE = ("cache", "num_threads")  # settings that change no frame


def resize_images(images: torch.Tensor, size: list[int], interpolation: str) -> torch.Tensor:
    """Resize with antialiasing, across and then down, each rounded to bytes: uint8 (N, 3, H, W) -> (N, 3, *size)

    In one go torch does the same with AVX2; without it, it rounds once and differs by a grey level.
    """
    for part in ([images.shape[-2], size[1]], size):
        images = F.resize(images, part, INTERPOLATIONS[interpolation], antialias=True)
    return images


class FrameCache:
    """A folder of arrays of frames, one .npy file for each thing they were made from.

    The name of a file is a digest of all that its frames depend on.

    A file is whole or absent, so several processes may share a folder; two that make the same frames at once write the
    same bytes. Frames made from something that has changed get another file; the old one stays until it is deleted by
    hand, as the whole folder may be at any time.

    Args:
        folder: made when the first file is written.
    Raises:
        NotADirectoryError: it is a file.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._writes = True
        if self.folder.is_file():
            raise NotADirectoryError(f"frame cache {self.folder} is a file, not a folder")

    def get(
        self,
        origin: dict[str, Any],
        make: Callable[[], np.ndarray],
        fits: Callable[[np.ndarray], bool] = lambda frames: True,
    ) -> np.ndarray:
        """The frames kept for `origin`, or else those that `make()` gives, which are then kept.

        A file that is damaged or does not fit is made anew, with a warning; where nothing can be written, one warning
        says so and nothing is kept from then on.

        Args:
            origin: dict of text, numbers and truth values: all that the frames depend on.
            fits: can an array be the frames of `origin`, by its shape?
        Returns:
            uint8 (N, H, W, 3), read-only where they come from the file.
        """
        path = self.path(origin)
        frames = _read(path, fits)
        if frames is None:
            frames = make()
            self._write(path, frames)
        return frames

    def path(self, origin: dict[str, Any]) -> Path:
        """The file of `origin`."""
        text = json.dumps(origin, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npy"

    def _write(self, path: Path, frames: np.ndarray) -> None:
        if not self._writes:
            return
        try:
            with atomic(path) as temporary, open(temporary, "wb") as file:
                np.save(file, frames)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self._writes = False
            LOGGER.warning("frame cache: %s; frames are decoded again each time from now on", error)


def frame_origin(path: Path, step: object, **more: Any) -> dict[str, Any]:
    """An `origin` for frames of a file: the file's place, size and content, and every public setting of what reads it.

    Args:
        step: object whose attributes are settings; `cache` and `num_threads` change no frame.
        more: what else the frames depend on, or settings that say it otherwise; None leaves one out.
    """
    stamp = source_stamp(path)
    settings = {name: value for name, value in vars(step).items() if name[0] != "_" and name not in _FREE} | more
    file = {"path": str(path), "bytes": stamp["bytes"], "edges": stamp["edges"]}
    return file | {name: value for name, value in settings.items() if value is not None}


def _read(path: Path, fits: Callable[[np.ndarray], bool]) -> np.ndarray | None:
    """The array in a file, or None if the file is absent, damaged, cannot be read or does not fit."""
    try:
        frames = open_array(path, "frames")
        if frames.dtype == np.uint8 and frames.ndim == 4 and frames.shape[3] == 3 and fits(frames):
            return np.asarray(frames)
        reason = f"it holds {frames.dtype} {frames.shape}"
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        reason = str(error)
    LOGGER.warning("frame cache: %s is damaged (%s) and made anew", path, reason)
    return None


class FrameLoader:
    """Decodes frames of video files, resizes them, and keeps them where there is a cache.

    Args:
        size: pixels that a side is resized to, with antialiasing.
        interpolation: "bicubic", as CLIP's towers were trained with, or "bilinear".
        resize_mode: "shortest": the short side gets the size, the long one keeps the ratio, rounded down; "squash":
            both sides get it; "longest": the long side gets it, and black fills the frame up to a square. These are
            open_clip's words for what a tower was trained with.
        cache: folder in which the resized frames are kept, or None.
        reader: name of the video reader.
        num_threads: its decoding threads.
    """

    _owner = ""  # before the names of the arguments in messages

    def __init__(
        self,
        size: int,
        *,
        interpolation: str = "bicubic",
        resize_mode: str = "squash",
        cache: str | Path | None = None,
        reader: str = "pyav",
        num_threads: int = 1,
    ) -> None:
        READERS.find(reader)
        self.size = check_count(f"{self._owner}size", size)
        self.interpolation = check_choice(f"{self._owner}interpolation", interpolation, INTERPOLATIONS)
        self.resize_mode = check_choice(f"{self._owner}resize_mode", resize_mode, RESIZE_MODES)
        self.cache = None if cache is None else FrameCache(cache)
        self.reader, self.num_threads = reader, num_threads

    def open(self, path: str | Path) -> VideoReader:
        """The open file."""
        return open_video(path, self.reader, self.num_threads)

    def resize(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W, 3) -> (N, h, w, 3), contiguous."""
        planes = torch.from_numpy(images).permute(0, 3, 1, 2)
        planes = resize_images(planes, self._resized(*planes.shape[-2:]), self.interpolation)
        if self.resize_mode == "longest":
            missing = [self.size - side for side in planes.shape[-2:]]
            (top, left), (bottom, right) = ([(n + more) // 2 for n in missing] for more in (0, 1))
            planes = F.pad(planes, [left, top, right, bottom])
        return np.ascontiguousarray(planes.permute(0, 2, 3, 1).numpy())

    def _resized(self, height: int, width: int) -> list[int]:
        """[height, width] of frames of that size when they are resized."""
        if self.resize_mode == "squash":
            return [self.size, self.size]
        if self.resize_mode == "longest":
            return [max(1, round(self.size * side / max(height, width))) for side in (height, width)]
        long = int(self.size * max(height, width) / min(height, width))  # torchvision, whose rule it is, rounds down
        return [self.size, long] if height <= width else [long, self.size]

    def _kept(
        self, path: Path, make: Callable[[], np.ndarray], fits: Callable[[np.ndarray], bool], **more: Any
    ) -> np.ndarray:
        """What `make()` gives, or what the cache has of it; `more`: what it depends on besides, see `frame_origin`."""
        if self.cache is None:
            return make()
        return self.cache.get(frame_origin(path, self, **more), make, fits)


class DamagedTail(VideoError):
    """A video whose last frames cannot be decoded; `length` is how many can."""

    def __init__(self, message: str, length: int) -> None:
        super().__init__(message)
        self.length = length


class SquareFrames(FrameLoader):
    """Reads chosen frames as squares, resized without keeping the aspect ratio, and remembers how long files are.

    So shares of width and height stay what they are.

    Args:
        size: S.
        interpolation, cache, reader, num_threads: see `FrameLoader`.
    """

    def __init__(self, size: int, **options: Any) -> None:
        super().__init__(size, **options)
        self._about: dict[Path, tuple[int, float]] = {}

    def about(self, path: Path) -> tuple[int, float]:
        """(frames that can be decoded as far as is known, frames per second) of a file, which is opened once."""
        if path not in self._about:
            with self.open(path) as video:
                self._about[path] = (len(video), float(video.fps))
        return self._about[path]

    def shorten(self, path: Path, length: int) -> None:
        """Take note that a file has `length` frames that can be decoded."""
        self._about[path] = (length, self.about(path)[1])

    def read(self, path: Path, frames: Sequence[int] | np.ndarray) -> torch.Tensor:
        """Frames of a file, rising, repeats allowed.  int (T,) -> uint8 (T, 3, S, S)

        Raises:
            DamagedTail, VideoError: the first of them that cannot be decoded; whether any before it can.
        """
        unique, inverse = np.unique(np.asarray(frames, dtype=np.int64), return_inverse=True)
        shape = (len(unique), self.size, self.size, 3)
        squares = self._kept(
            path,
            lambda: self._decode(path, unique),
            lambda kept: kept.shape == shape,
            resize_mode=None,
            squashed=unique.tolist(),
        )
        return _to_planes(squares[inverse])

    def in_order(self, video: VideoReader, frames: np.ndarray, size: int) -> Iterator[torch.Tensor]:
        """Squares of rising frame numbers of an open file, `size` at a time: uint8 (<= size, 3, S, S)"""
        return (_to_planes(self.resize(images)) for images in video.in_order(frames, size))

    def _decode(self, path: Path, frames: np.ndarray) -> np.ndarray:
        """uint8 (T, S, S, 3)"""
        squares = np.empty((len(frames), self.size, self.size, 3), dtype=np.uint8)
        with self.open(path) as video:
            for start in range(0, len(frames), _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                squares[part] = self.resize(_frames(video, frames, part))
        return squares


def _to_planes(images: np.ndarray) -> torch.Tensor:
    """uint8 (T, S, S, 3) -> (T, 3, S, S), contiguous."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def _frames(video: VideoReader, frames: np.ndarray, part: slice) -> np.ndarray:
    """Frames of a part of the numbers; where it cannot be decoded, one by one to find the first that cannot."""
    try:
        return video.frames(frames[part])
    except VideoError as error:
        for place in range(*part.indices(len(frames))):
            try:
                video.frames(frames[place : place + 1])
            except VideoError:
                if place:
                    raise DamagedTail(str(error), int(frames[place - 1]) + 1) from error
                raise
        raise
