"""Data sets over an annotation file of actions: THUMOS14 (Jiang et al., 2014), and any of the same format.

Padded windows to train, sliding windows to test. All share the videos with ground truth, one pipeline, and samples that
are a function of (index, seed).

n grid positions of a video, W windows
"""

import logging
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...contracts import Dataset
from ...ops.windows import OVERLAP, clip_segments, cut_windows
from ...registry import DATASETS
from ...utils.annotation import named, read_block_list, read_database, select_names
from ...utils.logging import warn
from ..transforms.compose import Compose, Results, Sample
from .annotation import Video, ground_truth, read_class_map, with_length
from .paired import collate

logger = logging.getLogger(__name__)


def number_problem(arguments: dict) -> str:
    """What is wrong with the strides and the fps among the arguments of an `AnnotationDataset`, or ""."""
    for key, value in (("feature_stride", 4), ("sample_stride", 1), ("fps", -1)):
        value = arguments.get(key, value)
        plain = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not plain or (value <= 0 and key != "fps"):
            kind = "a number (-1: as the annotation has it)" if key == "fps" else "a positive number"
            return f"{key}={value!r} of the dataset: {kind} is expected"
    return ""


@dataclass(kw_only=True, eq=False, repr=False)
class AnnotationDataset(Dataset):
    """Samples of annotated videos; a subclass says which windows there are (`_index`, `__len__`, `_results`).

    `dataset[i]` and `dataset[i, seed]` give a sample, a function of (index, seed) alone: all random numbers come from
    one `random.Random(seed)`; without a seed, the index is the seed.

    Args:
        ann_file: annotation JSON, or its content.
        subset_name: name of a subset of it, or a list of names.
        class_map: text file, one class per line, or a list of names.
        data_path: folder of videos or of features, or for features a list of folders.
        pipeline: list of transform configs.
        block_list: left-out videos: names, a JSON list, or a text file with one name per line.
        filter_gt: leave out ground truth not longer than 0 frames.
        feature_stride: frames from one feature (or sampled frame) to the next.
        sample_stride: keep every n-th feature; `feature_stride * sample_stride` frames are one grid position.
        offset_frames: frame within a snippet that stands for it.
        fps: frames per second that the features were made at; -1: as the annotation has it (frame / duration).
        test_mode: no ground truth, and no video is left out for want of it.
        file_format: extension of the videos tried first.
    Raises:
        FileNotFoundError, ValueError: naming the file, video, segment or label, and the choices.
    """

    ann_file: str | dict
    subset_name: str | list[str]
    class_map: str | list[str]
    data_path: str | list[str]
    pipeline: list
    block_list: str | list[str] | None = None
    filter_gt: bool = False
    feature_stride: int = 4
    sample_stride: int = 1
    offset_frames: int = 0
    fps: float = -1
    test_mode: bool = False
    file_format: str = "mp4"
    classes: list[str] = field(init=False)
    videos: list[Video] = field(init=False)

    collate = staticmethod(collate)

    def __post_init__(self):
        if problem := number_problem(vars(self)):
            raise ValueError(problem)
        self.snippet_stride = self.feature_stride * self.sample_stride
        self.classes = read_class_map(self.class_map)
        self._transforms = Compose(self.pipeline)
        self.videos = self._read_videos()
        self._index()

    def _read_videos(self):
        """The videos of the subset; in training those without ground truth are left out."""
        database = read_database(self.ann_file)
        blocked = read_block_list(self.block_list)
        unknown = sorted(blocked - set(database))
        if unknown:
            text = f"block list: {len(unknown)} names are not in {self.ann_file}: {', '.join(unknown)}"
            warn(text, logger=logger)
        names = select_names(database, self.subset_name, blocked, named(self.ann_file))
        classes = {name: label for label, name in enumerate(self.classes)}
        videos, problems = [], []
        for name in names:
            video, found = self._video(name, database[name], classes)
            problems += [f"{name}: {problem}" for problem in found]
            if self.test_mode or len(video.labels):
                videos.append(video)
        if problems:
            warn(
                f"{named(self.ann_file)}: {len(problems)} segments are empty (left out) or not inside their video "
                f"(clipped to it), such as {problems[0]}; opentad-bi check lists them",
                logger=logger,
            )
        if not videos:
            raise ValueError(
                f"annotation {self.ann_file}, subset {self.subset_name!r}: none of {len(names)} videos "
                + ("is left" if self.test_mode else f"has ground truth of a class in {self.class_map}")
            )
        return videos

    def _video(self, name, entry, classes):
        """The record of one video, and the problems of its segments."""
        segments, labels, problems = np.zeros((0, 2), np.float32), np.zeros(0, np.int64), []
        try:
            entry = self._with_length(name, entry)
            duration, frames = float(entry["duration"]), int(entry["frame"])
            if not self.test_mode:
                segments, labels, problems = ground_truth(entry, classes, frames=frames, filter_gt=self.filter_gt)
        except (ValueError, FileNotFoundError) as error:
            raise type(error)(f"{named(self.ann_file)}: video {name!r}: {error}") from error
        fps = float(self.fps) if self.fps > 0 else frames / duration
        return Video(name, frames, fps, duration, segments, labels), problems

    def _with_length(self, name, entry):
        """The entry with `duration` and `frame` as the dataset counts them."""
        if self.fps > 0 and "duration" in entry:
            return {**entry, "frame": max(1, int(entry["duration"] * self.fps))}
        entry = with_length(
            name,
            entry,
            steps=self._transforms.steps,
            data_path=self.data_path,
            file_format=self.file_format,
            feature_stride=self.feature_stride,
        )
        return {**entry, "frame": max(1, int(entry["duration"] * self.fps))} if self.fps > 0 else entry

    def _index(self) -> None:
        """Lay out the samples, once, in compact arrays."""

    def __len__(self) -> int:
        raise TypeError(f"{type(self).__name__} lays out no samples")

    def _results(self, index: int) -> Results:
        """What the pipeline is given of sample `index`."""
        raise TypeError(f"{type(self).__name__} lays out no samples")

    def __getitem__(self, key: int | tuple[int, int]) -> Sample:
        index, seed = key if isinstance(key, tuple) else (key, key)
        return self.sample(index, seed)

    def sample(self, index: int, seed: int, back_data_path: str | Path | Sequence[str | Path] | None = None) -> Sample:
        """Sample `index` with the random numbers of `seed`.

        Args:
            back_data_path: folder (or list, for features) of the reversed videos. If given, the same window is read
                from there too, in forward order, and stands behind the forward one: frames along time, features
                along channels.
        """
        results = self.describe(index)
        results["rng"] = random.Random(int(seed))
        if back_data_path is not None:
            results["back_data_path"] = back_data_path
        return self._transforms(results)

    def describe(self, index: int) -> Results:
        """What the pipeline is given of sample `index`, before sampling."""
        return self._results(range(len(self))[index])

    def _describe(self, video):
        """What every transform may need to know of a video."""
        return {
            "video": video.name,
            "fps": video.fps,
            "duration_sec": video.duration_sec,
            "data_path": self.data_path,
            "file_format": self.file_format,
            "snippet_stride": self.snippet_stride,
            "sample_stride": self.sample_stride,
            "offset_frames": self.offset_frames,
            "window_start_frame": 0,
            "sliding": False,
        }

    def _to_grid(self, segments, window_start_frame=0):
        """Frames to (fractional) grid positions.  (N, 2) float32 -> (N, 2) float32."""
        shifted = segments - np.float32(window_start_frame + self.offset_frames)
        return shifted / np.float32(self.snippet_stride)


