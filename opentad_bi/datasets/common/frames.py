"""Whole frames of videos: at a size, by the second, and kept between epochs.

Resized frames of videos kept as files, read by memory map.

Chosen frames of a video, squashed to squares so that shares of width and height stay what they are.

T frames, S side, H height, W width

Frames of many videos in their order, a few at a time, with the second to which each belongs.

N frames of a batch, H, W height and width
"""

import hashlib
import json
import os
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from ...ops.windows import second_of_frames, spread
from ...registry import READERS
from ...utils.arrays import open_array
from ...utils.files import atomic
from ...utils.logging import LOGGER
from ...utils.prefetch import ahead
from ...utils.provenance import source_stamp
from ...utils.validation import check_choice, check_count
from ..readers.base import VideoError, open_video

FRAMES_AT_ONCE = 16  # held at full size: 100 MB of 1080p
SLACK_SEC = 1e-3  # some containers round times to milliseconds


def uneven_times(times, fps):
    """When each of n frames is shown and the last one ends, (n + 1,) seconds, where an even rate does not tell it.

    None where no frame is further than one frame from number / `fps`, or where `times` (n,) are not known.
    """
    if times is None or np.abs(times - np.arange(len(times)) / fps).max() <= 1 / fps + SLACK_SEC:
        return None
    # how long the last frame stays is not known: as long as most
    return np.append(times, times[-1] + np.median(np.diff(times)))


INTERPOLATIONS = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}
RESIZE_MODES = ("shortest", "squash", "longest")


def resize_images(images: torch.Tensor, size: list[int], interpolation: str) -> torch.Tensor:
    """Resize with antialiasing, across and then down, each rounded to bytes: uint8 (N, 3, H, W) -> (N, 3, *size)

    In one go torch does the same with AVX2; without it, it rounds once and differs by a grey level.
    """
    for part in ([images.shape[-2], size[1]], size):
        images = F.resize(images, part, INTERPOLATIONS[interpolation], antialias=True)
    return images


