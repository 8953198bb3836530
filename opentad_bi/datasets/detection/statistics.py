"""What a set of annotated actions holds, what windows and pyramid of a detector reach of it, and proposed settings.

All from the annotation alone. The rules of the proposal, in the order in which they are applied:

1. Stride: the largest `unit * 2**k` frames at which a short action, of the 5th percentile, spans `SHORT` positions or
   more; at least `unit`. Finer grids cost time and memory, coarser ones blur where a short action begins.
2. Pyramid: levels of stride 1, 2, 4, ...; the range of a level of stride s ends at 4 s, as in ActionFormer (Zhang et
   al., ECCV 2022, section 3.3), and that of the last never. As many levels as it takes for half the length of
   `coverage` of the actions to end before the last: an action is found from its middle, so half its length is what a
   point must reach.
3. Window: wherever an action among the shortest `coverage` lies, one of the sliding windows holds it whole, with
   `context` times its length on either side. A window of T with an overlap of o T holds whatever is not longer than
   o T. It is a multiple of 16, the frames of a clip of a video transformer, and of what the pyramid asks for, and not
   longer than the longest video needs.

N actions of a video, A actions of all videos, P points of all L levels, n grid positions of a video
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch

from ...ops.segments import assign_targets
from ...ops.windows import OVERLAP, clip_segments, cut_windows
from ...registry import DATASETS, POINT_GENERATORS
from ...utils.annotation import read_block_list, read_database, select_names
from ..common.check import spread
from .thumos import AnnotationDataset

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

    def segments(self) -> list[np.ndarray]:
        """One (N, 2) float64 array per video with actions: start and end on the grid, as training has them."""
        return [span - self.offset / self.stride for span in self.spans()]

    def spans(self) -> list[np.ndarray]:
        """The same in positions from the beginning of the video, whatever frame stands for a position."""
        return [video.segments.astype(np.float64) / self.stride for video in self.videos]

    def positions(self) -> list[int]:
        """Grid positions n of every video with actions."""
        return [-(-video.frames // self.stride) for video in self.videos]


def read_subset(cfg: Mapping[str, Any]) -> Subset:
    """The videos of a dataset config as training sees them; files are opened for lengths it does not say.

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


def describe(subset: Subset) -> dict[str, dict[str, Any]]:
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


def percentiles(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """{"0": smallest, "5": ..., "100": largest}."""
    return {str(p): float(v) for p, v in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True)}


def overlaps(segments: np.ndarray) -> np.ndarray:
    """Which actions of a video share time with another one.  (N, 2) -> (N,) bool"""
    order = np.argsort(segments[:, 0], kind="stable")
    start, end = segments[order].T
    found = np.zeros(len(segments), dtype=bool)
    found[order[1:]] = start[1:] < np.maximum.accumulate(end)[:-1]
    # of all later ones the next begins first
    found[order[:-1]] |= start[1:] < end[:-1]
    return found


def share_inside(segments: Sequence[np.ndarray], positions: Sequence[int], window: int, overlap: float) -> float:
    """Share of the actions that lie wholly inside one of the sliding windows.

    Args:
        segments: arrays (N, 2) in positions from the beginning, one per video.
        positions: n of every video.
        window, overlap: of the sliding windows.
    """
    inside = [inside_one(rows, n, window, overlap) for rows, n in zip(segments, positions, strict=True)]
    return float(np.concatenate(inside).mean())


def inside_one(segments: np.ndarray, n: int, window: int, overlap: float) -> np.ndarray:
    """Which actions of a video of n positions lie wholly inside one of its windows.  (N, 2) -> (N,) bool"""
    starts, ends = cut_windows(n, window, overlap).T
    latest = np.searchsorted(starts, segments[:, 0], side="right") - 1  # of those that begin in time, the last to end
    return (latest >= 0) & (segments[:, 1] <= ends[latest])


