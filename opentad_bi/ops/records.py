"""The records that travel between the layers: where a sample lies, raw predictions, results and scores.

What travels with a sample from the dataset to the evaluation; the raw maps of a detector per level, candidate segments
and the result for one sample; class scores and features of captions. None of them needs torch to be imported.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Rows = TypeVar("Rows", np.ndarray, "Tensor")


@dataclass(frozen=True)
class SampleMeta:
    """Where one window of one video lies in time.

    Grid position g is video frame `g * snippet_stride + window_start_frame + offset_frames`.

    Args:
        video: name of the video, without extension.
        fps: frames per second, as the annotation has it (`frame / duration`).
        duration_sec: length of the video in seconds.
        snippet_stride: video frames per grid position.
        window_start_frame: video frame of grid position 0, before `offset_frames`.
        offset_frames: frame within a snippet that stands for it (8 for I3D snippets of 16 frames).
        valid_length: number of grid positions that are not padding (the window's masks are prefix-shaped).
        sliding: True if this is one of several windows of the video, to be merged by one NMS afterwards.
    """

    video: str
    fps: float
    duration_sec: float
    snippet_stride: float
    window_start_frame: int = 0
    offset_frames: int = 0
    valid_length: int = 0
    sliding: bool = False

    def to_seconds(self, segments: Rows) -> Rows:
        """Grid positions to seconds, clipped to the video.  (..., 2) -> (..., 2), numpy or torch, float32."""
        frames = segments * self.snippet_stride + (self.window_start_frame + self.offset_frames)
        return (frames / self.fps).clip(0.0, self.duration_sec)


@dataclass(frozen=True)
class UnitMeta:
    """Which rows of which video's feature file one snippet is made of.

    Args:
        video: name of the video, without extension; crops of one video share it.
        start: first row, counted from 0.
        rows: number of rows (1 for per-second features taken one by one).
        frames: frames of the whole video, where they are known.
    """

    video: str
    start: int
    rows: int
    frames: int | None = None


class UnitMetas:
    """The UnitMeta of every sample of a batch: a read-only sequence over plain lists, made one by one when asked for.

    Args:
        videos, starts, rows, frames: lists of equal length, the fields of UnitMeta; `frames` may be None.
    """

    __slots__ = ("frames", "rows", "starts", "videos")

    def __init__(
        self, videos: list[str], starts: list[int], rows: list[int], frames: Sequence[int | None] | None = None
    ) -> None:
        self.videos, self.starts, self.rows = videos, starts, rows
        self.frames = [None] * len(videos) if frames is None else frames

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int | slice) -> "UnitMeta | UnitMetas":
        if isinstance(index, slice):
            return UnitMetas(*(column[index] for column in self._columns()))
        return UnitMeta(*(column[index] for column in self._columns()))

    def __iter__(self) -> Iterator[UnitMeta]:
        return map(UnitMeta, *self._columns())

    def __repr__(self):
        return f"UnitMetas({list(self)})"

    def __reduce__(self):
        return UnitMetas, self._columns()

    def _columns(self):
        return self.videos, self.starts, self.rows, self.frames


# B batch, C classes, T_l points of level l, N candidates


@dataclass(frozen=True)
class Grid:
    """Where the points of a detector lie, and how many classes it tells apart.

    Args:
        num_classes: C.
        window: grid positions that windows are padded to.
        strides: L distances between neighbouring points of a level, in grid positions.
        first: L positions of the first point of each level.
    """

    num_classes: int
    window: int
    strides: tuple[int, ...]
    first: tuple[float, ...]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Points of each level in a window."""
        return tuple(self.window // stride for stride in self.strides)


@dataclass
class Prediction:
    """Raw maps of a detector, one list entry per pyramid level.

    Args:
        cls: (B, C, T_l) class logits.
        reg: (B, 2, T_l) distances from a point to start and end, in strides of the level; >= 0 as detectors give
            them, realigned ones may be negative.
        masks: (B, T_l) bool, True where the point is not padding.
        points: (T_l, 4) float32 rows (position on the grid, range low, range high, stride).
    """

    cls: "list[Tensor]"
    reg: "list[Tensor]"
    masks: "list[Tensor]"
    points: "list[Tensor]"

    def parts(self, prefix: str = "") -> "list[tuple[str, Tensor, Tensor]]":
        """(name, tensor, mask) of all maps, as `utils.validation.check_finite` takes them."""
        found = []
        for level, (cls, reg, mask) in enumerate(zip(self.cls, self.reg, self.masks, strict=True)):
            found.append((f"{prefix}class logits of level {level}", cls, mask[:, None]))
            found.append((f"{prefix}distances of level {level}", reg, mask[:, None]))
        return found


@dataclass
class Detections:
    """Candidate segments of one sample, sorted by falling score, on the grid of the sample's window.

    Args:
        segments: (N, 2) float32, start and end in grid positions (fractional, not clipped).
        scores: (N,) float32 in [0, 1].
        labels: (N,) int64 class indices.
    """

    segments: "Tensor"
    scores: "Tensor"
    labels: "Tensor"

    def cpu(self) -> "Detections":
        """The same on the CPU."""
        return Detections(self.segments.cpu(), self.scores.cpu(), self.labels.cpu())


@dataclass
class Result:
    """All candidates of one sample: `detections` maps a direction ("model" for a single network; "for", "back",
    "fused_for", "fused_back") to its Detections, every one of them on the forward grid and on the CPU."""

    meta: SampleMeta
    detections: dict[str, Detections] = field(default_factory=dict)


# T rows, C classes, R regions, E width of the joint space


@dataclass(frozen=True)
class ClassScores:
    """Probabilities of all classes for one snippet of a video.

    Args:
        meta: where the snippet lies.
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
