"""A part of the picture covered."""

from ...registry import TRANSFORMS
from .draws import check_probability, check_range, random_box

CLIP_MEAN = (123, 117, 104)  # becomes 0, but for rounding, when normalised for CLIP


@TRANSFORMS.register_module()
class Cutout:
    """Cover one box at the same place in all frames of a sample, or none (DeVries and Taylor, 2017).

    Nothing is covered where none of 10 boxes drawn fits into the frame.

    Args:
        probability: of a sample to be covered.
        scale: (low, high), share of the area of the frame.
        ratio: (low, high), width / height, drawn evenly in its logarithm.
        fill: RGB of the box.
    """

    def __init__(self, probability=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), fill=CLIP_MEAN):
        self.probability = check_probability("Cutout probability", probability)
        self.scale = check_range("Cutout scale", scale)
        self.ratio = check_range("Cutout ratio", ratio)
        self.fill = tuple(fill)

    def __call__(self, results):
        rng = results["rng"]
        if rng.random() < self.probability:
            box = random_box(*results["imgs"].shape[1:3], self.scale, self.ratio, rng=rng)
            if box is not None:
                left, top, right, bottom = box
                results["imgs"] = results["imgs"].copy()
                results["imgs"][:, top:bottom, left:right] = self.fill
        return results
