"""What a classifier says of one sample."""

from dataclasses import dataclass

import numpy as np

from .sample import UnitMeta

# T rows, C classes


@dataclass(frozen=True)
class ClassScores:
    """Probabilities of all classes for one unit of a video.

    Args:
        meta: where the unit lies.
        label: true class, or -1 where it is not known.
        probabilities: (C,) float32, they sum to 1.
    """

    meta: UnitMeta
    label: int
    probabilities: np.ndarray


@dataclass(frozen=True)
class RowScores:
    """Probabilities of all classes for each row of a run of rows of a video.

    Args:
        meta: where the run lies.
        label: true class of the video, or -1 where it is not known.
        probabilities: (T, C) float32, each row sums to 1.
    """

    meta: UnitMeta
    label: int
    probabilities: np.ndarray
