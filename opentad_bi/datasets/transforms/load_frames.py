"""Which frames of a video make a sample.

n candidate frames of the video, T grid positions, T' = T * scale_factor frames, N segments
"""

import numpy as np

from ...registry import TRANSFORMS
from ..readers import find_video, open_video
from .truncate import random_truncation

METHODS = ("random_trunc", "sliding_window")


@TRANSFORMS.register_module()
class LoadFrames:
    """Open the video and choose its frames; the number of frames is that of the decoder, not of the annotation.

    Candidates are the frames 0, s, 2s, ... with s = snippet_stride / scale_factor. Too few are padded by repeating the
    last one.

    Args:
        method: "random_trunc": a random part with whole actions in it, for training. "sliding_window": the window
            that the dataset names.
        trunc_len: T of "random_trunc".
        trunc_thresh: least share of an action that must lie in the part for the action to be kept.
        crop_ratio: a video not longer than `trunc_len` is cut to a random length between these shares of its own.
        scale_factor: frames per grid position.
        reader: name of the video reader.
        num_threads: its decoding threads.
    Adds `reader`, `frame_inds` (T',) int64 and `masks` (T,) bool; shifts and clips the ground truth.
    """

    def __init__(
        self,
        *,
        method,
        trunc_len=None,
        trunc_thresh=0.75,
        crop_ratio=None,
        scale_factor=1,
        reader="pyav",
        num_threads=1,
    ):
        if method not in METHODS:
            raise ValueError(f"LoadFrames method {method!r} is not one of {METHODS}")
        if (method == "random_trunc") != (trunc_len is not None):
            raise ValueError(f"LoadFrames method {method!r} with trunc_len {trunc_len!r}: only random_trunc has one")
        self.method = method
        self.trunc_len = trunc_len
        self.trunc_thresh = trunc_thresh
        self.crop_ratio = crop_ratio
        self.scale_factor = scale_factor
        self.reader = reader
        self.num_threads = num_threads

    def __call__(self, results):
        if "total_frames" not in results:
            self._open(results)
        stride, rest = divmod(results["snippet_stride"], self.scale_factor)
        if rest or stride < 1:
            raise ValueError(
                f"scale_factor {self.scale_factor} does not divide {results['snippet_stride']}, the frames from one "
                "grid position to the next"
            )
        candidates = np.arange(0, results["total_frames"], stride, dtype=np.int64)
        chosen, length = getattr(self, f"_{self.method}")(results, candidates)
        available = len(chosen) // self.scale_factor
        if available == 0:
            raise ValueError(
                f"video {results['video']!r} has {results['total_frames']} frames, none of them in the window from "
                f"frame {results['window_start_frame']}: the annotation does not fit the file"
            )
        missing = length * self.scale_factor - len(chosen)
        results["frame_inds"] = np.pad(chosen, (0, missing), mode="edge")
        results["masks"] = np.arange(length) < available
        return results

    def _open(self, results):
        """Open the file, and that of the reversed video where one is asked for."""
        for key, folder in (("reader", "data_path"), ("back_reader", "back_data_path")):
            if folder in results:
                path = find_video(results[folder], results["video"], results["file_format"])
                results[key] = open_video(path, self.reader, self.num_threads)
        results["total_frames"] = len(results["reader"])

    def _sliding_window(self, results, candidates):
        """The frames of the window, and T."""
        first, last = results["feature_start_idx"], results["feature_end_idx"] + 1
        return candidates[first * self.scale_factor : last * self.scale_factor], results["window_size"]

    def _random_trunc(self, results, candidates):
        """The frames of a random part, and T."""
        scale = np.float32(self.scale_factor)
        start, end, segments, labels = random_truncation(
            results["gt_segments"] * scale,
            results["gt_labels"],
            len(candidates),
            trunc_len=self.trunc_len * self.scale_factor,
            thresh=self.trunc_thresh,
            crop_ratio=self.crop_ratio,
            rng=results["rng"],
        )
        results["gt_segments"], results["gt_labels"] = segments / scale, labels
        return candidates[start:end], self.trunc_len
