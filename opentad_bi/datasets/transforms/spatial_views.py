"""Square crops of every temporal view.

T frames of a view, V_t temporal and V_s spatial views, V = V_t * V_s, S side, h, w height and width
"""

import numpy as np

from ...registry import TRANSFORMS
from ...utils.validation import check_choice, check_count


@TRANSFORMS.register_module()
class SpatialViews:
    """Cut a square from the centre of the frame, or three along its longer side: at the start, the centre, the end.

    View t * V_s + s is crop s of temporal view t.

    Args:
        size: S, at most the short side of the frame.
        views: V_s, 1 or 3.
    Reads `imgs` uint8 (V_t * T, h, w, 3) and `clips`, (V_t, T). Gives `imgs` uint8 (V, T, S, S, 3), a new array.
    """

    def __init__(self, size=224, views=1):
        self.size = check_count("SpatialViews size", size)
        self.views = check_choice("SpatialViews views", views, (1, 3))

    def __call__(self, results):
        imgs, (clips, frames), size = results["imgs"], results["clips"], self.size
        height, width = imgs.shape[1:3]
        if size > min(height, width):
            raise ValueError(
                f"SpatialViews size {size} is larger than the {width} x {height} frame of video {results['video']!r}"
            )
        imgs = imgs.reshape(clips, frames, height, width, 3)
        crops = np.empty((clips, self.views, frames, size, size, 3), dtype=np.uint8)
        for view, (top, left) in enumerate(self.corners(height, width)):
            crops[:, view] = imgs[:, :, top : top + size, left : left + size]
        results["imgs"] = crops.reshape(clips * self.views, frames, size, size, 3)
        return results

    def corners(self, height, width):
        """(top, left) of every crop; the centre is that of torchvision and of CLIP's own preprocessing."""
        top, left = round((height - self.size) / 2), round((width - self.size) / 2)
        if self.views == 1:
            return [(top, left)]
        if width >= height:
            return [(top, 0), (top, left), (top, width - self.size)]
        return [(0, left), (top, left), (height - self.size, left)]
