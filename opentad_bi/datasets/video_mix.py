"""Two clips in one: a box, a run of frames, or both of the first, the rest of the second.

V views, T frames of a view, H, W height and width
"""

import math

from ..registry import TRANSFORMS
from ..utils.validation import check_choice, check_share

KINDS = ("spatial", "temporal", "spatiotemporal")


@TRANSFORMS.register_module()
class VideoMix:
    """Put a part of one clip into another, the same in all views (VideoMix, Yun et al. 2020, arXiv 2012.03457).

    It works on two clips, so it stands in no pipeline: a dataset takes it as `mix`.

    Args:
        kind: "spatial": a box around a uniform centre, whose sides are sqrt(l) of the frame's with l uniform in
            (0, 1), cut at the borders, the same in all frames; "temporal": frames t0 to t1 (exclusive) with
            0 <= t0 < t1 <= T; "spatiotemporal": the box in those frames.
        probability: how often a sample is mixed.
    """

    def __init__(self, kind, probability=1.0):
        self.kind = check_choice("VideoMix kind", kind, KINDS)
        self.probability = probability if probability == 1 else check_share("VideoMix probability", probability)

    def __call__(self, a, b, rng):
        """Mix two clips, tensors or arrays (V, T, 3, H, W), into a new one.

        Args:
            a: the clip that a part is kept of.
            b: the clip that has the rest.
            rng: `random.Random` that is drawn from.
        Returns:
            the clip, and the share of its values that are those of `a`.
        Raises:
            ValueError: clips of different shapes.
        """
        if a.shape != b.shape:
            raise ValueError(f"clips of the shapes {tuple(a.shape)} and {tuple(b.shape)} cannot be mixed")
        _, frames, _, height, width = a.shape
        box = [slice(0, frames), slice(0, height), slice(0, width)]
        if self.kind != "spatial":
            box[0] = slice(*sorted(rng.sample(range(frames + 1), 2)))
        if self.kind != "temporal":
            side = math.sqrt(rng.random())
            box[1:] = [_around(rng.randrange(length), length, side) for length in (height, width)]
        mixed = b.clone() if hasattr(b, "clone") else b.copy()
        times, rows, columns = box
        mixed[:, times, :, rows, columns] = a[:, times, :, rows, columns]
        kept = math.prod(part.stop - part.start for part in box)
        return mixed, kept / (frames * height * width)


def _around(centre, length, share):
    """A stretch of `share` of a length around a point of it, one pixel at least, cut at the ends."""
    size = max(1, round(length * share))
    start = centre - size // 2
    return slice(max(start, 0), min(start + size, length))
