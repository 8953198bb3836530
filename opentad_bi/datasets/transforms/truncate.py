"""Windows of features, and the random window of training.

n length of the video, T length of the window, C channels, N segments
"""

import numpy as np

from ...ops.windows import clip_segments
from ...registry import TRANSFORMS


def random_truncation(segments, labels, length, *, trunc_len, thresh, rng, crop_ratio=None, max_num_trials=200):
    """Draw a window of at most `trunc_len` that keeps at least one action.

    A video not longer than `trunc_len` is left as it is or, with `crop_ratio` (low, high), cut to a random length
    between these shares of its own. Of the windows drawn, the first that holds `thresh` of some action is taken, or
    after `max_num_trials` the last. One draw for the length (with `crop_ratio`), then one per window.

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

    def __init__(self, trunc_len, trunc_thresh=0.5, crop_ratio=None, *, max_num_trials=200):
        self.trunc_len = trunc_len
        self.trunc_thresh = trunc_thresh
        self.crop_ratio = crop_ratio
        self.max_num_trials = max_num_trials

    def __call__(self, results):
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

    def __call__(self, results):
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
