"""Gaussian blur."""

import cv2
import numpy as np

from ...registry import TRANSFORMS
from .draws import check_probability, check_range


@TRANSFORMS.register_module()
class GaussianBlur:
    """Blur all frames of a sample by the same amount, or none.

    Args:
        probability: of a sample to be blurred.
        kernel: side of the kernel in pixels, odd.
        sigma: (low, high), of which the standard deviation is drawn evenly, in pixels.
    """

    def __init__(self, probability=0.5, kernel=5, sigma=(0.1, 2.0)):
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"GaussianBlur kernel {kernel} is not an odd number of pixels")
        self.probability = check_probability("GaussianBlur probability", probability)
        self.kernel = kernel
        self.sigma = check_range("GaussianBlur sigma", sigma)

    def __call__(self, results):
        rng = results["rng"]
        if rng.random() < self.probability:
            sigma = rng.uniform(*self.sigma)
            out = np.empty(results["imgs"].shape, dtype=np.uint8)
            for image, place in zip(results["imgs"], out, strict=True):
                cv2.GaussianBlur(image, (self.kernel, self.kernel), sigma, dst=place)
            results["imgs"] = out
        return results
