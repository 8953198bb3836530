"""Numbers of anomaly detection over the frames of many videos, and of each class of anomaly."""

from dataclasses import dataclass

import numpy as np

from .frame_scores import pooled_numbers
from .frame_truth import EITHER, anomalous_frames, check_length, frames_of_rows

SHORT_FRAMES = 2  # that annotated times of real data lie beyond the decoded video


@dataclass(frozen=True)
class FrameReport:
    """What `frame_report` measures.

    Args:
        numbers: {"auc", "ap", "abnormal_auc", "abnormal_ap", "anomalous_share", "videos", "abnormal_videos"}, without
            "abnormal_auc" where videos with events have no normal frame.
        by_class: {class: numbers} of every class of anomaly, by name. "auc" and "ap" are over the frames of its videos
            and of all videos without events, the others over those of its videos alone.
    """

    numbers: dict
    by_class: dict


def frame_report(videos, events, class_names, frames_per_row, tolerance_frames=None, *, counts=None, last_row=EITHER):
    """Compare scores with events, frame by frame.

    Args:
        videos: {video: frame_scores.VideoScores}.
        events: {video: pairs of frames} of the same videos.
        class_names: {video: name of its class} of those with events.
        frames_per_row: video frames per row of scores.
        tolerance_frames: how far an event may reach beyond the rows of its video; None: `SHORT_FRAMES` and, where the
            frames of the video are not known, one unit of the video.
        counts: {video: frames} as lists say it, of videos whose scores do not; they may be off by `SHORT_FRAMES`.
        last_row: see `frames_of_rows`.
    Returns:
        FrameReport.
    Raises:
        ValueError: rows that are not those of the video's frames; an event beyond its video; no frame is anomalous, or
            all are.
    """
    truth, frames = {}, {}
    reach = max((end / len(of.scores) for video, of in videos.items() for _, end in events[video]), default=0)
    hint = f" frames_per_row={round(reach)} would hold all events" if reach > frames_per_row + 0.5 else ""
    for video, of in videos.items():
        rows = len(of.scores)
        known, slack = (of.frames, 0) if of.frames else ((counts or {}).get(video, 0), SHORT_FRAMES)
        frames[video] = frames_of_rows(video, known, rows, frames_per_row, last_row, slack)
        default = SHORT_FRAMES + (0 if known else of.unit_rows * frames_per_row)
        tolerance = default if tolerance_frames is None else tolerance_frames
        check_length(video, events[video], max(known, int(frames[video].sum())), tolerance, hint)
        truth[video] = np.minimum(anomalous_frames(events[video], rows, frames_per_row), frames[video])

    def pooled(names):
        """Numbers over the frames of some videos, and the share of these that is anomalous."""
        anomalous = np.concatenate([truth[name] for name in names])
        scores = np.concatenate([videos[name].scores for name in names])
        counts = np.concatenate([frames[name] for name in names])
        share = float(anomalous.sum() / counts.sum())
        return {**pooled_numbers(scores, anomalous, counts), "anomalous_share": share}

    numbers = pooled(videos)
    if "auc" not in numbers:
        which = "every" if "ap" in numbers else "no"
        raise ValueError(
            f"{which} frame of the {len(videos)} videos with scores is anomalous, so the area under the ROC curve is "
            "not defined"
        )
    abnormal = [video for video in videos if events[video]]
    normal = [video for video in videos if not events[video]]
    numbers = {**numbers, **_abnormal(pooled(abnormal)), "videos": len(videos), "abnormal_videos": len(abnormal)}
    by_class = {}
    for name in sorted({class_names[video] for video in abnormal}):
        own = [video for video in abnormal if class_names[video] == name]
        alone = pooled(own)
        shared = {**pooled([*own, *normal]), "anomalous_share": alone["anomalous_share"], "videos": len(own)}
        by_class[name] = {**shared, **_abnormal(alone)}
    return FrameReport(numbers, by_class)


def _abnormal(numbers):
    """The areas among numbers, called those of videos with events alone."""
    return {f"abnormal_{name}": numbers[name] for name in ("auc", "ap") if name in numbers}