def level_shares(
    segments: Sequence[np.ndarray],
    positions: Sequence[int],
    generator: Any,
    *,
    window: int,
    overlap: float,
    thresh: float = 0.75,
    radius: float | None = 1.5,
    similar: bool = True,
) -> dict[str, Any]:
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
    by_action, in_window = np.concatenate(answered), np.concatenate(seen)
    return {
        "actions": by_action.mean(0).tolist(),
        "points": (counts / counts.sum().clamp(min=1)).tolist(),
        "unanswered": float((in_window & ~by_action.any(1)).mean()),
        "outside": float((~in_window).mean()),
    }


def answers(points: torch.Tensor, segments: np.ndarray, radius: float | None, similar: bool) -> torch.Tensor:
    """Which points answer for which actions of a window.  (P, 4), (N, 2) -> (P, N) bool"""
    own = torch.arange(len(segments))  # a class of its own for every action
    rows = torch.from_numpy(np.asarray(segments, dtype=np.float32))
    found, _ = assign_targets(points, [rows], [own], len(own), radius=radius, filter_similar_gt=similar)
    return found[0] > 0


MOST = 0.5  # share of the actions without an answer, above which training is not worth its time
LOOKED_AT = 50  # videos, spread evenly, that stand for a set where a check must not cost time


def pyramid(model: dict) -> dict | None:
    """Config of the (forward) detector in that of a model, or None if it has no points."""
    network = model.get("for_model", model)
    return network if isinstance(network, dict) and "prior_generator" in (network.get("rpn_head") or {}) else None


def window_settings(splits: dict, window: int | None = None, overlap: float | None = None) -> dict:
    """The windows: `window`, `overlap`, and `thresh`, the least share of an action in one that training asks for.

    Args:
        splits: {"train": config of a dataset, "test": ...}.
        window: grid positions; None: those of the config.
        overlap: of the sliding windows; None: that of the config.
    Raises:
        ValueError: nothing says how long a window is.
    """
    train, test = splits["train"], splits.get("test", {})
    cut: Mapping[str, Any] = next((step for step in train["pipeline"] if step.get("trunc_len")), {})
    if window is not None and window < 1:
        raise ValueError(f"--window {window}: a positive number of grid positions is expected")
    window = window or cut.get("trunc_len") or train.get("window_size") or test.get("window_size")
    if not window:
        raise ValueError(
            "neither a trunc_len in the pipeline nor a window_size says how long a window is; give --window"
        )
    if overlap is None:
        overlap = test.get("window_overlap_ratio", OVERLAP) if "window_size" in test else 0.5
    return {"window": window, "overlap": overlap, "thresh": cut.get("trunc_thresh", train.get("ioa_thresh", 0.75))}


def reached(subset: Subset, network: dict, points: dict, windows: dict) -> dict:
    """`level_shares` of a subset, by the rules of a detector's head, with the strides and ranges of `points`.

    Args:
        points: config of POINT_GENERATORS.
        windows: as `window_settings` gives them.
    """
    head, generator = network["rpn_head"], POINT_GENERATORS.build(points)
    radius = head.get("center_sample_radius", 1.5) if head.get("center_sample", "radius") == "radius" else None
    found = level_shares(
        subset.segments(),
        subset.positions(),
        generator,
        radius=radius,
        similar=head.get("filter_similar_gt", True),
        **windows,
    )
    return {"strides": generator.strides, "ranges": generator.regression_range, **found}


