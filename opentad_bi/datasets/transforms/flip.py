"""Mirror images."""

import cv2
import numpy as np

from ...registry import TRANSFORMS
from .draws import check_probability
from .pixels import sheet


@TRANSFORMS.register_module()
class Flip:
    """Mirror all frames of a sample left to right, or none. Labels stay as they are.

    Args:
        flip_ratio: probability.
        vertical: turn top and bottom instead.
    """

    def __init__(self, flip_ratio=0.5, vertical=False):
        self.flip_ratio = check_probability("flip_ratio", flip_ratio)
        self.vertical = vertical

    def __call__(self, results):
        if results["rng"].random() < self.flip_ratio:
            imgs = np.ascontiguousarray(results["imgs"])
            # top and bottom of a sheet are not those of its frames
            mirrored = np.ascontiguousarray(imgs[:, ::-1]) if self.vertical else cv2.flip(sheet(imgs), 1)
            results["imgs"] = mirrored.reshape(imgs.shape)
        return results
