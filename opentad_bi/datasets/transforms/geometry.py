"""Sizes, crops and mirror images of frames, the same for all frames of a sample; black strips of films.

T' frames, H height, W width
"""

import math
from collections.abc import Sequence
from random import Random

import cv2
import numpy as np

from ...registry import TRANSFORMS
from .color import sheet
from .compose import Results, check_probability, check_range, random_box


@TRANSFORMS.register_module()
class Resize:
    """Resize all frames.

    Args:
        scale: (width, height). With `keep_ratio`, the frame is made as large as fits (long and short side), -1 standing
            for no bound: (-1, 182) makes the short side 182.
        keep_ratio: keep width / height.
    """

    def __init__(self, scale: Sequence[int], keep_ratio: bool = True) -> None:
        scale = tuple(scale)
        if len(scale) != 2 or max(scale) <= 0 or (not keep_ratio and min(scale) <= 0):
            raise ValueError(f"Resize scale {scale} with keep_ratio {keep_ratio} is not a size (width, height)")
        self.scale = scale
        self.keep_ratio = keep_ratio

    def __call__(self, results: Results) -> Results:
        results["imgs"] = resize(results["imgs"], self.size(*results["imgs"].shape[1:3]))
        return results

    def size(self, height: int, width: int) -> tuple[int, int]:
        """New (width, height)."""
        if not self.keep_ratio:
            return self.scale
        bounds = sorted(math.inf if side == -1 else side for side in self.scale)
        factor = min(bounds[1] / max(height, width), bounds[0] / min(height, width))
        return int(width * factor + 0.5), int(height * factor + 0.5)


def resize(imgs: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 (T', H, W, 3) -> (T', height, width, 3) for `size` (width, height)."""
    width, height = size
    if imgs.shape[1:3] == (height, width):
        return imgs
    out = np.empty((len(imgs), height, width, 3), dtype=np.uint8)
    for image, place in zip(imgs, out, strict=True):
        cv2.resize(image, size, dst=place, interpolation=cv2.INTER_LINEAR)
    return out


@TRANSFORMS.register_module()
class CenterCrop:
    """The middle of the frame.

    Args:
        crop_size: side of a square, or (width, height).
    """

    def __init__(self, crop_size: int | Sequence[int]) -> None:
        self.size = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size)

    def __call__(self, results: Results) -> Results:
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

    def __init__(
        self, area_range: Sequence[float] = (0.08, 1.0), aspect_ratio_range: Sequence[float] = (3 / 4, 4 / 3)
    ) -> None:
        self.area_range = check_range("RandomResizedCrop area_range", area_range)
        self.aspect_ratio_range = check_range("RandomResizedCrop aspect_ratio_range", aspect_ratio_range)

    def __call__(self, results: Results) -> Results:
        height, width = results["imgs"].shape[1:3]
        left, top, right, bottom = self.box(height, width, results["rng"])
        results["imgs"] = results["imgs"][:, top:bottom, left:right]
        return results

    def box(self, height: int, width: int, rng: Random) -> tuple[int, int, int, int]:
        """Sample (left, top, right, bottom): the first of 10 that fits, else the largest central square."""
        box = random_box(height, width, self.area_range, self.aspect_ratio_range, rng=rng)
        if box is not None:
            return box
        side = min(height, width)
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side


@TRANSFORMS.register_module()
class Flip:
    """Mirror all frames of a sample left to right, or none. Labels stay as they are.

    Args:
        flip_ratio: probability.
        vertical: turn top and bottom instead.
    """

    def __init__(self, flip_ratio: float = 0.5, vertical: bool = False) -> None:
        self.flip_ratio = check_probability("flip_ratio", flip_ratio)
        self.vertical = vertical

    def __call__(self, results: Results) -> Results:
        if results["rng"].random() < self.flip_ratio:
            imgs = np.ascontiguousarray(results["imgs"])
            # top and bottom of a sheet are not those of its frames
            mirrored = np.ascontiguousarray(imgs[:, ::-1]) if self.vertical else cv2.flip(sheet(imgs), 1)
            results["imgs"] = mirrored.reshape(imgs.shape)
        return results


DARK = 15  # of 255


def picture_rows(imgs: np.ndarray) -> tuple[int, int]:
    """The rows that are not a black strip at the top or at the bottom.

    A row is black if its grey values, the brightest over time, are at most 15 on average. Columns are not looked at.
    Strips that leave less than a third of the rows are not a format of films, and stay: a caption in the dark would
    otherwise be blown up to frames of enormous width.

    Args:
        imgs: uint8 (T', H, W, 3).
    Returns:
        first row, and the row behind the last; all rows where less than a third would remain.
    """
    frames, height, width, _ = imgs.shape
    grey = cv2.cvtColor(sheet(np.ascontiguousarray(imgs)), cv2.COLOR_RGB2GRAY).reshape(frames, height, width)
    bright = np.flatnonzero(grey.max(axis=0).mean(axis=1) > DARK)
    top, bottom = (int(bright[0]), int(bright[-1]) + 1) if len(bright) else (0, 0)
    return (top, bottom) if 3 * (bottom - top) >= height else (0, height)
