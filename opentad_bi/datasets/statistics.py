"""What a data set holds, and what of it a detector's windows and pyramid reach; from the annotation alone.

N actions of a video, A actions of all videos, P points of all L levels, n grid positions of a video
"""

from dataclasses import dataclass, fields

import numpy as np
import torch

from ..ops.segments import assign_targets
from ..ops.windows import clip_segments, cut_windows
from ..registry import DATASETS
from ..utils.annotation import read_database, select_names
from .annotation import read_block_list
from .base import AnnotationDataset

PERCENTILES = (0, 5, 25, 50, 75, 95, 99, 100)


@dataclass(frozen=True)
class Subset:
    """The videos of a dataset config.

    Args:
        name: of the subset in the annotation.
        videos: `Video` records of those with actions.
        empty: number of videos without any.
        classes: names of the classes of the class map.
        stride: frames from one grid position to the next.
        offset: frame within a snippet that stands for it.
    """

    name: str
    videos: list
    empty: int
    classes: list
    stride: int
    offset: int

    def segments(self):
        """One (N, 2) float64 array per video with actions: start and end on the grid, as training has them."""
        return [span - self.offset / self.stride for span in self.spans()]

    def spans(self):
        """The same in positions from the beginning of the video, whatever frame stands for a position."""
        return [video.segments.astype(np.float64) / self.stride for video in self.videos]

    def positions(self):
        """Grid positions n of every video with actions."""
        return [-(-video.frames // self.stride) for video in self.videos]


def read_subset(cfg):
    """The videos of a dataset config as training sees them; files are opened for lengths that the annotation lacks.

    Args:
        cfg: config of a dataset over an annotation file.
    Raises:
        ValueError: the dataset is not over an annotation file; no video of the subset has an action.
    """
    arguments = dict(cfg)
    kind = DATASETS.find(arguments.pop("type"))
    if not issubclass(kind, AnnotationDataset):
        raise ValueError(f"{kind.__name__} is not a dataset over an annotation file, so there is nothing to count")
    known = {field.name for field in fields(AnnotationDataset)}
    arguments = {key: value for key, value in arguments.items() if key in known}
    dataset = AnnotationDataset(**{**arguments, "pipeline": cfg["pipeline"][:1], "test_mode": False})
    names = select_names(read_database(dataset.ann_file), dataset.subset_name, read_block_list(dataset.block_list))
    name = dataset.subset_name if isinstance(dataset.subset_name, str) else ", ".join(dataset.subset_name)
    empty = len(names) - len(dataset.videos)
    return Subset(name, dataset.videos, empty, dataset.classes, dataset.snippet_stride, dataset.offset_frames)


def describe(subset):
    """Plain numbers: {"counts": {what: number}, "percentiles": {what: {percentile: value}}}."""
    lengths = [video.segments[:, 1] - video.segments[:, 0] for video in subset.videos]
    seconds = [length / video.fps for length, video in zip(lengths, subset.videos, strict=True)]
    labels = np.concatenate([video.labels for video in subset.videos])
    overlapping = sum(int(overlaps(video.segments).sum()) for video in subset.videos)
    return {
        "counts": {
            "videos": len(subset.videos) + subset.empty,
            "videos_without_actions": subset.empty,
            "actions": len(labels),
            "classes": len(np.unique(labels)),
            "classes_in_class_map": len(subset.classes),
            "overlapping_actions": overlapping / len(labels),
        },
        "percentiles": {
            "action, seconds": percentiles(np.concatenate(seconds)),
            "action, positions": percentiles(np.concatenate(lengths) / subset.stride),
            "video, seconds": percentiles([video.duration_sec for video in subset.videos]),
            "video, positions": percentiles(subset.positions()),
            "actions of a video": percentiles([len(video.labels) for video in subset.videos]),
        },
    }


def percentiles(values):
    """{"0": smallest, "5": ..., "100": largest}."""
    return {str(p): float(v) for p, v in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True)}


def overlaps(segments):
    """Which actions of a video share time with another one.  (N, 2) -> (N,) bool"""
    order = np.argsort(segments[:, 0], kind="stable")
    start, end = segments[order].T
    found = np.zeros(len(segments), dtype=bool)
    found[order[1:]] = start[1:] < np.maximum.accumulate(end)[:-1]
    # of all later ones the next begins first
    found[order[:-1]] |= start[1:] < end[:-1]
    return found


def share_inside(segments, positions, window, overlap):
    """Share of the actions that lie wholly inside one of the sliding windows.

    Args:
        segments: arrays (N, 2) in positions from the beginning, one per video.
        positions: n of every video.
        window, overlap: of the sliding windows.
    """
    inside = [inside_one(rows, n, window, overlap) for rows, n in zip(segments, positions, strict=True)]
    return float(np.concatenate(inside).mean())


def inside_one(segments, n, window, overlap):
    """Which actions of a video of n positions lie wholly inside one of its windows.  (N, 2) -> (N,) bool"""
    starts, ends = cut_windows(n, window, overlap).T
    latest = np.searchsorted(starts, segments[:, 0], side="right") - 1  # of those that begin in time, the last to end
    return (latest >= 0) & (segments[:, 1] <= ends[latest])


def level_shares(segments, positions, generator, *, window, overlap, thresh=0.75, radius=1.5, similar=True):
    """Which levels of a pyramid have points that answer for an action, by the assignment that training uses.

    Every sliding window is taken as a sample of training: the actions that lie in it by more than `thresh`, clipped
    to it. An action counts for a level if a point of that level answers for it in some window.

    Args:
        segments: arrays (N, 2) on the grid, one per video.
        positions: n of every video.
        generator: point generator of the head.
        window, overlap: of the sliding windows.
        thresh: least share of an action in a window, exclusive.
        radius: as the head's `center_sample_radius`; None: the whole action.
        similar: the head's `filter_similar_gt`.
    Returns:
        {"actions": L shares of the actions, "points": L shares of the points that answer for one, "unanswered": share
        of the actions that are in a window but have no point, "outside": share that no window holds}.
    """
    levels = generator([-(-window // stride) for stride in generator.strides])  # a detector pads what is left over
    sizes, points = [len(level) for level in levels], torch.cat(levels)
    answered, seen, counts = [], [], torch.zeros(len(sizes), dtype=torch.int64)
    for rows, n in zip(segments, positions, strict=True):
        by_level, held = np.zeros((len(rows), len(sizes)), dtype=bool), np.zeros(len(rows), dtype=bool)
        for start, end in cut_windows(n, window, overlap).tolist():
            clipped, share = clip_segments(rows, start, end - 1)
            kept = np.flatnonzero(share > thresh)
            if not len(kept):
                continue
            found = answers(points, clipped[kept] - start, radius, similar).split(sizes)
            by_level[kept] |= torch.stack([level.any(0) for level in found], dim=1).numpy()
            counts += torch.stack([level.any(1).sum() for level in found])
            held[kept] = True
        answered.append(by_level)
        seen.append(held)
    answered, seen = np.concatenate(answered), np.concatenate(seen)
    return {
        "actions": answered.mean(0).tolist(),
        "points": (counts / counts.sum().clamp(min=1)).tolist(),
        "unanswered": float((seen & ~answered.any(1)).mean()),
        "outside": float((~seen).mean()),
    }


def answers(points, segments, radius, similar):
    """Which points answer for which actions of a window.  (P, 4), (N, 2) -> (P, N) bool"""
    own = torch.arange(len(segments))  # a class of its own for every action
    rows = torch.from_numpy(np.asarray(segments, dtype=np.float32))
    found, _ = assign_targets(points, [rows], [own], len(own), radius=radius, filter_similar_gt=similar)
    return found[0] > 0
