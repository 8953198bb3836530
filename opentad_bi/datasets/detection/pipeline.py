"""Steps of the pipelines of detectors: frames or features of a window chosen, frames decoded, the sample collected.

n length of the video, T grid positions of the window, T' = T * scale_factor frames, C channels, N segments
"""

from collections.abc import Sequence
from random import Random

import cv2
import numpy as np
import torch

from ...ops.records import SampleMeta
from ...ops.windows import clip_segments
from ...registry import TRANSFORMS
from ..readers.base import VideoError, find_video, open_video
from ..transforms.color import sheet
from ..transforms.compose import Results, Sample


def random_truncation(
    segments: np.ndarray,
    labels: np.ndarray,
    length: int,
    *,
    trunc_len: int,
    thresh: float,
    rng: Random,
    crop_ratio: Sequence[float] | None = None,
    max_num_trials: int = 200,
) -> tuple[int, int, np.ndarray, np.ndarray]:
    """Sample a window of at most `trunc_len` that keeps at least one action.

    A video not longer than `trunc_len` is left as it is or, with `crop_ratio` (low, high), cut to a random length
    between these shares of its own. Of the windows drawn, the first that holds `thresh` of some action is taken, or
    after `max_num_trials` the last. One random number for the length (with `crop_ratio`), then one per window.

    Args:
        segments: (N, 2) float32 in units of `length`.
        labels: (N,) int64.
        length: n.
    Returns:
        start and end of the window; the segments kept, clipped and counted from the start; their labels.
    """
    size = trunc_len
    if length <= trunc_len:
        size = length
        if crop_ratio is not None:
            low, high = round(crop_ratio[0] * length), round(crop_ratio[1] * length)
            size = rng.randint(max(low, 1), min(high, length))
        if size == length:
            return 0, length, segments, labels
    for _ in range(max_num_trials):
        start = rng.randint(0, length - size)
        clipped, share = clip_segments(segments, start, start + size)
        kept = share >= thresh
        if kept.any():
            break
    return start, start + size, clipped[kept] - np.float32(start), labels[kept]


@TRANSFORMS.register_module()
class RandomTrunc:
    """A random window of the features (`random_truncation`), padded with zeros to `trunc_len`.

    Args:
        trunc_len: T.
        trunc_thresh: least share of an action that must lie in the window for the action to be kept.
        crop_ratio: a video not longer than `trunc_len` is cut to a random length between these shares of its own.
        max_num_trials: windows drawn at most.
    """

    def __init__(
        self,
        trunc_len: int,
        trunc_thresh: float = 0.5,
        crop_ratio: Sequence[float] | None = None,
        *,
        max_num_trials: int = 200,
    ) -> None:
        self.trunc_len = trunc_len
        self.trunc_thresh = trunc_thresh
        self.crop_ratio = crop_ratio
        self.max_num_trials = max_num_trials

    def __call__(self, results: Results) -> Results:
        start, end, results["gt_segments"], results["gt_labels"] = random_truncation(
            results["gt_segments"],
            results["gt_labels"],
            len(results["feats"]),
            trunc_len=self.trunc_len,
            thresh=self.trunc_thresh,
            crop_ratio=self.crop_ratio,
            rng=results["rng"],
            max_num_trials=self.max_num_trials,
        )
        return _cut(results, start, end, self.trunc_len)


@TRANSFORMS.register_module()
class SlidingWindowTrunc:
    """The window of the features that the dataset names, padded with zeros to `window_size`."""

    def __call__(self, results: Results) -> Results:
        first, last = results["feature_start_idx"], results["feature_end_idx"] + 1
        if first >= len(results["feats"]):
            raise ValueError(
                f"video {results['video']!r} has {len(results['feats'])} features, none of them in the window from "
                f"position {first}: the annotation does not fit the file"
            )
        return _cut(results, first, last, results["window_size"])


def _cut(results, start, end, length):
    """Features `start` to `end` (exclusive), zeros up to `length`, and the masks."""
    feats = results["feats"][start:end]
    results["feats"] = np.pad(feats, ((0, length - len(feats)), (0, 0)))
    results["masks"] = np.arange(length) < len(feats)
    return results


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
        method: str,
        trunc_len: int | None = None,
        trunc_thresh: float = 0.75,
        crop_ratio: Sequence[float] | None = None,
        scale_factor: int = 1,
        reader: str = "pyav",
        num_threads: int = 1,
    ) -> None:
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

    def __call__(self, results: Results) -> Results:
        if "total_frames" not in results:
            self._open(results)
        stride, rest = divmod(results["snippet_stride"], self.scale_factor)
        if rest or stride < 1:
            raise ValueError(
                f"scale_factor {self.scale_factor} does not divide {results['snippet_stride']}, the frames from one "
                "grid position to the next"
            )
        candidates = np.arange(0, results["total_frames"], stride, dtype=np.int64)
        choose = self._random_trunc if self.method == "random_trunc" else self._sliding_window
        chosen, length = choose(results, candidates)
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


