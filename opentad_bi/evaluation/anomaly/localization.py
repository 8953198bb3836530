"""Where a video is abnormal: intervals in time by its scores, boxes in frames by heat-maps.

R rows, C classes, N frames, h x w grid of patches, H x W pixels; boxes are xyxy as fractions of width and height
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ...errors import require

TOP_FRACTION = 1 / 16  # of the rows, which speak for a video
WHOLE = 0.95  # fraction of the picture from which on a box says nothing about the place


def score_intervals(
    scores: np.ndarray,
    probabilities: np.ndarray,
    edges_sec: np.ndarray,
    *,
    classes: Sequence[str],
    normal: int,
    threshold: float,
) -> list[dict]:
    """Where the score is at least `threshold`, in order of time.

    Args:
        scores: (R,) float, how anomalous each row is.
        probabilities: (R, C) float.
        edges_sec: (R + 1,) float; row r lasts from edge r to edge r + 1.
        classes: names by label.
        normal: label of the class without anomalies.
        threshold: the least score.
    Returns:
        [{"segment": [start_sec, end_sec], "label", "score", "peak_sec"}, ...]: the anomaly that is most probable on the
        average over the rows, the highest score, and the middle of its row.
    """
    over = np.concatenate([[False], np.asarray(scores) >= threshold, [False]])
    changes = np.flatnonzero(over[1:] != over[:-1])
    found = []
    for start, stop in changes.reshape(-1, 2):
        peak = start + int(np.argmax(scores[start:stop]))
        found.append(
            {
                "segment": [float(edges_sec[start]), float(edges_sec[stop])],
                "label": classes[likeliest(probabilities[start:stop].mean(axis=0), normal)],
                "score": float(scores[peak]),
                "peak_sec": float(edges_sec[peak] + edges_sec[peak + 1]) / 2,
            }
        )
    return found


def video_probabilities(scores: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Mean probabilities of the sixteenth of the rows that scores highest, at least of one.  (R,), (R, C) -> (C,)"""
    count = int(np.ceil(len(scores) * TOP_FRACTION))
    return probabilities[np.argsort(-np.asarray(scores), kind="stable")[:count]].mean(axis=0)


def likeliest(probabilities: ArrayLike, normal: int) -> int:
    """Label of the most probable class that is not the normal one.  (C,) -> int"""
    others = np.array(probabilities, dtype=np.float64)
    others[normal] = -np.inf
    return int(np.argmax(others))


def highest_rows(scores: np.ndarray, count: int) -> list[int]:
    """Rows of the highest scores, at most `count`, rising, with some room in between where there are many rows."""
    apart, free = len(scores) // (4 * max(count, 1)), np.ones(len(scores), dtype=bool)
    found: list[int] = []
    while len(found) < count and free.any():
        row = int(np.argmax(np.where(free, scores, -np.inf)))
        free[max(0, row - apart) : row + apart + 1] = False
        found.append(row)
    return sorted(found)


def enlarge(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear interpolation.  (N, h, w) -> float32 (N, height, width)

    In float64, so that pixels that are equal by symmetry come out equal and the first of them is the peak on any CPU.
    """
    import torch  # evaluation runs without it
    from torch.nn import functional as F

    pictures = torch.as_tensor(np.asarray(maps), dtype=torch.float64)[:, None]
    return F.interpolate(pictures, (height, width), mode="bilinear", align_corners=False)[:, 0].float().numpy()


def unit_range(maps: np.ndarray) -> np.ndarray:
    """Values of all maps brought to 0..1 by one minimum and one maximum; 0 where all are equal.  Any shape."""
    maps = np.asarray(maps, dtype=np.float32)
    low, high = maps.min(), maps.max()
    return (maps - low) / (high - low) if high > low else np.zeros_like(maps)


def heat_box(heat: np.ndarray) -> np.ndarray | None:
    """Box of the largest connected part above half of the maximum: (H, W), at least 0 -> (4,) float64 xyxy in 0..1

    None where nothing is above 0.
    """
    heat = np.asarray(heat)
    if not heat.max() > 0:
        return None
    image = require("scipy.ndimage", "scipy")
    parts, _ = image.label(heat > heat.max() / 2)
    largest = np.bincount(parts.ravel())[1:].argmax()
    rows, columns = image.find_objects(parts)[largest]
    (height, width) = heat.shape
    return np.array([columns.start / width, rows.start / height, columns.stop / width, rows.stop / height])


def peak_inside(heat: np.ndarray, box: np.ndarray) -> bool:
    """Does the middle of the hottest pixel lie in the box?  (H, W), (4,) -> bool"""
    heat = np.asarray(heat)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    x, y = (column + 0.5) / heat.shape[1], (row + 0.5) / heat.shape[0]
    return bool(box[0] <= x <= box[2] and box[1] <= y <= box[3])


def box_iou(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Intersection over union of boxes.  (..., 4), (..., 4) -> (...)"""
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    shared = (high - low).clip(0).prod(-1)
    union = (first[..., 2:] - first[..., :2]).prod(-1) + (second[..., 2:] - second[..., :2]).prod(-1) - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1), 0.0)


def localization(heats: Iterable[np.ndarray], boxes: ArrayLike) -> dict[str, float]:
    """How well heat-maps find the annotated boxes of their frames.

    Args:
        heats: N maps (H, W), at least 0, one after the other; a frame with several boxes comes several times.
        boxes: (N, 4) xyxy in 0..1. Those that cover nearly the whole picture say nothing
            about the place and are left out.
    Returns:
        {"boxes": number, "pointing": share of maps whose maximum lies in the box, "iou": mean intersection over union
        with the box of the map, "iou50": share of at least 0.5}; the number alone where it is 0.
    """
    ious, hits = [], []
    for heat, box in zip(heats, np.asarray(boxes, dtype=np.float64).reshape(-1, 4), strict=True):
        if (box[2:] - box[:2]).prod() < WHOLE:
            own = heat_box(heat)
            ious.append(0.0 if own is None else float(box_iou(own, box)))
            hits.append(own is not None and peak_inside(heat, box))
    if not ious:
        return {"boxes": 0}
    at_half = float(np.mean(np.array(ious) >= 0.5))
    return {"boxes": len(ious), "pointing": float(np.mean(hits)), "iou": float(np.mean(ious)), "iou50": at_half}


def over_videos(numbers: Sequence[dict[str, float]]) -> dict[str, float]:
    """Numbers of several videos together, every box counting the same: [{"boxes", ...}] -> {"boxes", ...}"""
    total = sum(own["boxes"] for own in numbers)
    known = [own for own in numbers if own["boxes"]]
    means = {
        key: sum(own["boxes"] * own[key] for own in known) / total for key in ("pointing", "iou", "iou50") if total
    }
    return {"boxes": total, **means}
