"""Video readers: `find_video` finds the file of a video, `open_video` opens it."""

from . import decord, pyav
from .base import VideoError, VideoReader, find_video, open_video

__all__ = ["VideoError", "VideoReader", "decord", "find_video", "open_video", "pyav"]
