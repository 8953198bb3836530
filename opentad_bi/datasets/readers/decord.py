"""Frames by decord (x86_64 only; unmaintained since 2021)."""

from pathlib import Path

import numpy as np

from ...errors import require
from ...registry import READERS
from .base import VideoError, VideoReader


@READERS.register_module(name="decord")
class DecordReader(VideoReader):
    """Decode with decord.

    Args:
        path: the video file.
        num_threads: decoding threads; 0 lets decord choose.
    Raises:
        VideoError: an MPEG transport or program stream, in which decord seeks to other frames than those asked for.
    """

    def __init__(self, path: str | Path, num_threads: int = 1) -> None:
        super().__init__(path)
        if _is_mpeg_stream(self.path):
            raise VideoError(
                f"video {self.path} is an MPEG stream, in which decord finds wrong frames; use reader 'pyav'"
            )
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

    def __len__(self) -> int:
        return len(self._video)

    def times(self) -> np.ndarray | None:
        starts = self._video.get_frame_timestamp(np.arange(len(self)))[:, 0].astype(np.float64)
        return starts - starts[0]

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

    def close(self) -> None:
        self._video = None


def _is_mpeg_stream(path):
    """Does a file begin as transport streams (packets of 188 bytes, or of 192 with their times) or program streams?"""
    with open(path, "rb") as file:
        head = file.read(256)
    packets = any(head[at : at + 1] == head[at + size : at + size + 1] == b"G" for at, size in ((0, 188), (4, 192)))
    return packets or head.startswith(b"\0\0\1\xba")


def _first_line(error):
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