@TRANSFORMS.register_module()
class DecodeFrames:
    """Decode `frame_inds` of the open video into `imgs` uint8 (T', H, W, 3), and close it.

    Where a reversed video is open too, its mirrored frames (frame f is there N - 1 - f of N) stand behind, in forward
    order: (2T', H, W, 3). The steps that follow then sample once for both.
    """

    def __call__(self, results: Results) -> Results:
        with results.pop("reader") as reader:
            results["imgs"] = reader.frames(results["frame_inds"])
        if "back_reader" in results:
            with results.pop("back_reader") as back_reader:
                backward = _mirrored(reader, back_reader, results["frame_inds"])
            results["imgs"] = _behind(results["imgs"], backward, back_reader.path)
        return results


def _mirrored(reader, back_reader, indices):
    """Frames of the reversed video that show what `indices` show in the forward one."""
    if len(reader) != len(back_reader):
        raise VideoError(
            f"video {back_reader.path} has {len(back_reader)} frames, but {reader.path} has {len(reader)}: it is not "
            "the same video reversed; make it again with opentad-bi reverse-videos"
        )
    return back_reader.frames(len(reader) - 1 - indices)


def _behind(forward, backward, path):
    if forward.shape != backward.shape:
        raise VideoError(
            f"video {path} has frames of {backward.shape[1:3]} pixels, the forward one of {forward.shape[1:3]}"
        )
    return np.concatenate([forward, backward])


@TRANSFORMS.register_module()
class Collect:
    """Make the sample: `inputs`, `masks`, `meta`, and what there is of `gt_segments` and `gt_labels`.

    `imgs` (T', H, W, 3) become `inputs` uint8 (3, T', H, W); `feats` (T, C) become float32 (C, T). Without masks, all
    positions are valid.

    Args:
        inputs: "imgs" or "feats".
        keys: which of "masks", "gt_segments", "gt_labels" must be there; those not named are left out, masks never.
            None: those there are.
    """

    def __init__(self, inputs: str = "imgs", keys: Sequence[str] | None = None) -> None:
        if inputs not in ("imgs", "feats"):
            raise ValueError(f"Collect inputs {inputs!r} is not one of 'imgs', 'feats'")
        known = ("masks", "gt_segments", "gt_labels")
        for key in keys or ():
            if key not in known:
                raise ValueError(f"Collect keys: {key!r} is not one of {known}")
        self.inputs = inputs
        self.keys = keys

    def __call__(self, results: Results) -> Sample:
        inputs = to_planes(results["imgs"]) if self.inputs == "imgs" else results["feats"].T
        masks = results.get("masks")
        if masks is None:
            masks = np.ones(inputs.shape[1], dtype=bool)
        sample = {
            "inputs": torch.from_numpy(np.ascontiguousarray(inputs)),
            "masks": torch.from_numpy(masks),
            "meta": _meta(results, int(masks.sum())),
        }
        for key, dtype in (("gt_segments", np.float32), ("gt_labels", np.int64)):
            if self._wants(key, results):
                sample[key] = torch.from_numpy(np.asarray(results[key], dtype=dtype))
        return sample

    def _wants(self, key, results):
        if self.keys is not None and key in self.keys and key not in results:
            raise KeyError(f"Collect keys: video {results['video']!r} has no {key!r}; in test_mode there is none")
        return key in results and (self.keys is None or key in self.keys)


def to_planes(imgs: np.ndarray) -> np.ndarray:
    """uint8 (T', H, W, 3) -> (3, T', H, W), contiguous."""
    imgs = np.ascontiguousarray(imgs)
    frames, height, width, channels = imgs.shape
    planes = np.empty((channels, frames * height, width), dtype=np.uint8)
    cv2.split(sheet(imgs), list(planes))
    return planes.reshape(channels, frames, height, width)


def _meta(results, valid_length):
    return SampleMeta(
        video=results["video"],
        fps=results["fps"],
        duration_sec=results["duration_sec"],
        snippet_stride=results["snippet_stride"],
        window_start_frame=results["window_start_frame"],
        offset_frames=results["offset_frames"],
        valid_length=valid_length,
        sliding=results["sliding"],
    )
