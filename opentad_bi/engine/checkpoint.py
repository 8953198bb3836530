"""Checkpoint files: tensors, numbers, strings and dicts only, written whole or not at all."""

import os
import re
from pathlib import Path

import torch

from ..utils.files import atomic, list_folder
from ..utils.logging import LOGGER
from ..utils.weight_files import load_checkpoint

__all__ = ["checkpoint_files", "load_checkpoint", "load_latest", "save_checkpoint"]

_EPOCH = re.compile(r"epoch_(\d+)\.pth")


def save_checkpoint(path, state):
    """Write `state` to `path` through a temporary file that is flushed to disk and renamed."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())


def checkpoint_files(folder):
    """Checkpoints of a run that can be resumed, newest progress last: epoch_{k}.pth by k, interrupt.pth by its time."""
    folder = Path(folder)
    epochs = [(int(m[1]), p) for p in list_folder(folder, absent=True) if (m := _EPOCH.fullmatch(p.name))]
    files = [path for _, path in sorted(epochs)]
    interrupted = folder / "interrupt.pth"
    if interrupted.is_file():
        newer = [p for p in files if p.stat().st_mtime > interrupted.stat().st_mtime]
        files.insert(len(files) - len(newer), interrupted)
    return files


def load_latest(folder):
    """(path, state) of the newest whole checkpoint in `folder`, or (None, None); damaged ones are passed over."""
    for path in reversed(checkpoint_files(folder)):
        try:
            return path, load_checkpoint(path)
        except ValueError as error:
            LOGGER.warning("%s; this checkpoint is passed over", error)
    return None, None
