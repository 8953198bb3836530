"""Frames of many videos in their order, a few at a time, with the second to which each belongs.

N frames of a batch, H, W height and width
"""

from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ..ops.windows import second_of_frames, spread
from ..utils.prefetch import ahead
from .readers import VideoError, open_video


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
