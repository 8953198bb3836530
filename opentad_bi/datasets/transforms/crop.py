"""Crops, the same for all frames of a sample."""

import math

from ...registry import TRANSFORMS

# T' frames, H height, W width


@TRANSFORMS.register_module()
class CenterCrop:
    """The middle of the frame.

    Args:
        crop_size: side of a square, or (width, height).
    """

    def __init__(self, crop_size):
        self.size = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size)

    def __call__(self, results):
        (height, width), (crop_width, crop_height) = results["imgs"].shape[1:3], self.size
        if crop_width > width or crop_height > height:
            raise ValueError(f"CenterCrop {self.size} (width, height) is larger than the frame {(width, height)}")
        left, top = (width - crop_width) // 2, (height - crop_height) // 2
        results["imgs"] = results["imgs"][:, top : top + crop_height, left : left + crop_width]
        return results


@TRANSFORMS.register_module()
class RandomResizedCrop:
    """A random part of the frame (Szegedy et al., CVPR 2015), not yet resized.

    Args:
        area_range: share of the area of the frame.
        aspect_ratio_range: width / height, drawn evenly in its logarithm.
    """

    def __init__(self, area_range=(0.08, 1.0), aspect_ratio_range=(3 / 4, 4 / 3)):
        for name, (low, high) in (("area_range", area_range), ("aspect_ratio_range", aspect_ratio_range)):
            if not 0 < low <= high:
                raise ValueError(f"RandomResizedCrop {name} {(low, high)} must be 0 < low <= high")
        self.area_range = area_range
        self.aspect_ratio_range = aspect_ratio_range

    def __call__(self, results):
        height, width = results["imgs"].shape[1:3]
        left, top, right, bottom = self.box(height, width, results["rng"])
        results["imgs"] = results["imgs"][:, top:bottom, left:right]
        return results

    def box(self, height, width, rng):
        """Draw (left, top, right, bottom): the first of 10 that fits, else the largest central square."""
        low, high = map(math.log, self.aspect_ratio_range)
        for _ in range(10):
            aspect = math.exp(rng.uniform(low, high))
            area = rng.uniform(*self.area_range) * height * width
            crop_width, crop_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < crop_width <= width and 0 < crop_height <= height:
                left = rng.randint(0, width - crop_width)
                top = rng.randint(0, height - crop_height)
                return left, top, left + crop_width, top + crop_height
        side = min(height, width)
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side
