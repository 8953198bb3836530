"""Chosen frames of a video, squashed to squares so that shares of width and height stay what they are.

T frames, S side, H height, W width
"""

import numpy as np
import torch

from ..registry import READERS
from ..utils.validation import check_choice, check_count
from .frame_cache import FrameCache, frame_origin
from .readers import VideoError, open_video
from .transforms.load_clips import INTERPOLATIONS, resize_images

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
