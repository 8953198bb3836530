"""Feature files to arrays: npy, npz, pt, pkl, csv.  None of them can run code.

T positions, C channels
"""

import pickle
from pathlib import Path

import numpy as np
import torch


def read_features(path):
    """Read one feature file by its extension.  Returns float32 (T, C).

    `npz` and dicts in `pkl` or `pt` hold the array under "feats". `pt` is read with `weights_only`, `pkl` with nothing
    but NumPy arrays and plain containers.
    Raises:
        FileNotFoundError: no such file.
        ValueError: an unknown extension, or contents that are not a table of numbers; the message names the file.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ValueError(f"features {path}: {path.suffix!r} is not one of {sorted(FORMATS)}")
    if not path.is_file():
        raise FileNotFoundError(f"features {path} do not exist")
    try:
        features = _table(FORMATS[path.suffix](path))
    except Exception as error:
        raise ValueError(f"features {path} cannot be read: {error}") from error
    return features


def _table(value):
    """The (T, C) array in what a file held."""
    if isinstance(value, dict):
        if "feats" not in value:
            raise ValueError(f"no entry 'feats', only {sorted(map(str, value))}")
        value = value["feats"]
    if isinstance(value, torch.Tensor):
        value = value.float().numpy()
    array = np.ascontiguousarray(value, dtype=np.float32)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"a table (positions, channels) is expected, not an array of shape {array.shape}")
    return array


def _npy(path):
    return np.load(path, allow_pickle=False)


def _npz(path):
    with np.load(path, allow_pickle=False) as archive:
        return {"feats": archive["feats"]} if "feats" in archive.files else dict.fromkeys(archive.files)


def _pt(path):
    return torch.load(path, map_location="cpu", weights_only=True)


def _csv(path):
    """Numbers separated by commas; a first line of names is skipped."""
    with open(path, encoding="utf-8") as file:
        head = file.readline()
    try:
        [float(cell) for cell in head.split(",")]
    except ValueError:
        return np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2, dtype=np.float32)
    return np.loadtxt(path, delimiter=",", ndmin=2, dtype=np.float32)


def _pkl(path):
    with open(path, "rb") as file:
        return _DataUnpickler(file).load()


class _DataUnpickler(pickle.Unpickler):
    """Rebuilds NumPy arrays and plain containers, and nothing else."""

    ALLOWED = frozenset(
        {
            *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
            *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("collections", "OrderedDict"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module, name):
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}; only arrays are accepted")
        return super().find_class(module, name)


FORMATS = {".npy": _npy, ".npz": _npz, ".pt": _pt, ".pkl": _pkl, ".csv": _csv}
