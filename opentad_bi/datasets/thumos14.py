"""THUMOS14 (Jiang et al., 2014), and any data set with the same annotation format.

n grid positions of a video, W windows
"""

from dataclasses import dataclass

import numpy as np

from ..ops.windows import OVERLAP, clip_segments, cut_windows
from ..registry import DATASETS
from .base import AnnotationDataset


@DATASETS.register_module()
@dataclass(kw_only=True, eq=False, repr=False)
class ThumosPaddingDataset(AnnotationDataset):
    """One sample per video: the whole of it, for the pipeline to cut and pad.  Arguments: see `AnnotationDataset`."""

    def __len__(self):
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

    def __len__(self):
        return len(self._windows)

    def windows(self):
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
