"""Read trimmed clips from a folder per class, and bring them to one size and rate."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..ops.names import VIDEO_SUFFIXES
from ..registry import nearest
from ..utils.files import list_folder, walk_files
from .frame_index import open_video

log = logging.getLogger(__name__)

FITS = ("crop", "letterbox")


@dataclass(frozen=True)
class Clip:
    """A trimmed video file, the class folder it lies in, and how many frames it has at the target rate."""

    path: Path
    label: str
    frames: int


@dataclass(frozen=True)
class Format:
    """What every clip is brought to: frames of `width` x `height` pixels, `fps` frames per second.

    `fit` says what happens to another aspect: "crop" fills the frame and cuts what sticks out; "letterbox" keeps
    everything and adds black bars, which a network may read as the class if classes differ in aspect.
    """

    width: int
    height: int
    fps: int
    fit: str = "crop"

    def __post_init__(self):
        if self.fit not in FITS:
            raise ValueError(f"fit {self.fit!r} is unknown; {nearest(self.fit, FITS)}")
        if self.width % 2 or self.height % 2 or min(self.width, self.height, self.fps) < 1:
            raise ValueError(f"width and height must be even, fps at least 1; got {self}")


def find_clips(root, labels, fps):
    """List the clips of the class folders `labels` of `root`, in order of their names.

    A clip that cannot be decoded is left out with a warning. FileNotFoundError for a folder that is missing or has no
    readable clip.
    """
    root = Path(root)
    clips = []
    for label in labels:
        folder = root / label
        if not folder.is_dir():
            known = [p.name for p in list_folder(root) if p.is_dir()] if root.is_dir() else []
            raise FileNotFoundError(f"class folder {folder} does not exist; {nearest(label, known)}")
        files = walk_files(folder, VIDEO_SUFFIXES)
        own = [clip for clip in (_probe(file, label, fps) for file in files) if clip]
        if not own:
            raise FileNotFoundError(f"no readable video is in {folder}")
        clips += own
    return clips


def _probe(path, label, fps):
    try:
        frames = sum(1 for _ in read_at_rate(path, fps))
    except Exception as error:
        log.warning("%s is skipped, it cannot be read: %s", path, error)
        return None
    return Clip(path, label, frames)


def read_at_rate(path, fps):
    """Yield PyAV frames so that they come `fps` times a second: frame n is the one shown at n / fps.

    Frames are repeated or left out, never blended.
    """
    container, stream = open_video(path)
    with container:
        stream.thread_type = "AUTO"
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        given, start, shown = 0, None, None
        for n, frame in enumerate(container.decode(stream)):
            time = n / rate if frame.time is None or container.format.name == "avi" else frame.time
            start = time if start is None else start
            # The picture shown at given / fps is the last one that began by then; half a millisecond is rounding.
            while shown is not None and given / fps < time - start - 5e-4:
                yield shown
                given += 1
            shown, end = frame, time - start + 1 / rate
        while shown is not None and given / fps < end - 5e-4:
            yield shown
            given += 1
    if given == 0:
        raise ValueError(f"{path} has no frames")


def fit_frame(frame, target):
    """Bring a PyAV frame to `target` (a Format).  Returns uint8 (height, width, 3) RGB."""
    ratios = target.width / frame.width, target.height / frame.height
    scale = max(ratios) if target.fit == "crop" else min(ratios)
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    picture = frame.reformat(width, height, format="rgb24", interpolation="AREA" if scale < 1 else "BICUBIC")
    picture = picture.to_ndarray()
    top, left = (target.height - height) // 2, (target.width - width) // 2
    canvas = np.zeros((target.height, target.width, 3), np.uint8)
    rows, own_rows = _overlap(top, height, target.height)
    columns, own_columns = _overlap(left, width, target.width)
    canvas[rows, columns] = picture[own_rows, own_columns]
    return canvas


def _overlap(offset, length, room):
    """Slices of a room and of something of `length` put at `offset` into it (negative: it sticks out)."""
    first, stop = max(0, offset), min(room, offset + length)
    return slice(first, stop), slice(first - offset, stop - offset)
