"""Numbers of anomaly detection over the frames of many videos, and of each class of anomaly."""

from dataclasses import dataclass

import numpy as np

from .frame_scores import pooled_numbers
from .frame_truth import anomalous_frames, check_length

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


def frame_report(videos, events, class_names, frames_per_row, tolerance_frames=None):
    """Compare scores with events, frame by frame.

    Args:
        videos: {video: frame_scores.VideoScores}.
        events: {video: pairs of frames} of the same videos.
        class_names: {video: name of its class} of those with events.
        frames_per_row: video frames per row of scores.
        tolerance_frames: how far an event may reach beyond the rows of its video; None: one unit of the video and
            `SHORT_FRAMES`.
    Returns:
        FrameReport.
    Raises:
        ValueError: an event beyond its video; no frame is anomalous, or all are.
    """
    truth = {}
    for video, of in videos.items():
        frames = len(of.scores) * frames_per_row
        default = of.unit_rows * frames_per_row + SHORT_FRAMES
        check_length(video, events[video], frames, default if tolerance_frames is None else tolerance_frames)
        truth[video] = anomalous_frames(events[video], len(of.scores), frames_per_row)

    def pooled(names):
        """Numbers over the frames of some videos, and the share of these that is anomalous."""
        anomalous = np.concatenate([truth[name] for name in names])
        scores = np.concatenate([videos[name].scores for name in names])
        share = float(anomalous.mean() / frames_per_row)
        return {**pooled_numbers(scores, anomalous, frames_per_row), "anomalous_share": share}

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
