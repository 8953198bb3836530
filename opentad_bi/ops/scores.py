"""What a model says of one sample."""

from dataclasses import dataclass

import numpy as np

from .sample import UnitMeta

# T rows, C classes, R regions, E width of the joint space


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


@dataclass(frozen=True)
class CaptionFeatures:
    """Features of a video, of the regions in it, and of what is said of them.

    Args:
        meta: which video.
        caption: what is said of it.
        region_captions: R texts.
        video, text: (E,) float32, of length 1, of the video and its caption.
        regions, region_texts: (R, E) float32, of length 1.
    """

    meta: UnitMeta
    caption: str
    region_captions: list[str]
    video: np.ndarray
    text: np.ndarray
    regions: np.ndarray
    region_texts: np.ndarray
