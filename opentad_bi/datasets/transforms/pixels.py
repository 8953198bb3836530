"""Operations on the pixels of all frames at once; (T', H, W, 3) uint8 in and out, contiguous.

What acts on single pixels sees the frames as one tall image, so that OpenCV runs once over all of them.
T' frames, H height, W width
"""

import cv2
import numpy as np

# luma of ITU-R BT.601
LUMA = np.asarray([[0.2989, 0.587, 0.114]], dtype=np.float32)


def sheet(imgs):
    """(T', H, W, 3) -> (T' * H, W, 3), no copy."""
    frames, height, width, channels = imgs.shape
    return imgs.reshape(frames * height, width, channels)


def look_up(imgs, table):
    """Replace every value by its entry in `table`, (256,) or (256, 3) uint8."""
    return _look_up(sheet(imgs), table.reshape(256, -1)).reshape(imgs.shape)


def look_up_each(imgs, tables):
    """Replace values of frame t and channel c by `tables[t, :, c]`; tables (T', 256, 3), or (T', 256, 1) for all c."""
    return np.stack([_look_up(image, table) for image, table in zip(imgs, tables, strict=True)])


def _look_up(image, table):
    """(H, W, 3) through (256, 1) or (256, 3)"""
    if table.shape[1] == 1:
        # values one by one: twice as fast as three channels with the same table
        return cv2.LUT(image.reshape(len(image), -1), np.ascontiguousarray(table.T)).reshape(image.shape)
    return cv2.LUT(image, np.ascontiguousarray(table)[None])


def to_table(values):
    """Float values 0 to 255 rounded into uint8."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def blend(imgs, other, factor):
    """`other + factor * (imgs - other)`, rounded, kept within 0 to 255; a factor above 1 leads away from `other`."""
    mixed = cv2.addWeighted(sheet(imgs), factor, sheet(other), 1 - factor, 0)
    return mixed.reshape(imgs.shape)


def gray(imgs):
    """Luma in all three channels."""
    return cv2.transform(sheet(imgs), np.repeat(LUMA, 3, axis=0)).reshape(imgs.shape)


def adjust_brightness(imgs, factor):
    """Blend with black."""
    return look_up(imgs, to_table(np.arange(256) * factor))


def adjust_contrast(imgs, factor):
    """Blend each frame with its own mean luma."""
    means = np.asarray([cv2.mean(image)[:3] for image in imgs]) @ LUMA[0]
    values = means[:, None] + factor * (np.arange(256) - means[:, None])
    return look_up_each(imgs, to_table(values)[:, :, None])


def adjust_saturation(imgs, factor):
    """Blend with gray."""
    return blend(imgs, gray(imgs), factor)


def adjust_hue(imgs, shift):
    """Turn the hue by `shift`, in steps of OpenCV's scale (180 for the circle)."""
    hsv = cv2.cvtColor(sheet(imgs), cv2.COLOR_RGB2HSV)
    table = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    table[:, 0] = (np.arange(256) + shift) % 180
    return cv2.cvtColor(cv2.LUT(hsv, table[None]), cv2.COLOR_HSV2RGB).reshape(imgs.shape)
