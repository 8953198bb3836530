"""The sliding windows of one video file, without annotation, in one pass over the file and in bounded memory.

T grid positions of a window, T' frames of it, N frames of all windows
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...contracts import Windowed
from ...registry import DATASETS, TRANSFORMS, nearest
from ..common.stream import FRAMES_AT_ONCE, VideoStream
from ..readers.base import VideoError
from .pipeline import Collect, DecodeFrames, LoadFrames


class VideoWindows(VideoStream):
    """Samples of one video, the very ones that a sliding dataset of these settings gives for it.

    Iterate once. Frames are decoded in order, each once, and brought to the size of the network a few at a time;
    the small frames are kept as long as a later window needs them. So every step of the pipeline between
    `DecodeFrames` and `Collect` must treat frames one by one and sample nothing, as test pipelines do.

    Args:
        cfg: config of a sliding dataset over frames (`dataset.test`); its files are not needed.
        path: the video file.
        classes: names of the classes.
    Raises:
        FileNotFoundError, VideoError: the file is missing or cannot be read.
        ValueError: the config is not that of windows of frames.
    """

    def __init__(self, cfg: Mapping[str, Any], path: str | Path, classes: Sequence[str]) -> None:
        self._load, self._per_frame, self._per_window = split_pipeline(cfg["pipeline"])
        super().__init__(path, self._load.reader, self._load.num_threads)
        self._dataset = one_video(cfg, self.path, self.frames, self.duration_sec, classes)
        self.fps = self._dataset.videos[0].fps
        self.collate = self._dataset.collate

    def __len__(self) -> int:
        return len(self._dataset)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        windows = [self._plan(index) for index in range(len(self))]
        # what window i and all after it need starts at frame needed[i]
        first = np.asarray([window["frame_inds"].min() for window in windows])
        needed = np.minimum.accumulate(first[::-1])[::-1]
        wanted = np.unique(np.concatenate([window["frame_inds"] for window in windows]))
        chunks: dict[int, np.ndarray] = {}
        decoded, count = self._reader.in_order(wanted, FRAMES_AT_ONCE), 0
        for window, start in zip(windows, needed, strict=True):
            inside = np.searchsorted(wanted, window["frame_inds"])
            oldest = np.searchsorted(wanted, start) // FRAMES_AT_ONCE
            for number in [n for n in chunks if n < oldest]:
                del chunks[number]
            while count <= inside.max() // FRAMES_AT_ONCE:
                chunks[count] = self._small(next(decoded))
                count += 1
            yield self._sample(window, gather(chunks, inside))

    def _plan(self, index):
        """What the pipeline knows of a window before any frame is decoded: `frame_inds` (T',), `masks` (T,) ..."""
        results = self._dataset.describe(index) | {"total_frames": self.frames, "rng": random.Random(index)}
        try:
            return self._load(results)
        except ValueError as error:
            raise VideoError(f"video {self.path}: {error}") from error

    def _small(self, imgs):
        """Frames through the steps that treat them one by one."""
        results = self._dataset.describe(0) | {"imgs": imgs, "rng": random.Random(0)}
        try:
            for step in self._per_frame:
                results = step(results)
        except ValueError as error:
            raise VideoError(f"video {self.path}: {error}") from error
        if len(results["imgs"]) != len(imgs):
            raise ValueError(f"the pipeline makes {len(results['imgs'])} frames of {len(imgs)}; it must keep each")
        # a crop is a view that would keep the whole frames
        return np.ascontiguousarray(results["imgs"])

    def _sample(self, window, imgs):
        results = window | {"imgs": imgs}
        for step in self._per_window:
            results = step(results)
        return results


def split_pipeline(pipeline: Sequence[Mapping[str, Any]]) -> tuple[LoadFrames, list[Callable], list[Callable]]:
    """The steps of a test pipeline over frames, built: what chooses frames, what treats them, what makes the sample.

    Returns:
        (LoadFrames, [steps on single frames], [Collect and what follows it]).
    Raises:
        ValueError: the pipeline reads features, or is not made up so.
    """
    names = [step.get("type") for step in pipeline]
    if "LoadFeats" in names:
        raise ValueError("the network takes features (LoadFeats), not the frames of a video")
    steps = [TRANSFORMS.build(step) for step in pipeline]
    ends = [i for i, step in enumerate(steps) if isinstance(step, Collect)]
    sound = len(steps) > 2 and isinstance(steps[0], LoadFrames) and isinstance(steps[1], DecodeFrames) and ends
    if not sound or steps[0].method != "sliding_window":
        raise ValueError(
            "a video is seen through a pipeline LoadFrames(method='sliding_window'), DecodeFrames, steps on single "
            f"frames, Collect; that of dataset.test is {', '.join(map(str, names))}"
        )
    return steps[0], steps[2 : ends[0]], steps[ends[0] :]


def one_video(cfg: Mapping[str, Any], path: Path, frames: int, duration_sec: float, classes: Sequence[str]) -> Any:
    """The dataset of `cfg` over one video alone, which has no ground truth."""
    entry = {"subset": "video", "duration": duration_sec, "frame": frames, "annotations": []}
    only = {
        "ann_file": {"database": {path.stem: entry}},
        "subset_name": "video",
        "class_map": list(classes),
        "data_path": str(path.parent),
        "block_list": None,
        "fps": -1,
        "test_mode": True,
    }
    dataset = DATASETS.build(dict(cfg) | only)
    if not isinstance(dataset, Windowed):
        sliding = [name for name, kind in DATASETS.module_dict.items() if issubclass(kind, Windowed)]
        raise ValueError(f"dataset.test is a {cfg['type']}, which has no windows; {nearest(cfg['type'], sliding)}")
    return dataset


def gather(chunks: Mapping[int, np.ndarray], positions: np.ndarray) -> np.ndarray:
    """Frames (T', H, W, 3) at `positions` (T',) of a sequence cut into `chunks` {number: (<= n, H, W, 3)}."""
    numbers, offsets = np.divmod(positions, FRAMES_AT_ONCE)
    imgs = np.empty((len(positions), *chunks[numbers[0]].shape[1:]), dtype=np.uint8)
    for number in np.unique(numbers):
        here = numbers == number
        imgs[here] = chunks[number][offsets[here]]
    return imgs
