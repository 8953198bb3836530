"""Black strips above and below the picture, as films shown in another format have."""

import cv2
import numpy as np

from .pixels import sheet

# T' frames, H height, W width
DARK = 15  # of 255


def picture_rows(imgs):
    """The rows that are not a black strip at the top or at the bottom.

    A row is black if its grey values, the brightest over time, are at most 15 on average. Columns are not looked at.

    Args:
        imgs: uint8 (T', H, W, 3).
    Returns:
        first row, and the row behind the last; all rows of frames that are wholly black.
    """
    frames, height, width, _ = imgs.shape
    grey = cv2.cvtColor(sheet(np.ascontiguousarray(imgs)), cv2.COLOR_RGB2GRAY).reshape(frames, height, width)
    bright = np.flatnonzero(grey.max(axis=0).mean(axis=1) > DARK)
    return (int(bright[0]), int(bright[-1]) + 1) if len(bright) else (0, height)
