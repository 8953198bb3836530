"""Videos read in one pass, a few frames at a time, with the seconds at which their frames are shown.

n frames of a video, N frames of a batch, H, W height and width
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ...ops.windows import second_of_frames, spread
from ...utils.prefetch import ahead
from ..readers.base import VideoError, VideoReader, open_video

FRAMES_AT_ONCE = 16  # held at full size: 100 MB of 1080p
SLACK_SEC = 1e-3  # some containers round times to milliseconds


def uneven_times(times: np.ndarray | None, fps: float) -> np.ndarray | None:
    """When each of n frames is shown and the last one ends, (n + 1,) seconds, where an even rate does not say it.

    None where no frame is further than one frame from number / `fps`, or where `times` (n,) are not known.
    """
    if times is None or np.abs(times - np.arange(len(times)) / fps).max() <= 1 / fps + SLACK_SEC:
        return None
    # how long the last frame stays is not known: as long as most
    return np.append(times, times[-1] + np.median(np.diff(times)))


class VideoStream:
    """One video file that is read in one pass.

    Attributes: `path`, `frames` n, `fps` (average), `duration_sec`.

    Args:
        path: the video file.
        reader: name of the video reader.
        num_threads: its decoding threads.
    Raises:
        FileNotFoundError, VideoError: the file is missing or cannot be read, or has no frame rate.
    """

    def __init__(self, path: str | Path, reader: str = "pyav", num_threads: int = 1) -> None:
        self.path = Path(path)
        self._reader = open_video(self.path, reader, num_threads)
        self.frames, self.fps = len(self._reader), float(self._reader.fps)
        if not self.fps > 0:
            self.close()
            raise VideoError(f"video {self.path} has no frame rate")
        self.duration_sec = self.frames / self.fps
        self._shown = uneven_times(self._reader.times(), self.fps)

    @property
    def uneven(self) -> bool:
        """Are frames shown at other times than their number at the average rate says?"""
        return self._shown is not None

    def player_sec(self, seconds: np.ndarray | float) -> np.ndarray:
        """Seconds at the average rate (number of a frame / `fps`) as the seconds at which a player shows it.

        (...) -> (...) float64.
        """
        seconds = np.asarray(seconds, np.float64)
        if self._shown is None:
            return seconds
        return np.interp(seconds * self.fps, np.arange(len(self._shown)), self._shown)

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def __enter__(self) -> "VideoStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
    facts: dict[str, Any] = field(default_factory=dict)
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

    def __init__(
        self,
        paths: Iterable[str | Path],
        prepare: Callable[[torch.Tensor], torch.Tensor],
        *,
        batch_size: int,
        frames_per_second: int | None = None,
        reader: str = "pyav",
        num_threads: int = 1,
    ) -> None:
        self.paths, self.prepare, self.batch_size = list(paths), prepare, batch_size
        self.frames_per_second, self.reader, self.num_threads = frames_per_second, reader, num_threads

    def __iter__(self) -> Iterator[FrameBatch]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in range(first, len(self.paths), step):
            try:
                yield from self._video(number)
            except (VideoError, OSError) as error:
                yield FrameBatch(number, error=str(error))

    def _video(self, number: int) -> Iterator[FrameBatch]:
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


def batches_ahead(frames: SecondFrames, workers: int) -> AbstractContextManager[Iterator[FrameBatch]]:
    """Context of the batches of `SecondFrames`, decoded in `workers` processes (0: in a thread) ahead of their use."""
    return closing(ahead(DataLoader(frames, batch_size=None, num_workers=workers, collate_fn=_as_it_is)))


def _as_it_is(batch):
    return batch


def describe(video: VideoReader) -> tuple[dict[str, Any], np.ndarray]:
    """(facts, int64 (frames,) second in which each frame appears) of an open video.

    Times of frames are those of the file, so that a variable frame rate is followed; files without times are taken at
    their frame rate.

    Raises:
        VideoError: neither times nor a frame rate.
    """
    times = video.times()
    if times is None and not video.fps > 0:
        raise VideoError(f"video {video.path} has neither times of its frames nor a frame rate; re-encode it")
    if times is None:
        times = np.arange(len(video)) / video.fps
    seconds = second_of_frames(times)
    duration = max(len(video) / video.fps if video.fps > 0 else 0.0, float(times[-1]))
    rows = int(seconds[-1]) + 1
    facts = {"fps": round(float(video.fps), 6), "frames": len(video), "duration_sec": round(duration, 6), "rows": rows}
    return facts, seconds
