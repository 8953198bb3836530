"""Boxes on a grid of patches as weights of its cells, so that pooling a region is one matrix product.

The weights are those of RoIAlign (He et al., ICCV 2017) with one output cell, as many samples as the box covers cells,
and pixel centres aligned: `torchvision.ops.roi_align(map, boxes * (w, h, w, h), 1, aligned=True)`.
"""

import torch

# B videos, T frames, K regions of all videos, R most regions of a video, h x w grid of patches, P = h * w


def axis_weights(low, high, size):
    """Share of each cell of an axis in the mean over an interval.

    Args:
        low, high: (...) float32 in 0..1.
        size: number of cells G.
    Returns:
        (..., G) float32; zero for an empty interval, else of sum 1.
    """
    low, high = (x.float().clamp(0, 1)[..., None] * size - 0.5 for x in (low, high))
    cells = torch.arange(size, device=low.device, dtype=torch.float32)
    length = high - low
    count = length.ceil().clamp(0, size)  # samples
    positions = low + (cells + 0.5) * length / count.clamp(min=1)
    used = (cells < count).float()[..., None]  # (..., G samples, 1)
    near = (1 - (positions.clamp(0, size - 1)[..., None] - cells).abs()).clamp(min=0)  # bilinear, (..., samples, G)
    return (near * used).sum(-2) / count.clamp(min=1)


def box_weights(boxes, grid):
    """Share of each cell in the mean over a box.

    Args:
        boxes: (..., 4) xyxy in 0..1 of the frame.
        grid: (h, w).
    Returns:
        (..., P) float32, row by row; the whole frame gives 1 / P everywhere, an empty box zero.
    """
    left, top, right, bottom = boxes.unbind(-1)
    rows, columns = axis_weights(top, bottom, grid[0]), axis_weights(left, right, grid[1])
    return (rows[..., :, None] * columns[..., None, :]).flatten(-2)


def region_weights(boxes, mask, grid):
    """Share of each cell of each frame in the mean over the frames in which a region is seen.

    Args:
        boxes: (K, T, 4); mask: (K, T) bool; grid: (h, w).
    Returns:
        (K, T, P) float32
    """
    share = mask.float() / mask.sum(1, keepdim=True).clamp(min=1)
    return box_weights(boxes, grid) * share[..., None]


def slots(region_video, videos):
    """Place of each region among those of its video: (K,) int64 in 0..B-1, B -> (K,) int64"""
    if not len(region_video):
        return region_video
    hot = torch.nn.functional.one_hot(region_video, videos)  # (K, B)
    return hot.cumsum(0).gather(1, region_video[:, None])[:, 0] - 1


def by_video(values, region_video, videos, most):
    """Values of regions in the places of their videos, zero where there is none: (K, ...) -> (B, R, ...)"""
    padded = values.new_zeros((videos, most, *values.shape[1:]))
    padded[region_video, slots(region_video, videos)] = values
    return padded