def out_of_reach(splits: dict, model: dict) -> str:
    """A warning, in words, where more than half of the actions in training have no point or window; else "".

    Args:
        splits: {"train": config of a dataset, "test": ...}, not wrapped.
        model: that of the model. Of models without points, sets without annotation and training on whole videos
            nothing is known.
    Raises:
        FileNotFoundError, KeyError, ValueError: as the dataset does.
    """
    network, train = pyramid(model), splits["train"]
    if network is None or not issubclass(DATASETS.find(train["type"]), AnnotationDataset):
        return ""
    try:
        windows = window_settings(splits)
    except ValueError:  # no windows are cut
        return ""
    subset = read_subset(train)
    some = replace(subset, videos=[subset.videos[i] for i in spread(len(subset.videos), LOOKED_AT)])
    found = reached(some, network, network["rpn_head"]["prior_generator"], windows)
    if found["unanswered"] + found["outside"] <= MOST:
        return ""
    lengths = np.concatenate([video.segments[:, 1] - video.segments[:, 0] for video in some.videos]) / subset.stride
    low, middle, high = np.percentile(lengths, (5, 50, 95))
    missed = found["unanswered"] + found["outside"]
    ranges = ", ".join(f"{low:g}-{high:g}" for low, high in found["ranges"])
    return (
        f"{missed:.0%} of {len(lengths)} actions have no window or point that learns them: "
        f"{found['outside']:.1%} lie in no window of {windows['window']} positions, {found['unanswered']:.1%} in "
        f"one without a point that answers; actions last {middle:.3g} positions of {subset.stride} frames (5 %: "
        f"{low:.3g}, 95 %: {high:.3g}), levels reach {ranges}; opentad-bi stats CONFIG shows more, and proposes "
        "window, stride and ranges"
    )


SHORT = 4  # positions that a short action should span
REACH = 4  # positions that the finest level reaches; each coarser one reaches twice as far
FOREVER = 10000  # stands for no end of a range
CLIP = 16  # frames of a clip


@dataclass(frozen=True)
class Proposal:
    """Settings for a data set.

    Args:
        feature_stride: frames from one grid position to the next.
        window_size: grid positions of a window.
        window_overlap_ratio: share of a window that the next one repeats.
        strides, regression_range: of the L levels of the pyramid, in grid positions.
    """

    feature_stride: int
    window_size: int
    window_overlap_ratio: float
    strides: list
    regression_range: list


def propose(
    lengths: np.ndarray,
    frames: Sequence[int],
    *,
    coverage: float = 0.99,
    context: float = 1.0,
    overlap: float = 0.5,
    unit: int = 1,
    stride: int | None = None,
    attention: int = 1,
) -> Proposal:
    """Settings by the rules above.

    Args:
        lengths: frames of every action.
        frames: frames of every video.
        coverage: of the actions that must fit, in (0, 1].
        context: what must be in the window on either side of an action, in lengths of the action.
        overlap: of the sliding windows, in (0, 1).
        unit: the stride is a multiple of this; frames of a grid position (`scale_factor`).
        stride: frames from one grid position to the next, where features that are there say so.
        attention: positions that local attention sees (`n_mha_win_size`); at most 1 for all of them.
    Raises:
        ValueError: coverage, context or overlap out of its range.
    """
    if not 0 < coverage <= 1 or not 0 < overlap < 1 or context < 0:
        raise ValueError(
            f"coverage {coverage} must be in (0, 1], overlap {overlap} in (0, 1), context {context} at least 0"
        )
    stride = stride or propose_stride(lengths, unit)
    longest = float(np.quantile(lengths, coverage, method="inverted_cdf")) / stride
    strides, ranges = propose_levels(longest)
    block = max(strides) * (2 * (attention // 2) if attention > 1 else 1)
    multiple = math.lcm(CLIP, block)
    needed = min((1 + 2 * context) * longest / overlap, math.ceil(max(frames) / stride))
    window = max(1, math.ceil(needed / multiple)) * multiple
    return Proposal(stride, window, overlap, strides, ranges)


def propose_stride(lengths: np.ndarray, unit: int = 1) -> int:
    """Rule 1: frames from one grid position to the next."""
    short = float(np.quantile(lengths, 0.05, method="inverted_cdf"))
    return unit * 2 ** max(0, math.floor(math.log2(max(short, 1) / (SHORT * unit))))


def propose_levels(longest: float) -> tuple[list[int], list[tuple[int, int]]]:
    """Rule 2: strides and ranges of the levels for actions of up to `longest` positions; at least two levels."""
    finite = max(1, math.ceil(math.log2(max(longest, 1) / 2 / REACH)) + 1)
    ends = [REACH * 2**level for level in range(finite)]
    return [2**level for level in range(finite + 1)], list(zip([0, *ends], [*ends, FOREVER], strict=True))
