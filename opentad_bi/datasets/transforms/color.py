"""Colours of frames, noise, blur and covered parts; all frames of a sample are changed alike.

Functions take and give (T', H, W, 3) uint8, contiguous. What acts on single pixels sees the frames as one tall image,
so that OpenCV runs once over all of them.

T' frames, H height, W width
"""

from collections.abc import Sequence

import cv2
import numpy as np

from ...registry import TRANSFORMS
from .compose import Results, check_probability, check_range, random_box

# luma of ITU-R BT.601
LUMA = np.asarray([[0.2989, 0.587, 0.114]], dtype=np.float32)


def sheet(imgs: np.ndarray) -> np.ndarray:
    """(T', H, W, 3) -> (T' * H, W, 3), no copy."""
    frames, height, width, channels = imgs.shape
    return imgs.reshape(frames * height, width, channels)


def look_up(imgs: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Replace every value by its entry in `table`, (256,) or (256, 3) uint8."""
    return _look_up(sheet(imgs), table.reshape(256, -1)).reshape(imgs.shape)


def look_up_each(imgs: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """Replace values of frame t and channel c by `tables[t, :, c]`; tables (T', 256, 3), or (T', 256, 1) for all c."""
    return np.stack([_look_up(image, table) for image, table in zip(imgs, tables, strict=True)])


def _look_up(image, table):
    """(H, W, 3) through (256, 1) or (256, 3)"""
    if table.shape[1] == 1:
        # values one by one: twice as fast as three channels with the same table
        return cv2.LUT(image.reshape(len(image), -1), np.ascontiguousarray(table.T)).reshape(image.shape)
    return cv2.LUT(image, np.ascontiguousarray(table)[None])


def to_table(values: np.ndarray) -> np.ndarray:
    """Float values 0 to 255 rounded into uint8."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def blend(imgs: np.ndarray, other: np.ndarray, factor: float) -> np.ndarray:
    """`other + factor * (imgs - other)`, rounded, kept within 0 to 255; a factor above 1 leads away from `other`."""
    mixed = cv2.addWeighted(sheet(imgs), factor, sheet(other), 1 - factor, 0)
    return mixed.reshape(imgs.shape)


def gray(imgs: np.ndarray) -> np.ndarray:
    """Luma in all three channels."""
    return cv2.transform(sheet(imgs), np.repeat(LUMA, 3, axis=0)).reshape(imgs.shape)


def adjust_brightness(imgs: np.ndarray, factor: float) -> np.ndarray:
    """Blend with black."""
    return look_up(imgs, to_table(np.arange(256) * factor))


def adjust_contrast(imgs: np.ndarray, factor: float) -> np.ndarray:
    """Blend each frame with its own mean luma."""
    means = np.asarray([cv2.mean(image)[:3] for image in imgs]) @ LUMA[0]
    values = means[:, None] + factor * (np.arange(256) - means[:, None])
    return look_up_each(imgs, to_table(values)[:, :, None])


def adjust_saturation(imgs: np.ndarray, factor: float) -> np.ndarray:
    """Blend with gray."""
    return blend(imgs, gray(imgs), factor)


def adjust_hue(imgs: np.ndarray, shift: int) -> np.ndarray:
    """Turn the hue by `shift`, in steps of OpenCV's scale (180 for the circle)."""
    hsv = cv2.cvtColor(sheet(imgs), cv2.COLOR_RGB2HSV)
    table = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    table[:, 0] = (np.arange(256) + shift) % 180
    return cv2.cvtColor(cv2.LUT(hsv, table[None]), cv2.COLOR_HSV2RGB).reshape(imgs.shape)


@TRANSFORMS.register_module()
class ColorJitter:
    """Change brightness, contrast, saturation and hue, by the same amounts in all frames of a sample.

    The order of the four is drawn for every sample (the reference samples it once, when the pipeline is built).

    Args:
        brightness: a factor is drawn from [1 - brightness, 1 + brightness], not below 0.
        contrast: likewise.
        saturation: likewise.
        hue: a turn is drawn from [-hue, hue]; 1 is 255 of OpenCV's 180 steps.
    """

    def __init__(
        self, brightness: float = 0.5, contrast: float = 0.5, saturation: float = 0.5, hue: float = 0.1
    ) -> None:
        self.amounts = {
            adjust_brightness: brightness,
            adjust_contrast: contrast,
            adjust_saturation: saturation,
            adjust_hue: hue,
        }
        if min(self.amounts.values()) < 0 or hue > 0.5:
            raise ValueError("ColorJitter needs amounts of at least 0, and hue at most 0.5")

    def __call__(self, results: Results) -> Results:
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


@TRANSFORMS.register_module()
class GaussianBlur:
    """Blur all frames of a sample by the same amount, or none.

    Args:
        probability: of a sample to be blurred.
        kernel: side of the kernel in pixels, odd.
        sigma: (low, high), of which the standard deviation is drawn evenly, in pixels.
    """

    def __init__(self, probability: float = 0.5, kernel: int = 5, sigma: Sequence[float] = (0.1, 2.0)) -> None:
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"GaussianBlur kernel {kernel} is not an odd number of pixels")
        self.probability = check_probability("GaussianBlur probability", probability)
        self.kernel = kernel
        self.sigma = check_range("GaussianBlur sigma", sigma)

    def __call__(self, results: Results) -> Results:
        rng = results["rng"]
        if rng.random() < self.probability:
            sigma = rng.uniform(*self.sigma)
            out = np.empty(results["imgs"].shape, dtype=np.uint8)
            for image, place in zip(results["imgs"], out, strict=True):
                cv2.GaussianBlur(image, (self.kernel, self.kernel), sigma, dst=place)
            results["imgs"] = out
        return results


@TRANSFORMS.register_module()
class SaltAndPepper:
    """Turn single pixels white or black, either half of them, at the same places in all frames of a sample.

    Args:
        probability: of a pixel to be turned.
    """

    def __init__(self, probability: float) -> None:
        self.probability = check_probability("SaltAndPepper probability", probability)

    def __call__(self, results: Results) -> Results:
        if self.probability:
            height, width = results["imgs"].shape[1:3]
            # a quarter of a million draws are too slow in plain Python
            draws = np.random.default_rng(results["rng"].getrandbits(64)).random((height, width))
            imgs = results["imgs"].copy()
            imgs[:, draws < self.probability] = 255
            imgs[:, draws < self.probability / 2] = 0
            results["imgs"] = imgs
        return results


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

    def __init__(
        self,
        probability: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        fill: Sequence[int] = CLIP_MEAN,
    ) -> None:
        self.probability = check_probability("Cutout probability", probability)
        self.scale = check_range("Cutout scale", scale)
        self.ratio = check_range("Cutout ratio", ratio)
        self.fill = tuple(fill)

    def __call__(self, results: Results) -> Results:
        rng = results["rng"]
        if rng.random() < self.probability:
            height, width = results["imgs"].shape[1:3]
            box = random_box(height, width, self.scale, self.ratio, rng=rng)
            if box is not None:
                left, top, right, bottom = box
                results["imgs"] = results["imgs"].copy()
                results["imgs"][:, top:bottom, left:right] = self.fill
        return results
