"""The end of a pipeline over views: the sample as a classifier of videos takes it.

V views, T frames of a view, S side
"""

import cv2
import numpy as np
import torch

from ...ops.records import UnitMeta
from ...registry import TRANSFORMS


@TRANSFORMS.register_module()
class CollectClip:
    """Make the sample: `inputs` uint8 (V, T, 3, S, S) of `imgs` (V, T, S, S, 3), `label` int, and `meta`."""

    def __call__(self, results):
        imgs = results["imgs"]
        if imgs.ndim != 5:
            raise ValueError(f"CollectClip: imgs {imgs.shape} are not (V, T, S, S, 3); SpatialViews makes the views")
        return {
            "inputs": torch.from_numpy(to_channels(imgs)),
            "label": int(results["label"]),
            "meta": UnitMeta(video=results["video"], start=0, rows=1),
        }


def to_channels(imgs):
    """uint8 (V, T, S, S, 3) -> (V, T, 3, S, S), contiguous."""
    views, frames, height, width, channels = imgs.shape
    out = np.empty((views, frames, channels, height, width), dtype=np.uint8)
    for image, planes in zip(imgs.reshape(-1, height, width, channels), out.reshape(-1, *out.shape[2:]), strict=True):
        cv2.split(image, list(planes))
    return out
