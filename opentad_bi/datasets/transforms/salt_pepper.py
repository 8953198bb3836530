"""Salt and pepper noise."""

import numpy as np

from ...registry import TRANSFORMS
from .draws import check_probability


@TRANSFORMS.register_module()
class SaltAndPepper:
    """Turn single pixels white or black, either half of them, at the same places in all frames of a sample.

    Args:
        probability: of a pixel to be turned.
    """

    def __init__(self, probability):
        self.probability = check_probability("SaltAndPepper probability", probability)

    def __call__(self, results):
        if self.probability:
            height, width = results["imgs"].shape[1:3]
            # a quarter of a million draws are too slow in plain Python
            draws = np.random.default_rng(results["rng"].getrandbits(64)).random((height, width))
            imgs = results["imgs"].copy()
            imgs[:, draws < self.probability] = 255
            imgs[:, draws < self.probability / 2] = 0
            results["imgs"] = imgs
        return results
