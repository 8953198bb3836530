"""The end of a pipeline: the sample as the model takes it.

C channels, T grid positions, T' frames, N segments
"""

import cv2
import numpy as np
import torch

from ...ops.records import SampleMeta
from ...registry import TRANSFORMS
from .pixels import sheet


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

    def __init__(self, inputs="imgs", keys=None):
        if inputs not in ("imgs", "feats"):
            raise ValueError(f"Collect inputs {inputs!r} is not one of 'imgs', 'feats'")
        known = ("masks", "gt_segments", "gt_labels")
        for key in keys or ():
            if key not in known:
                raise ValueError(f"Collect keys: {key!r} is not one of {known}")
        self.inputs = inputs
        self.keys = keys

    def __call__(self, results):
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


def to_planes(imgs):
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
