"""What every video reader offers, and how the file of a video is found, checked and opened.

Frames in any order are read by one pass forward.

N number of asked frames, M of them different, H height, W width
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ...ops.names import VIDEO_SUFFIXES
from ...registry import READERS


def find_video(folder: str | Path, name: str, file_format: str = "mp4") -> Path:
    """The file `folder/name.ext`, `ext` being `file_format` or a suffix of a video; FileNotFoundError if none."""
    extensions = list(dict.fromkeys((file_format, *(suffix[1:] for suffix in VIDEO_SUFFIXES))))
    for extension in extensions:
        path = Path(folder) / f"{name}.{extension}"
        if path.is_file():
            return path
    tried = ", ".join(extensions)
    raise FileNotFoundError(f"video {name!r} is not in {folder} (tried {tried})")


def open_video(path: str | Path, reader: str = "pyav", num_threads: int = 1) -> "VideoReader":
    """Open a video file with the reader of that name."""
    return READERS.build({"type": reader, "path": path, "num_threads": num_threads})


def missing_bytes(path: str | Path) -> int:
    """How many bytes the last top-level box of an MP4 or MOV file claims beyond the end of the file; 0 if whole.

    A file that does not begin with an `ftyp` box (another container) counts as whole.
    """
    size = Path(path).stat().st_size
    at = 0
    with open(path, "rb") as file:
        while at + 8 <= size:
            file.seek(at)
            length, kind = struct.unpack(">I4s", file.read(8))
            if at == 0 and kind != b"ftyp":
                return 0
            if length == 1:
                wide = file.read(8)
                length = struct.unpack(">Q", wide)[0] if len(wide) == 8 else 16
            if length == 0:
                return 0
            if length < 8:
                return 0
            at += length
    return max(0, at - size)


class VideoError(ValueError):
    """A video file that cannot be read as asked; the message names the file."""


def refuse_incomplete(path: Path) -> None:
    """Raise a FileNotFoundError or VideoError for a video file that is missing, empty or cut short."""
    if not path.is_file():
        raise FileNotFoundError(f"video {path} does not exist")
    if path.stat().st_size == 0:
        raise VideoError(f"video {path} is empty (0 bytes)")
    missing = missing_bytes(path)
    if missing:
        raise VideoError(
            f"video {path} is cut short: its last {missing} bytes are missing; fetch it again, or name it in block_list"
        )


class VideoReader:
    """One open video file; `frames` takes indices in any order, with repeats.

    Open it in the process that reads: no handle survives a fork. A subclass sets `fps`, has `__len__`, and decodes
    rising frame numbers in `_decode`. The file is never held in memory as a whole.

    Args:
        path: the video file.
    Raises:
        FileNotFoundError: no such file.
        VideoError: the file is empty or cut short.
    """

    fps: float
    _shape = None  # (H, W, 3) of the frames read so far

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        refuse_incomplete(self.path)

    def frames(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Frames at `indices`, any order, repeats allowed.  (N,) int -> uint8 (N, H, W, 3) RGB.

        Raises:
            IndexError: a number outside the video.
            VideoError: a frame that cannot be decoded, or has another size; never another frame in its place.
        """
        images = Images(self._checked(indices), self)
        self._decode(images)
        return images.array

    def in_order(self, indices: Sequence[int] | np.ndarray, size: int) -> Iterator[np.ndarray]:
        """Frames at rising `indices`, `size` at a time: as `frames` gives them, but in one pass over the file.

        Yields:
            uint8 (<= size, H, W, 3) RGB.
        Raises:
            as `frames`, when it comes to a frame that cannot be decoded.
        """
        indices = self._checked(indices)
        if (np.diff(indices) <= 0).any():
            raise ValueError(f"video {self.path}: frames read in one pass must rise in number")
        return self._in_order([indices[i : i + size] for i in range(0, len(indices), size)])

    def times(self) -> np.ndarray | None:
        """When each frame is shown, in seconds from the first one: (len,) float64, rising; None if not known."""
        return None

    def __len__(self) -> int:
        """Number of frames."""
        raise TypeError(f"{type(self).__name__} counts no frames")

    def check_shape(self, frame: int, shape: tuple[int, ...]) -> None:
        """VideoError unless the frame of that number has the (H, W, 3) of all others."""
        self._shape = self._shape or shape
        if shape != self._shape:
            (height, width), (rows, columns) = self._shape[:2], shape[:2]
            raise VideoError(
                f"video {self.path}: frame {frame} is {columns} x {rows}, but frames before it are {width} x {height}; "
                "cut the video where its size changes, or re-encode it"
            )

    def _checked(self, indices):
        """Frame numbers as an array; an error for none and for those outside the video."""
        indices = np.asarray(indices, dtype=np.int64)
        if indices.size == 0:
            raise ValueError(f"video {self.path}: no frames were asked for")
        if indices.min() < 0 or indices.max() >= len(self):
            wrong = indices.min() if indices.min() < 0 else indices.max()
            raise IndexError(f"video {self.path} has frames 0 to {len(self) - 1}; frame {wrong} was asked for")
        return indices

    def _in_order(self, parts):
        """Frames of each of `parts`, rising numbers; a subclass need not begin anew for every one of them."""
        for part in parts:
            yield self.frames(part)

    def _decode(self, images):
        """Put every frame of `images.wanted` (rising, each once) with `images.put(position, frame)`."""
        raise TypeError(f"{type(self).__name__} decodes nothing")

    def damaged(self, frame: int, reason: str = "") -> VideoError:
        """The error for a frame that cannot be decoded."""
        reason = f" ({reason})" if reason else ""
        return VideoError(
            f"video {self.path}: frame {frame} of {len(self)} cannot be decoded{reason}; "
            "the file is damaged: fetch it again, re-encode it, or name it in block_list"
        )

    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Images:
    """The frames asked of a reader being filled in: `wanted` (M,) rising numbers, `array` uint8 (N, H, W, 3)."""

    def __init__(self, indices: np.ndarray, reader: VideoReader) -> None:
        self.wanted, inverse = np.unique(indices, return_inverse=True)
        self._inverse = inverse
        order = np.argsort(inverse, kind="stable")
        self._places = np.split(order, np.cumsum(np.bincount(inverse))[:-1])
        self._count, self._reader = len(indices), reader
        self.array = np.empty(0, dtype=np.uint8)  # until the first frame says its size

    def put(self, position: int, image: np.ndarray) -> None:
        """Write the frame number `wanted[position]`, (H, W, 3) uint8, to every place that asks for it."""
        self._reader.check_shape(self.wanted[position], image.shape)
        if not self.array.size:
            self.array = np.empty((self._count, *image.shape), dtype=np.uint8)
        for place in self._places[position]:
            self.array[place] = image

    def put_all(self, frames: np.ndarray) -> None:
        """Write all wanted frames at once: (M, H, W, 3) uint8 in the order of `wanted`."""
        straight = len(frames) == self._count and (self._inverse[:-1] < self._inverse[1:]).all()
        self.array = frames if straight else frames[self._inverse]
