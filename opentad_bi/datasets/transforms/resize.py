"""Change of size, by OpenCV's bilinear interpolation (what the released checkpoints were trained with)."""

import math

import cv2
import numpy as np

from ...registry import TRANSFORMS

# T' frames, H height, W width


@TRANSFORMS.register_module()
class Resize:
    """Resize all frames.

    Args:
        scale: (width, height). With `keep_ratio`, the frame is made as large as fits (long and short side), -1 standing
            for no bound: (-1, 182) makes the short side 182.
        keep_ratio: keep width / height.
    """

    def __init__(self, scale, keep_ratio=True):
        scale = tuple(scale)
        if len(scale) != 2 or max(scale) <= 0 or (not keep_ratio and min(scale) <= 0):
            raise ValueError(f"Resize scale {scale} with keep_ratio {keep_ratio} is not a size (width, height)")
        self.scale = scale
        self.keep_ratio = keep_ratio

    def __call__(self, results):
        results["imgs"] = resize(results["imgs"], self.size(*results["imgs"].shape[1:3]))
        return results

    def size(self, height, width):
        """New (width, height)."""
        if not self.keep_ratio:
            return self.scale
        bounds = sorted(math.inf if side == -1 else side for side in self.scale)
        factor = min(bounds[1] / max(height, width), bounds[0] / min(height, width))
        return int(width * factor + 0.5), int(height * factor + 0.5)


def resize(imgs, size):
    """uint8 (T', H, W, 3) -> (T', height, width, 3) for `size` (width, height)."""
    width, height = size
    if imgs.shape[1:3] == (height, width):
        return imgs
    out = np.empty((len(imgs), height, width, 3), dtype=np.uint8)
    for image, place in zip(imgs, out, strict=True):
        cv2.resize(image, size, dst=place, interpolation=cv2.INTER_LINEAR)
    return out
