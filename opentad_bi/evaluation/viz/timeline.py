"""A picture of predicted against true segments along time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import require
from ...ops.names import BACKWARD, FORWARD, FUSED, FUSED_PAIR, MERGED, SINGLE
from ...registry import nearest
from .curves import new_figure, save_figure

TRUTH = "truth"
COLORS = {
    TRUTH: "#3b3f46",
    SINGLE: "#1f77b4",
    FORWARD: "#1f77b4",
    BACKWARD: "#d9822b",
    MERGED: "#2a9d6f",
    FUSED: "#8e5bb5",
    **dict(zip(FUSED_PAIR, ("#5b66c2", "#c4569c"), strict=True)),
}
SPARE_COLOR = "#b03a6b"
NAMES = {
    TRUTH: "ground truth",
    FORWARD: "forward",
    BACKWARD: "backward",
    SINGLE: "prediction",
    **dict(zip(FUSED_PAIR, ("fused, forward basis", "fused, backward basis"), strict=True)),
}
LANE_INCHES = 0.15
WIDTH_INCHES = 11
MOST_VIDEOS, MOST_CLASSES = 4, 8  # panels, where none are named, and bands of each


def draw_timeline(
    path: str | Path,
    predictions: Mapping,
    ground_truth: Any = None,
    *,
    videos: Sequence[str] | None = None,
    durations: Mapping[str, float] | None = None,
    min_score: float = 0.1,
) -> None:
    """Draw predictions of each direction, under the ground truth if given, one panel per video, one band per class.

    A bar is as opaque as its score. Classes are those of the ground truth, then those with the highest scores.

    Args:
        path: PNG (or PDF, SVG) to write.
        predictions: {direction: {video: [{"segment", "label", "score"}]}}, or one {video: [...]}.
        ground_truth: GroundTruth of `load_ground_truth`, or {video: [{"segment", "label"}]}, or None.
        videos: names to draw; default the first that have true segments or, without ground truth, predictions.
        durations: {video: seconds}, where they are not those of the GroundTruth.
        min_score: predictions below are left out.
    Raises:
        KeyError: a video is neither in the ground truth nor among the predictions.
    """
    matplotlib = require("matplotlib")  # figures without pyplot need no display
    directions = _by_direction(predictions)
    truth = _truth_by_video(ground_truth)
    of_file = None if ground_truth is None or isinstance(ground_truth, Mapping) else ground_truth
    seconds = {**(of_file.durations if of_file else {}), **(durations or {})}
    known = truth or {video: entries for results in directions.values() for video, entries in results.items()}
    for video in videos or ():
        if video not in known:
            where = f"in subset {of_file.subset}" if of_file else "among those to draw"
            raise KeyError(f"video {video!r} is not {where}; {nearest(video, known)}")
    videos = list(videos or [video for video, entries in known.items() if entries][:MOST_VIDEOS])
    panels = [_panel(truth.get(video, ()), directions, video, MOST_CLASSES, min_score) for video in videos]
    lanes = [*([] if ground_truth is None else [TRUTH]), *directions]
    heights = [len(bands) * (1 + len(directions)) + 2 for bands in panels]
    with matplotlib.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        height = LANE_INCHES * sum(heights) + 0.5 * len(videos) + 0.6
        figure = new_figure(WIDTH_INCHES, height, layout="constrained")
        grid = figure.subplots(len(videos), 1, squeeze=False, height_ratios=heights)
        for axes, video, bands in zip(grid[:, 0], videos, panels, strict=True):
            _draw_panel(axes, video, bands, lanes, seconds.get(video))
        grid[-1, 0].set_xlabel("seconds")
        _legend(figure, lanes, matplotlib)
        save_figure(figure, path, 150)


def _by_direction(predictions):
    """{direction: {video: entries}}; a single result dict is the direction "model"."""
    single = any(isinstance(value, list) for value in predictions.values())
    return {SINGLE: predictions} if single else dict(predictions)


def _truth_by_video(ground_truth):
    """Ground truth of either kind as {video: [{"segment", "label", "score": 1}]}."""
    if ground_truth is None or isinstance(ground_truth, Mapping):
        return {video: [{**e, "score": 1.0} for e in entries] for video, entries in (ground_truth or {}).items()}
    found: dict[str, list[dict]] = {video: [] for video in ground_truth.videos}
    rows = ground_truth.rows
    columns = (rows.videos.tolist(), rows.segments.tolist(), rows.labels.tolist())
    for video, segment, label in zip(*columns, strict=True):
        entry = {"segment": segment, "label": ground_truth.classes[label], "score": 1.0}
        found[ground_truth.videos[video]].append(entry)
    return found


def _panel(truth, directions, video, max_classes, min_score):
    """{class: {lane: entries}} of one video: classes of the truth first, then by highest score."""
    sources = {TRUTH: truth}
    for direction, results in directions.items():
        sources[direction] = [e for e in results.get(video, ()) if e["score"] >= min_score]
    best: dict[str, tuple[bool, float]] = {}
    for lane, entries in sources.items():
        for entry in entries:
            rank = (lane == TRUTH, entry["score"])
            best[entry["label"]] = max(best.get(entry["label"], (False, 0.0)), rank)
    chosen = sorted(best, key=best.get, reverse=True)[:max_classes]
    return {
        label: {lane: [e for e in entries if e["label"] == label] for lane, entries in sources.items()}
        for label in chosen
    }


def _draw_panel(axes, video, bands, lanes, duration):
    """Bars of one video; a band per class, a lane per source within it."""
    ends = [e["segment"][1] for band in bands.values() for entries in band.values() for e in entries]
    end = duration or max(ends, default=1.0)
    size = len(lanes) + 0.6
    for row, band in enumerate(bands.values()):
        if row % 2 == 0:
            axes.axhspan(row * size - 0.3, (row + 1) * size - 0.3, color="#f3f4f6", zorder=0, linewidth=0)
        for lane, source in enumerate(lanes):
            entries = sorted(band[source], key=lambda e: e["score"])
            color = COLORS.get(source, SPARE_COLOR)
            axes.broken_barh(
                [(e["segment"][0], max(e["segment"][1] - e["segment"][0], end / 1000)) for e in entries],
                (row * size + lane + 0.08, 0.84),
                facecolors=[(color, min(1.0, 0.08 + 0.92 * e["score"])) for e in entries],
                linewidth=0,
                zorder=2,
            )
    middles = [row * size + size / 2 - 0.3 for row in range(len(bands))]
    # names are not formulas, whatever dollars are in them
    axes.set_yticks(middles, [str(label) for label in bands], parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(len(bands), 1) * size - 0.3, -0.3)
    axes.set_xlim(0, end)
    axes.set_title(video, loc="left", fontsize=9, fontweight="bold", parse_math=False)
    axes.grid(axis="x", color="#d9dce1", linewidth=0.6, zorder=1)


def _legend(figure, lanes, matplotlib):
    """One swatch per source above all panels."""
    patch = require("matplotlib.patches", "matplotlib").Patch
    handles = [patch(color=COLORS.get(lane, SPARE_COLOR), label=NAMES.get(lane, lane)) for lane in lanes]
    legend = figure.legend(handles=handles, loc="outside upper right", ncols=len(lanes), frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
