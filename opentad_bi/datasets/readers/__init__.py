"""Video readers: `open_video` finds and opens the file of a video."""

from pathlib import Path

from ...registry import READERS
from . import decord, pyav
from .base import VideoError, VideoReader

__all__ = ["VideoError", "VideoReader", "decord", "find_video", "open_video", "pyav"]

EXTENSIONS = ("mp4", "avi", "mkv", "webm")


def find_video(folder, name, file_format="mp4"):
    """The file `folder/name.ext`, `ext` being `file_format` or else mp4, avi, mkv, webm; FileNotFoundError if none."""
    for extension in dict.fromkeys((file_format, *EXTENSIONS)):
        path = Path(folder) / f"{name}.{extension}"
        if path.is_file():
            return path
    tried = ", ".join(dict.fromkeys((file_format, *EXTENSIONS)))
    raise FileNotFoundError(f"video {name!r} is not in {folder} (tried {tried})")


def open_video(path, reader="pyav", num_threads=1):
    """Open a video file with the reader of that name."""
    return READERS.build({"type": reader, "path": path, "num_threads": num_threads})
