"""Resized frames of videos kept as files, read by memory map."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from ..utils.arrays import open_array
from ..utils.files import atomic
from ..utils.logging import LOGGER
from ..utils.provenance import source_stamp

_FREE = ("cache", "num_threads")


class FrameCache:
    """A folder of arrays of frames, one .npy file for each thing they were made from.

    The name of a file is a digest of all that its frames depend on.

    A file is whole or absent, so several processes may share a folder; two that make the same frames at once write the
    same bytes. Frames made from something that has changed get another file; the old one stays until it is deleted by
    hand, as the whole folder may be at any time.

    Args:
        folder: made when the first file is written.
    Raises:
        NotADirectoryError: it is a file.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self._writes = True
        if self.folder.is_file():
            raise NotADirectoryError(f"frame cache {self.folder} is a file, not a folder")

    def get(self, origin, make, fits=lambda frames: True):
        """The frames kept for `origin`, or else those that `make()` gives, which are then kept.

        A file that is damaged or does not fit is made anew, with a warning; where nothing can be written, one warning
        says so and nothing is kept from then on.

        Args:
            origin: dict of text, numbers and truth values: all that the frames depend on.
            make: function without arguments.
            fits: can an array be the frames of `origin`, by its shape?
        Returns:
            uint8 (N, H, W, 3), read-only where they come from the file.
        """
        path = self.path(origin)
        frames = _read(path, fits)
        if frames is None:
            frames = make()
            self._write(path, frames)
        return frames

    def path(self, origin):
        """The file of `origin`."""
        text = json.dumps(origin, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npy"

    def _write(self, path, frames):
        if not self._writes:
            return
        try:
            with atomic(path) as temporary, open(temporary, "wb") as file:
                np.save(file, frames)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self._writes = False
            LOGGER.warning("frame cache: %s; frames are decoded again each time from now on", error)


def frame_origin(path, step, **more):
    """An `origin` for frames of a file: the file's place, size and content, and every public setting of what reads it.

    Args:
        path: of the video.
        step: object whose attributes are settings; `cache` and `num_threads` change no frame.
        more: what else the frames depend on, or settings that say it otherwise; None leaves one out.
    """
    stamp = source_stamp(path)
    settings = {name: value for name, value in vars(step).items() if name[0] != "_" and name not in _FREE} | more
    file = {"path": str(path), "bytes": stamp["bytes"], "edges": stamp["edges"]}
    return file | {name: value for name, value in settings.items() if value is not None}


def _read(path, fits):
    """The array in a file, or None if the file is absent, damaged, cannot be read or does not fit."""
    try:
        frames = open_array(path, "frames")
        if frames.dtype == np.uint8 and frames.ndim == 4 and frames.shape[3] == 3 and fits(frames):
            return np.asarray(frames)
        reason = f"it holds {frames.dtype} {frames.shape}"
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        reason = error
    LOGGER.warning("frame cache: %s is damaged (%s) and made anew", path, reason)
    return None
