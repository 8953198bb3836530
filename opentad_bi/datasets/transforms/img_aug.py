"""RandAugment (Cubuk et al., NeurIPS 2020) on video: the same operations on all frames of a sample.

T' frames, H height, W width; all operations take and give uint8 (T', H, W, 3), contiguous
"""

import math
from random import Random

import cv2
import numpy as np

from ...registry import TRANSFORMS
from .color import adjust_brightness, adjust_contrast, adjust_saturation, look_up, look_up_each, to_table
from .compose import Results

LEVEL = 0.9
FACTOR = 1.8 * LEVEL + 0.1


@TRANSFORMS.register_module()
class ImgAug:
    """Two different operations of 15 at magnitude 9 of 10, drawn for every sample, signs included.

    The reference samples the signs once, when the pipeline is built.

    Args:
        transforms: "default", the only set there is.
    """

    def __init__(self, transforms: str = "default") -> None:
        if transforms != "default":
            raise ValueError(f"ImgAug transforms {transforms!r}: the set is called 'default'")

    def __call__(self, results: Results) -> Results:
        imgs, rng = np.ascontiguousarray(results["imgs"]), results["rng"]
        for i in sorted(rng.sample(range(len(OPERATIONS)), 2)):
            imgs = OPERATIONS[i](imgs, rng)
        results["imgs"] = imgs
        return results


def _sign(rng):
    return rng.choice((-1, 1))


def _affine(imgs, matrix):
    """Move pixels by the (2, 3) matrix about the centre of the frame; black comes in from outside."""
    height, width = imgs.shape[1:3]
    centre = np.asarray([(width - 1) / 2, (height - 1) / 2])
    matrix = np.asarray(matrix, dtype=np.float64)
    matrix[:, 2] += centre - matrix[:, :2] @ centre
    out = np.empty_like(imgs)
    for image, place in zip(imgs, out, strict=True):
        cv2.warpAffine(image, matrix, (width, height), dst=place, flags=cv2.INTER_LINEAR)
    return out


def shear_x(imgs: np.ndarray, rng: Random) -> np.ndarray:
    """Slant by 15.5 degrees to one side."""
    return _affine(imgs, [[1, _sign(rng) * math.tan(math.radians(17.19 * LEVEL)), 0], [0, 1, 0]])


def shear_y(imgs: np.ndarray, rng: Random) -> np.ndarray:
    """Slant by 15.5 degrees up or down."""
    return _affine(imgs, [[1, 0, 0], [_sign(rng) * math.tan(math.radians(17.19 * LEVEL)), 1, 0]])


def translate_x(imgs: np.ndarray, rng: Random) -> np.ndarray:
    """Move by 18 % of the width."""
    return _affine(imgs, [[1, 0, _sign(rng) * 0.2 * LEVEL * imgs.shape[2]], [0, 1, 0]])


def translate_y(imgs: np.ndarray, rng: Random) -> np.ndarray:
    """Move by 18 % of the height."""
    return _affine(imgs, [[1, 0, 0], [0, 1, _sign(rng) * 0.2 * LEVEL * imgs.shape[1]]])


def rotate(imgs: np.ndarray, rng: Random) -> np.ndarray:
    """Turn by 27 degrees."""
    angle = _sign(rng) * math.radians(30 * LEVEL)
    cosine, sine = math.cos(angle), math.sin(angle)
    return _affine(imgs, [[cosine, -sine, 0], [sine, cosine, 0]])


def posterize(imgs: np.ndarray, rng: Random) -> np.ndarray:
    """Keep the 3 highest bits."""
    return look_up(imgs, np.arange(256, dtype=np.uint8) & 0b11100000)


def solarize(imgs: np.ndarray, rng: Random) -> np.ndarray:
    """Invert what is at least 230.4."""
    values = np.arange(256)
    return look_up(imgs, np.where(values >= 256 * LEVEL, 255 - values, values).astype(np.uint8))


def color(imgs: np.ndarray, rng: Random) -> np.ndarray:
    """Stronger colours."""
    return adjust_saturation(imgs, FACTOR)


def contrast(imgs: np.ndarray, rng: Random) -> np.ndarray:
    """Stronger contrast."""
    return adjust_contrast(imgs, FACTOR)


def brightness(imgs: np.ndarray, rng: Random) -> np.ndarray:
    """More light."""
    return adjust_brightness(imgs, FACTOR)


def sharpness(imgs: np.ndarray, rng: Random) -> np.ndarray:
    """Blend away from the smoothed frame."""
    kernel = np.asarray([[1, 1, 1], [1, 5, 1], [1, 1, 1]], dtype=np.float32) / 13
    kernel = (1 - FACTOR) * kernel
    kernel[1, 1] += FACTOR
    return np.stack([cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE) for image in imgs])


def autocontrast(imgs: np.ndarray, rng: Random) -> np.ndarray:
    """Stretch each channel of each frame to the full range."""
    # rows first: both axes at once are 10 times slower
    low = imgs.min(axis=1).min(axis=1).astype(np.float32)[:, None]
    high = imgs.max(axis=1).max(axis=1).astype(np.float32)[:, None]
    values = np.arange(256, dtype=np.float32)[None, :, None]
    stretched = np.where(high > low, (values - low) * (255 / np.maximum(high - low, 1)), values)
    return look_up_each(imgs, to_table(stretched))


def equalize(imgs: np.ndarray, rng: Random) -> np.ndarray:
    """Even out the histogram of each channel of each frame."""
    out = np.empty_like(imgs)
    for image, place in zip(imgs, out, strict=True):
        cv2.merge([cv2.equalizeHist(channel) for channel in cv2.split(image)], dst=place)
    return out


def invert(imgs: np.ndarray, rng: Random) -> np.ndarray:
    """The negative."""
    return cv2.bitwise_not(imgs)


def cutout(imgs: np.ndarray, rng: Random) -> np.ndarray:
    """A gray square of 18 % of the short side (DeVries and Taylor, 2017), its centre anywhere in the frame."""
    height, width = imgs.shape[1:3]
    half = 0.2 * LEVEL * min(height, width) / 2
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    out = imgs.copy()
    out[:, max(0, round(y - half)) : round(y + half), max(0, round(x - half)) : round(x + half)] = 128
    return out


OPERATIONS = (
    shear_x,
    shear_y,
    translate_x,
    translate_y,
    rotate,
    posterize,
    solarize,
    color,
    contrast,
    brightness,
    sharpness,
    autocontrast,
    equalize,
    invert,
    cutout,
)
