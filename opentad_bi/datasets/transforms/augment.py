"""Augmentation of all views of a video by the same draws."""

from ...registry import TRANSFORMS
from .compose import Compose


@TRANSFORMS.register_module()
class Augment:
    """Apply transforms of frames to all frames of all views at once: each draws once for a sample.

    Labels stay as they are, also where a picture is mirrored or stands on its head.

    Args:
        steps: configs of transforms of `imgs` (frames, S, S, 3), such as `dict(type="Flip", flip_ratio=0.5)`.
        enabled: False: change nothing.
    Reads and gives `imgs` uint8 (V, T, S, S, 3): V views of T frames of side S.
    """

    def __init__(self, steps, enabled=True):
        self._steps = Compose(steps)
        self.enabled = enabled

    def __call__(self, results):
        if not self.enabled:
            return results
        views, frames, *size = results["imgs"].shape
        results["imgs"] = results["imgs"].reshape(views * frames, *size)
        results = self._steps(results)
        results["imgs"] = results["imgs"].reshape(views, frames, *results["imgs"].shape[1:])
        return results
