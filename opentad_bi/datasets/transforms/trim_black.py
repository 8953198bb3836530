"""Black strips above and below the picture, as films shown in another format have."""

import cv2
import numpy as np

from .pixels import sheet

# T' frames, H height, W width
DARK = 15  # of 255


def picture_rows(imgs):
    """The rows that are not a black strip at the top or at the bottom.

    A row is black if its grey values, the brightest over time, are at most 15 on average. Columns are not looked at.
    Strips that leave less than a third of the rows are no format of films, and stay: a caption in the dark would
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
