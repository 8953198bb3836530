"""Frames by decord (x86_64 only; unmaintained since 2021)."""

import numpy as np

from ...registry import READERS
from ...utils.optional import require
from .base import VideoError, VideoReader


@READERS.register_module(name="decord")
class DecordReader(VideoReader):
    """Decode with decord.

    Args:
        path: the video file.
        num_threads: decoding threads; 0 lets decord choose.
    """

    def __init__(self, path, num_threads=1):
        super().__init__(path)
        self._decord = require("decord")
        self._threads = num_threads
        self._failure = self._decord.DECORDError
        try:
            self._video = self._open()
            self.fps = float(self._video.get_avg_fps())
        except (self._failure, RuntimeError) as error:
            raise VideoError(f"video {self.path} cannot be opened: {_first_line(error)}") from error

    def _open(self):
        return self._decord.VideoReader(str(self.path), num_threads=self._threads)

    def __len__(self):
        return len(self._video)

    def _decode(self, images):
        try:
            batch = self._video.get_batch(images.wanted).asnumpy()
        except (self._failure, RuntimeError) as error:
            raise self.damaged(self._first_bad(images.wanted), _first_line(error)) from error
        images.put_all(batch)

    def _first_bad(self, wanted):
        """The first of `wanted` at which a new decoder fails; it reads ahead, so the damage may lie later."""
        video = self._open()
        for frame in wanted:
            try:
                video.get_batch(np.asarray([frame]))
            except (self._failure, RuntimeError):
                return frame
        return wanted[-1]

    def close(self):
        self._video = None


def _first_line(error):
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
