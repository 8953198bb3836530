"""Mirror images."""

import cv2
import numpy as np

from ...registry import TRANSFORMS
from .pixels import sheet


@TRANSFORMS.register_module()
class Flip:
    """Mirror all frames of a sample left to right, or none.

    Args:
        flip_ratio: probability.
    """

    def __init__(self, flip_ratio=0.5):
        if not 0 <= flip_ratio <= 1:
            raise ValueError(f"flip_ratio {flip_ratio} is not a probability")
        self.flip_ratio = flip_ratio

    def __call__(self, results):
        if results["rng"].random() < self.flip_ratio:
            imgs = np.ascontiguousarray(results["imgs"])
            results["imgs"] = cv2.flip(sheet(imgs), 1).reshape(imgs.shape)
        return results
