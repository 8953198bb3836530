"""What travels with a sample from the dataset to the evaluation."""

from dataclasses import dataclass


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

    def to_seconds(self, segments):
        """Grid positions to seconds, clipped to the video.  (..., 2) -> (..., 2), numpy or torch, float32."""
        frames = segments * self.snippet_stride + (self.window_start_frame + self.offset_frames)
        return (frames / self.fps).clip(0.0, self.duration_sec)


@dataclass(frozen=True)
class UnitMeta:
    """Which rows of which video's feature file one unit is made of.

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

    def __init__(self, videos, starts, rows, frames=None):
        self.videos, self.starts, self.rows = videos, starts, rows
        self.frames = [None] * len(videos) if frames is None else frames

    def __len__(self):
        return len(self.videos)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return UnitMetas(*(column[index] for column in self._columns()))
        return UnitMeta(*(column[index] for column in self._columns()))

    def __iter__(self):
        return map(UnitMeta, *self._columns())

    def __repr__(self):
        return f"UnitMetas({list(self)})"

    def __reduce__(self):
        return UnitMetas, self._columns()

    def _columns(self):
        return self.videos, self.starts, self.rows, self.frames
