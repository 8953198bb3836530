"""The runs of frames of one video file, in one pass over it and in bounded memory.

T frames of a run, S side, R rows (frames seen) of the video
"""

import inspect
from pathlib import Path

import numpy as np
import torch

from ..ops.records import UnitMeta
from ..registry import DATASETS
from ..utils.validation import check_count
from .frame_stream import FrameStreamDataset
from .readers import VideoError, open_video
from .squashed_frames import SquashedFrames
from .stream import FRAMES_AT_ONCE, uneven_times

SETTINGS = ("stride", "chunk", "size", "interpolation", "reader", "num_threads")


class VideoRows:
    """Samples of one video, the very ones that `FrameStreamDataset` of these settings gives for it, without a class.

    Iterate once. Frames are decoded in order, each once, and squashed a few at a time. Attributes: `frames` of the
    file, `fps`, `stride`, `numbers` of the frames that are rows, int64 (R,), and `edges_sec` float64 (R + 1,), where
    row r lasts from edge r to edge r + 1 as a player shows it.

    Args:
        cfg: config of a `FrameStreamDataset` (`dataset.test`); its files are not needed.
        path: the video file.
        stride: video frames from one row to the next; None: that of `cfg`.
    Raises:
        FileNotFoundError, VideoError: the file is missing or cannot be read.
        ValueError: the config is of another dataset, a stride that is none.
    """

    collate = staticmethod(FrameStreamDataset.collate)

    def __init__(self, cfg, path, *, stride=None):
        settings = stream_settings(cfg)
        self.path, self.chunk = Path(path), check_count("chunk", settings["chunk"])
        self.stride = check_count("stride", settings["stride"] if stride is None else stride)
        self._pixels = _Pixels.of(settings)
        self._reader = open_video(self.path, settings["reader"], settings["num_threads"])
        self.frames, self.fps = len(self._reader), float(self._reader.fps)
        if not self.fps > 0:
            self.close()
            raise VideoError(f"video {self.path} does not tell its frames per second")
        self.numbers = np.arange(0, self.frames, self.stride)
        edges, shown = np.append(self.numbers, self.frames), uneven_times(self._reader.times(), self.fps)
        self.edges_sec = edges / self.fps if shown is None else shown[edges]

    def __len__(self):
        return -(-len(self.numbers) // self.chunk)

    def __iter__(self):
        parts, held = self._pixels.in_order(self._reader, self.numbers), None
        for start in range(0, len(self.numbers), self.chunk):
            rows = min(self.chunk, len(self.numbers) - start)
            while held is None or len(held) < rows:
                part = next(parts)
                held = part if held is None else torch.cat([held, part])
            inside = torch.arange(self.chunk)
            yield {
                "inputs": held[inside.clamp(max=rows - 1)],
                "valid": inside < rows,
                "label": -1,
                "meta": UnitMeta(self.path.stem, start, rows, self.frames),
            }
            held = held[rows:]

    def close(self):
        """Let go of the file."""
        self._reader.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class _Pixels(SquashedFrames):
    """Squares from a reader that is open already."""

    @classmethod
    def of(cls, settings):
        """By the settings of a `FrameStreamDataset`."""
        return cls(settings["size"], interpolation=settings["interpolation"], reader=settings["reader"])

    def in_order(self, reader, frames):
        """Yield uint8 (<= FRAMES_AT_ONCE, 3, S, S) of rising frame numbers."""
        for images in reader.in_order(frames, FRAMES_AT_ONCE):
            yield torch.from_numpy(np.ascontiguousarray(self._squash(images).transpose(0, 3, 1, 2)))


def stream_settings(cfg):
    """The `SETTINGS` of the config of a `FrameStreamDataset`, defaults filled in.

    Raises:
        ValueError: the config is that of another dataset.
    """
    kind = DATASETS.find(cfg["type"])
    if not (isinstance(kind, type) and issubclass(kind, FrameStreamDataset)):
        raise ValueError(f"videos are seen as a FrameStreamDataset gives them, but dataset.test is a {cfg['type']}")
    parameters = inspect.signature(kind).parameters
    return {name: cfg.get(name, parameters[name].default) for name in SETTINGS}


def read_squares(cfg, path, frames):
    """Frames of a file as the model sees them, rising numbers.  int (T,) -> uint8 (T, 3, S, S)"""
    return _Pixels.of(stream_settings(cfg)).read(Path(path), frames)
