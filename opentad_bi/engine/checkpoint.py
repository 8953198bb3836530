"""Checkpoint files: tensors, numbers, strings and dicts only, written whole or not at all."""

import os
import pickle
import re
import zipfile
from pathlib import Path

import torch

from ..utils.files import atomic
from ..utils.logging import LOGGER

_EPOCH = re.compile(r"epoch_(\d+)\.pth")


def save_checkpoint(path, state):
    """Write `state` to `path` through a temporary file that is flushed to disk and renamed."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())


def load_checkpoint(path):
    """Read a checkpoint on the CPU without running any code in it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a whole checkpoint, or a pickle that contains code.
    """
    path = Path(path)
    if not path.is_file():
        near = sorted(p.name for p in path.parent.glob("*.pth")) if path.parent.is_dir() else []
        raise FileNotFoundError(f"checkpoint {path} does not exist; in its folder: {', '.join(near) or 'none'}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        with open(path, "rb") as file:
            pickled = zipfile.is_zipfile(path) or file.read(1) == pickle.PROTO
        if pickled and "weights_only" in str(error).lower():
            raise ValueError(
                f"checkpoint {path} holds more than tensors, numbers, strings and dicts, so opening it could run "
                "code; it is refused. If you trust its source, re-save its state_dict alone"
            ) from error
        raise ValueError(f"{path} is damaged or not a checkpoint") from error
    except (RuntimeError, EOFError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged or not a checkpoint: {error}") from error


def checkpoint_files(folder):
    """Checkpoints of a run that can be resumed, newest progress last: epoch_{k}.pth by k, interrupt.pth by its time."""
    folder = Path(folder)
    epochs = [(int(m[1]), p) for p in folder.glob("epoch_*.pth") if (m := _EPOCH.fullmatch(p.name))]
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
            LOGGER.warning("%s; taking the one before it", error)
    return None, None
