"""Labels of units by the time of the events: what lies outside them is normal."""

import numpy as np

from ..ops.names import normal_label
from ..registry import nearest
from .frame_truth import anomalous_frames, frames_of_rows, read_frame_annotation

# N units


class TimedLabels:
    """Gives units of anomalous videos the label of the normal class where no event of their video touches them.

    Args:
        annotation: file for `read_frame_annotation`.
        classes: names by label.
        normal_class: the class that is no anomaly.
        frames_per_row: video frames per row of features.
    """

    def __init__(self, annotation, classes, normal_class, frames_per_row):
        self.normal, self.frames_per_row = normal_label(normal_class, classes), frames_per_row
        self.truth = read_frame_annotation(annotation, normal_class=normal_class)

    def __call__(self, units):
        """Labels of `Units`: (N,) int64.

        Raises:
            ValueError: a video with the label of an anomaly that the annotation lacks, or with another number of rows
                than its frames make.
        """
        labels = units.labels.copy()
        for video in dict.fromkeys(units.videos[units.labels != self.normal].tolist()):
            if video not in self.truth:
                raise ValueError(f"the annotation lacks video {video!r}; {nearest(video, self.truth)}")
            mine = np.flatnonzero(units.videos == video)
            ends = units.starts[mine] + units.rows[mine]
            frames_of_rows(video, int(units.frames[mine].max()), int(ends.max()), self.frames_per_row)
            frames = anomalous_frames(self.truth[video].events, int(ends.max()), self.frames_per_row)
            before = np.concatenate([[0], np.cumsum(frames)])
            outside = before[ends] == before[units.starts[mine]]
            labels[mine[outside]] = self.normal
        return labels
