"""What of a training set the points and windows of a config's detector can answer for."""

from dataclasses import replace

import numpy as np

from ..ops.windows import OVERLAP
from ..registry import DATASETS, POINT_GENERATORS
from .base import AnnotationDataset
from .check_sets import spread
from .statistics import Subset, level_shares, read_subset

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
    cut = next((step for step in train["pipeline"] if step.get("trunc_len")), {})
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
        subset: the videos.
        network: config of the detector.
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
        f"{low:.3g}, 95 %: {high:.3g}), levels reach {ranges}; tools/dataset_stats.py CONFIG shows more, and proposes "
        "window, stride and ranges"
    )