_FREE = ("cache", "num_threads")


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

    def __init__(self, folder):
        self.folder = Path(folder)
        self._writes = True
        if self.folder.is_file():
            raise NotADirectoryError(f"frame cache {self.folder} is a file, not a folder")

    def get(self, origin, make, fits=lambda frames: True):
        """The frames kept for `origin`, or else those that `make()` gives, which are then kept.

        A file that is damaged or does not fit is made anew, with a warning; where nothing can be written, one warning
        says so and nothing is kept from then on.

        Args:
            origin: dict of text, numbers and truth values: all that the frames depend on.
            make: function without arguments.
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

    def path(self, origin):
        """The file of `origin`."""
        text = json.dumps(origin, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npy"

    def _write(self, path, frames):
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


def frame_origin(path, step, **more):
    """An `origin` for frames of a file: the file's place, size and content, and every public setting of what reads it.

    Args:
        path: of the video.
        step: object whose attributes are settings; `cache` and `num_threads` change no frame.
        more: what else the frames depend on, or settings that say it otherwise; None leaves one out.
    """
    stamp = source_stamp(path)
    settings = {name: value for name, value in vars(step).items() if name[0] != "_" and name not in _FREE} | more
    file = {"path": str(path), "bytes": stamp["bytes"], "edges": stamp["edges"]}
    return file | {name: value for name, value in settings.items() if value is not None}


def _read(path, fits):
    """The array in a file, or None if the file is absent, damaged, cannot be read or does not fit."""
    try:
        frames = open_array(path, "frames")
        if frames.dtype == np.uint8 and frames.ndim == 4 and frames.shape[3] == 3 and fits(frames):
            return np.asarray(frames)
        reason = f"it holds {frames.dtype} {frames.shape}"
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        reason = error
    LOGGER.warning("frame cache: %s is damaged (%s) and made anew", path, reason)
    return None


_AT_ONCE = 32  # frames held at the size of the file


class DamagedTail(VideoError):
    """A video whose last frames cannot be decoded; `length` is how many can."""

    def __init__(self, message, length):
        super().__init__(message)
        self.length = length


class SquashedFrames:
    """Reads frames of video files as squares, and remembers how long the files are.

    Args:
        size: S.
        interpolation: "bilinear" or "bicubic", with antialiasing.
        cache: folder in which the squares are kept, or None.
        reader: name of the video reader.
        num_threads: its decoding threads.
    """

    def __init__(self, size, *, interpolation="bicubic", cache=None, reader="pyav", num_threads=1):
        READERS.find(reader)
        self.size = check_count("size", size)
        self.interpolation = check_choice("interpolation", interpolation, INTERPOLATIONS)
        self.cache = None if cache is None else FrameCache(cache)
        self.reader, self.num_threads = reader, num_threads
        self._about = {}

    def about(self, path):
        """(frames that can be decoded as far as is known, frames per second) of a file, which is opened once."""
        if path not in self._about:
            with self._open(path) as video:
                self._about[path] = (len(video), float(video.fps))
        return self._about[path]

    def shorten(self, path, length):
        """Take note that a file has `length` frames that can be decoded."""
        self._about[path] = (length, self.about(path)[1])

    def read(self, path, frames):
        """Frames of a file, rising, repeats allowed.  int (T,) -> uint8 (T, 3, S, S)

        Raises:
            DamagedTail, VideoError: the first of them that cannot be decoded; whether any before it can.
        """
        frames = np.asarray(frames, dtype=np.int64)
        unique, inverse = np.unique(frames, return_inverse=True)
        if self.cache is None:
            squares = self._decode(path, unique)
        else:
            shape = (len(unique), self.size, self.size, 3)
            squares = self.cache.get(
                self._origin(path, unique), lambda: self._decode(path, unique), lambda kept: kept.shape == shape
            )
        return torch.from_numpy(np.ascontiguousarray(squares[inverse].transpose(0, 3, 1, 2)))

    def _decode(self, path, frames):
        """uint8 (T, S, S, 3)"""
        squares = np.empty((len(frames), self.size, self.size, 3), dtype=np.uint8)
        with self._open(path) as video:
            for start in range(0, len(frames), _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                squares[part] = self._squash(_frames(video, frames, part))
        return squares

    def _squash(self, images):
        """uint8 (T, H, W, 3) -> (T, S, S, 3)"""
        planes = torch.from_numpy(images).permute(0, 3, 1, 2)
        return resize_images(planes, [self.size, self.size], self.interpolation).permute(0, 2, 3, 1).numpy()

    def _open(self, path):
        return open_video(path, self.reader, self.num_threads)

    def _origin(self, path, frames):
        """All that the squares depend on."""
        return frame_origin(path, self, squashed=frames.tolist())


def _frames(video, frames, part):
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


@dataclass(frozen=True)
class FrameBatch:
    """Some frames of one video, or why there are no more.

    Args:
        video: number of the video in the list.
        images: what `prepare` made of uint8 (N, H, W, 3) frames; None with an error.
        seconds: int64 (N,), the second of each frame.
        last: True if the video ends here.
        facts: fps, frames, duration_sec and rows of the video.
        error: what is wrong with the video, or "".
    """

    video: int
    images: torch.Tensor | None = None
    seconds: np.ndarray | None = None
    last: bool = True
    facts: dict = field(default_factory=dict)
    error: str = ""


class SecondFrames(IterableDataset):
    """Decode videos one after the other; in a loader with workers, each worker has its own.

    A video that cannot be read ends with an error in its last batch; the others go on. At most one batch of frames is
    held.

    Args:
        paths: video files.
        prepare: uint8 (N, H, W, 3) tensor -> what is passed on.
        batch_size: frames at a time.
        frames_per_second: at most so many frames of every second, evenly spaced among its frames; None for all.
        reader: name of a video reader.
        num_threads: decoding threads; 0 lets the reader choose.
    """

    def __init__(self, paths, prepare, *, batch_size, frames_per_second=None, reader="pyav", num_threads=1):
        self.paths, self.prepare, self.batch_size = list(paths), prepare, batch_size
        self.frames_per_second, self.reader, self.num_threads = frames_per_second, reader, num_threads

    def __iter__(self):
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in range(first, len(self.paths), step):
            try:
                yield from self._video(number)
            except (VideoError, OSError) as error:
                yield FrameBatch(number, error=str(error))

    def _video(self, number):
        """Batches of one video."""
        with open_video(self.paths[number], self.reader, self.num_threads) as video:
            facts, seconds = describe(video)
            wanted = spread(seconds, self.frames_per_second)
            done = 0
            for frames in video.in_order(wanted, self.batch_size):
                part = wanted[done : done + len(frames)]
                done += len(frames)
                images = self.prepare(torch.from_numpy(frames))
                yield FrameBatch(number, images, seconds[part], done == len(wanted), facts)


def batches_ahead(frames, workers):
    """Context of the batches of `SecondFrames`, decoded in `workers` processes (0: in a thread) ahead of their use."""
    return closing(ahead(DataLoader(frames, batch_size=None, num_workers=workers, collate_fn=_as_it_is)))


def _as_it_is(batch):
    return batch


def describe(video):
    """(facts, int64 (frames,) second in which each frame appears) of an open video.

    Times of frames are those of the file, so that a variable frame rate is followed; files without times are taken at
    their frame rate.

    Raises:
        VideoError: neither times nor a frame rate.
    """
    times = video.times()
    if times is None and not video.fps > 0:
        raise VideoError(f"video {video.path} tells neither when its frames are shown nor its frame rate; re-encode it")
    if times is None:
        times = np.arange(len(video)) / video.fps
    seconds = second_of_frames(times)
    duration = max(len(video) / video.fps if video.fps > 0 else 0.0, float(times[-1]))
    rows = int(seconds[-1]) + 1
    facts = {"fps": round(float(video.fps), 6), "frames": len(video), "duration_sec": round(duration, 6), "rows": rows}
    return facts, seconds
