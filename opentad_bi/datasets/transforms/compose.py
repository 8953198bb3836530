"""A pipeline from a list of configs."""

from ...registry import TRANSFORMS


class Compose:
    """Apply transforms one after the other.

    Args:
        steps: list of transform configs, such as `dict(type="Flip", flip_ratio=0.5)`.
    """

    def __init__(self, steps):
        self.steps = [TRANSFORMS.build(step) for step in steps]

    def __call__(self, results):
        for step in self.steps:
            results = step(results)
        return results