@DATASETS.register_module()
@dataclass(kw_only=True, eq=False, repr=False)
class ThumosPaddingDataset(AnnotationDataset):
    """One sample per video: the whole of it, for the pipeline to cut and pad.  Arguments: see `AnnotationDataset`."""

    def __len__(self) -> int:
        return len(self.videos)

    def _results(self, index):
        video = self.videos[index]
        results = self._describe(video)
        if not self.test_mode:
            results["gt_segments"] = self._to_grid(video.segments)
            results["gt_labels"] = video.labels
        return results


@DATASETS.register_module()
@dataclass(kw_only=True, eq=False, repr=False)
class ThumosSlidingDataset(AnnotationDataset):
    """One sample per window of a video; all windows together cover it, and none is there twice.

    With ground truth (not `test_mode`), a window keeps the actions that lie in it by more than `ioa_thresh`, clipped
    to it, and windows without any are left out.

    Args:
        window_size: grid positions of a window.
        window_overlap_ratio: share of a window that the next one repeats.
        ioa_thresh: least share of an action inside the window, exclusive.
        reference_windows: the windows of the reference instead, which may repeat the last one and miss the tail.
        (the rest: see `AnnotationDataset`)
    """

    window_size: int
    window_overlap_ratio: float = OVERLAP
    ioa_thresh: float = 0.75
    reference_windows: bool = False

    def _index(self):
        """`_windows` (W, 3) int64: video, first and last grid position (inclusive)."""
        options = self.window_size, self.window_overlap_ratio, self.reference_windows
        rows = []
        for i, video in enumerate(self.videos):
            n = -(-video.frames // self.snippet_stride)
            rows += [
                (i, start, end - 1)
                for start, end in cut_windows(n, *options)
                if self.test_mode or len(self._truncated(video, start, end - 1)[1])
            ]
        if not rows:
            raise ValueError(
                f"annotation {self.ann_file}, subset {self.subset_name!r}: no window of {self.window_size} positions "
                f"holds more than {self.ioa_thresh} of any action"
            )
        self._windows = np.asarray(rows, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._windows)

    def windows(self) -> list[tuple[str, int, int]]:
        """(video name, first grid position, end) of every sample, in their order."""
        return [(self.videos[i].name, first, last + 1) for i, first, last in self._windows.tolist()]

    def _truncated(self, video, first, last):
        """Ground truth inside grid positions `first` to `last`: segments in frames, labels."""
        span = np.float32(first * self.snippet_stride), np.float32(last * self.snippet_stride)
        clipped, share = clip_segments(video.segments, *span)
        kept = share > self.ioa_thresh
        return clipped[kept], video.labels[kept]

    def _results(self, index):
        i, first, last = self._windows[index].tolist()
        video = self.videos[i]
        start = first * self.snippet_stride
        results = self._describe(video) | {
            "sliding": True,
            "window_size": self.window_size,
            "window_start_frame": start,
            "feature_start_idx": first,
            "feature_end_idx": last,
        }
        if not self.test_mode:
            segments, labels = self._truncated(video, first, last)
            results["gt_segments"] = self._to_grid(segments, start)
            results["gt_labels"] = labels
        return results
