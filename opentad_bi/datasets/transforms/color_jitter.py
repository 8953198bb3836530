"""Random change of colour."""

import numpy as np

from ...registry import TRANSFORMS
from .pixels import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation


@TRANSFORMS.register_module()
class ColorJitter:
    """Change brightness, contrast, saturation and hue, by the same amounts in all frames of a sample.

    The order of the four is drawn for every sample (the reference draws it once, when the pipeline is built).

    Args:
        brightness: a factor is drawn from [1 - brightness, 1 + brightness], not below 0.
        contrast: likewise.
        saturation: likewise.
        hue: a turn is drawn from [-hue, hue]; 1 is 255 of OpenCV's 180 steps.
    """

    def __init__(self, brightness=0.5, contrast=0.5, saturation=0.5, hue=0.1):
        self.amounts = {
            adjust_brightness: brightness,
            adjust_contrast: contrast,
            adjust_saturation: saturation,
            adjust_hue: hue,
        }
        if min(self.amounts.values()) < 0 or hue > 0.5:
            raise ValueError("ColorJitter needs amounts of at least 0, and hue at most 0.5")

    def __call__(self, results):
        rng = results["rng"]
        operations = list(self.amounts.items())
        rng.shuffle(operations)
        imgs = np.ascontiguousarray(results["imgs"])
        for adjust, amount in operations:
            if not amount:
                continue
            if adjust is adjust_hue:
                imgs = adjust_hue(imgs, int(rng.uniform(-amount, amount) * 255))
            else:
                imgs = adjust(imgs, rng.uniform(max(0.0, 1 - amount), 1 + amount))
        results["imgs"] = imgs
        return results
