"""What the container of a video says of it; nothing is decoded, and no more of the file is read than its headers."""

from dataclasses import dataclass
from pathlib import Path

from ...errors import require
from .base import VideoError, refuse_incomplete


@dataclass(frozen=True)
class VideoHeader:
    """Length of a video by its container; containers may be wrong by a few frames.

    Args:
        fps: average frames per second; 0 if not known.
        frames: possible numbers of frames: as the container counts them, and seconds * fps; empty if neither is known.
        seconds: possible durations likewise.
    """

    fps: float
    frames: tuple[int, ...]
    seconds: tuple[float, ...]


def read_header(path: str | Path) -> VideoHeader:
    """Read the header of a video file.

    Raises:
        FileNotFoundError: no such file.
        VideoError: it is empty, cut short or no video.
        ImportError: PyAV is not installed.
    """
    path = Path(path)
    refuse_incomplete(path)
    av = require("av")
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            cover = av.stream.Disposition.attached_pic
            stream = next((s for s in container.streams.video if not s.disposition & cover), None)
            if stream is None:
                raise VideoError(f"video {path} has no video stream")
            fps = float(stream.average_rate or stream.guessed_rate or 0)
            shown = stream.duration * stream.time_base if stream.duration else (container.duration or 0) / av.time_base
            return _header(fps, stream.frames, float(shown))
    except av.FFmpegError as error:
        raise VideoError(f"video {path} cannot be opened: {error.strerror}") from error


def _header(fps, frames, seconds):
    """The possible lengths, from what a container says; 0 is not known."""
    counts = [frames] if frames > 0 else []
    lasts = [seconds] if seconds > 0 else []
    if fps > 0:
        counts, lasts = counts + [round(s * fps) for s in lasts], lasts + [count / fps for count in counts]
    return VideoHeader(fps, tuple(counts), tuple(lasts))
