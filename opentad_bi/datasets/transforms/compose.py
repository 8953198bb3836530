"""Steps in a row, and what their arguments and random numbers have in common."""

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import cv2
from torch.utils.data import get_worker_info

from ...registry import TRANSFORMS

Results = dict[str, Any]  # what the steps of a pipeline exchange
Sample = dict[str, Any]  # what the last of them makes


def check_probability(where: str, value: Any) -> float:
    """`value` if it is a number from 0 to 1; ValueError naming `where` otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{where} {value!r} is not a probability, a number from 0 to 1")
    return value


def check_range(where: str, value: Sequence[float]) -> tuple[float, float]:
    """`value` as a tuple if it is (low, high) with 0 < low <= high; ValueError naming `where` otherwise."""
    value = tuple(value)
    if len(value) != 2 or not 0 < value[0] <= value[1]:
        raise ValueError(f"{where} {value} must be 0 < low <= high")
    return value


def random_box(
    height: int, width: int, area_range: Sequence[float], aspect_range: Sequence[float], *, rng: Random
) -> tuple[int, int, int, int] | None:
    """Sample a box in a frame: the first of 10 that fits, or None (Szegedy et al., CVPR 2015).

    Args:
        height, width: of the frame, in pixels.
        area_range: share of the area of the frame.
        aspect_range: width / height, drawn evenly in its logarithm.
    Returns:
        left, top, right, bottom; the last two lie behind the box.
    """
    low, high = map(math.log, aspect_range)
    for _ in range(10):
        aspect = math.exp(rng.uniform(low, high))
        area = rng.uniform(*area_range) * height * width
        box_width, box_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < box_width <= width and 0 < box_height <= height:
            left = rng.randint(0, width - box_width)
            top = rng.randint(0, height - box_height)
            return left, top, left + box_width, top + box_height
    return None


class Compose:
    """Apply transforms one after the other.

    In a worker of a data loader OpenCV is kept to one thread: the workers share the cores already, and OpenCV's thread
    pool does not survive the fork.

    Args:
        steps: list of transform configs, such as `dict(type="Flip", flip_ratio=0.5)`.
    """

    def __init__(self, steps: Sequence[Mapping[str, Any]]) -> None:
        self.steps = [TRANSFORMS.build(step) for step in steps]

    def __call__(self, results: Results) -> Results:
        if get_worker_info() is not None and cv2.getNumThreads() > 1:
            cv2.setNumThreads(0)
        for step in self.steps:
            results = step(results)
        return results


@TRANSFORMS.register_module()
class Augment:
    """Apply transforms of frames to all frames of all views at once: each takes its random numbers once.

    Labels stay as they are, also where a picture is mirrored or stands on its head.

    Args:
        steps: configs of transforms of `imgs` (frames, S, S, 3), such as `dict(type="Flip", flip_ratio=0.5)`.
        enabled: False: change nothing.
    Reads and gives `imgs` uint8 (V, T, S, S, 3): V views of T frames of side S.
    """

    def __init__(self, steps: Sequence[Mapping[str, Any]], enabled: bool = True) -> None:
        self._steps = Compose(steps)
        self.enabled = enabled

    def __call__(self, results: Results) -> Results:
        if not self.enabled:
            return results
        views, frames, *size = results["imgs"].shape
        results["imgs"] = results["imgs"].reshape(views * frames, *size)
        results = self._steps(results)
        results["imgs"] = results["imgs"].reshape(views, frames, *results["imgs"].shape[1:])
        return results
