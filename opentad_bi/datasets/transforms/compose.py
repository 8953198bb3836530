"""A pipeline from a list of configs."""

import cv2
from torch.utils.data import get_worker_info

from ...registry import TRANSFORMS


class Compose:
    """Apply transforms one after the other.

    In a worker of a data loader OpenCV is kept to one thread: the workers share the cores already, and OpenCV's thread
    pool does not survive the fork.

    Args:
        steps: list of transform configs, such as `dict(type="Flip", flip_ratio=0.5)`.
    """

    def __init__(self, steps):
        self.steps = [TRANSFORMS.build(step) for step in steps]

    def __call__(self, results):
        if get_worker_info() is not None and cv2.getNumThreads() > 1:
            cv2.setNumThreads(0)
        for step in self.steps:
            results = step(results)
        return results
