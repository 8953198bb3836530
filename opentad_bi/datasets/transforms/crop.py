"""Crops, the same for all frames of a sample."""

from ...registry import TRANSFORMS
from .draws import check_range, random_box

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
        self.area_range = check_range("RandomResizedCrop area_range", area_range)
        self.aspect_ratio_range = check_range("RandomResizedCrop aspect_ratio_range", aspect_ratio_range)

    def __call__(self, results):
        height, width = results["imgs"].shape[1:3]
        left, top, right, bottom = self.box(height, width, results["rng"])
        results["imgs"] = results["imgs"][:, top:bottom, left:right]
        return results

    def box(self, height, width, rng):
        """Draw (left, top, right, bottom): the first of 10 that fits, else the largest central square."""
        box = random_box(height, width, self.area_range, self.aspect_ratio_range, rng=rng)
        if box is not None:
            return box
        side = min(height, width)
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side
