"""Feature files of any form, and the videos they were made of."""

import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from ...errors import some
from ...utils.arrays import check_archive, failed_download, float32_table, open_array, refuse_other_kinds
from ...utils.files import read_json
from ...utils.logging import LOGGER
from ...utils.provenance import FEATURE_RECORD, changed_files, is_stamp, named


def feature_path(folder: str | Path, name: str) -> Path:
    """The file of the features of a video; ValueError if its name leads out of the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(
            f"video {name!r} does not lie below the folder of videos, so its features cannot have its name"
        )
    if f"{name}.json" == FEATURE_RECORD:
        raise ValueError(f"video {name!r}: its name is that of the record of all features; rename it")
    return Path(folder, f"{name}.npy")


def source_record(path: str | Path) -> Path:
    """The file beside the features at `path` that says, as "source", which video they are of."""
    return Path(path).with_name(f"{Path(path).name.removesuffix('.npy')}.json")


def replaced_sources(features: Mapping[str, str | Path], sources: dict[str, Path] | None = None) -> dict[str, str]:
    """Which features are of a video that is another one now; a warning counts those whose video no record names.

    Args:
        features: {name: path of its features}.
        sources: {name: video file}; None: where the record says that it lay. Videos that are gone are not compared.
    Returns:
        {name: how its video differs, in words}.
    """
    stamps, unknown = {}, []
    for name, path in features.items():
        record = source_record(os.path.realpath(path))  # of a link to features, it lies beside those
        content = read_json(record, "record of features") if record.is_file() else None
        if isinstance(content, dict) and is_stamp(content.get("source")):  # other tools have such files too
            stamps[name] = content["source"]
        else:
            unknown.append(name)
    if unknown and (sources or stamps):
        LOGGER.warning(
            "%d of %d files of features do not say which video they were made of, as an older version made them; if "
            "a video was replaced since, make them again with --overwrite: %s",
            len(unknown),
            len(features),
            some(unknown),
        )
    return changed_files(stamps, sources)


def refuse_replaced(
    folder: str | Path, features: Mapping[str, str | Path], sources: dict[str, Path] | None = None
) -> None:
    """ValueError if features in `folder` are of videos that were replaced since; arguments: see `replaced_sources`."""
    if replaced := replaced_sources(features, sources):
        raise ValueError(
            f"{len(replaced)} of {len(features)} files of features in {folder} are of videos that were replaced since: "
            f"{named(replaced)}; the same extraction again makes those anew (opentad-bi extract-clip-features)"
        )


def read_features(path: str | Path) -> np.ndarray:
    """Read one feature file by its extension.  Returns float32 (T, C), all finite.

    `npz` and dicts in `pkl` or `pt` hold the array under "feats". `pt` is read with `weights_only`, `pkl` with nothing
    but NumPy arrays and plain containers. The checksums of `npz` and `pt` are compared; other forms have none.
    Raises:
        FileNotFoundError: no such file.
        ValueError: an unknown extension, or contents that are not a table of finite numbers; names the file and, of a
            CSV, the line.
    """
    file = _known(path)
    features = float32_table(_opened(file, FORMATS[file.suffix]), f"features {path}")
    if features.ndim != 2 or not features.size:
        raise ValueError(_no_table(path, features.shape))
    return features


def feature_shape(path: str | Path) -> tuple[int, int]:
    """(T, C) of one feature file; of npy and npz only the header is read.  Raises as `read_features`."""
    file = _known(path)
    array = _opened(file, {**FORMATS, ".npy": open_array, ".npz": _npz_shape}[file.suffix])
    refuse_other_kinds(array.dtype, f"features {path}")
    shape = tuple(map(int, array.shape))
    if len(shape) != 2 or not all(shape):
        raise ValueError(_no_table(path, shape))
    return shape


def _known(path: str | Path) -> Path:
    """The path of a file that is there, of a known extension."""
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ValueError(f"features {path}: {path.suffix!r} is not one of {sorted(FORMATS)}")
    if not path.is_file():
        raise FileNotFoundError(f"features {path} do not exist")
    return path


def _opened(path, reader):
    """The array that a file holds, as `reader` gives it; any error becomes one that names the file."""
    try:
        return _array(reader(path))
    except Exception as error:
        found = failed_download(path)
        text = f"it is {found}" if found else str(error).strip() or type(error).__name__
        raise ValueError(text if str(path) in text else f"features {path} cannot be read: {text}") from error


def _no_table(path, shape):
    return f"features {path} cannot be read: a table (positions, channels) is expected, not an array of shape {shape}"


def _array(value):
    """The array in what a file held, in its own dtype."""
    if isinstance(value, dict):
        if "feats" not in value:
            raise ValueError(f"no entry 'feats', only {sorted(map(str, value))}")
        value = value["feats"]
    if isinstance(value, torch.Tensor):
        value = value.detach()
        value = (value.float() if value.dtype is torch.bfloat16 else value).numpy()
    return np.asarray(value)


def _npy(path):
    return np.array(open_array(path))


def _npz(path):
    check_archive(path)
    with np.load(path, allow_pickle=False) as archive:
        return {"feats": archive["feats"]} if "feats" in archive.files else dict.fromkeys(archive.files)


def _pt(path):
    check_archive(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _npz_shape(path):
    """What has the shape of "feats", which is not read."""
    with zipfile.ZipFile(path) as archive:
        if "feats.npy" not in archive.namelist():
            return dict.fromkeys(name.removesuffix(".npy") for name in archive.namelist())
        with archive.open("feats.npy") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
    return np.broadcast_to(np.zeros((), dtype), shape)


def _csv(path):
    """Numbers separated by commas, float64; a first line of which every cell is text names the columns."""
    with open(path, encoding="utf-8-sig") as file:
        lines = [(number, line) for number, line in enumerate(file, start=1) if line.partition("#")[0].strip()]
    if lines and not any(map(_number, lines[0][1].split(","))):
        lines = lines[1:]
    if not lines:
        raise ValueError("there are no numbers in it")
    try:
        return np.loadtxt([line for _, line in lines], delimiter=",", ndmin=2, dtype=np.float64)
    except ValueError as error:
        raise ValueError(_damaged_line(lines) or str(error)) from error


def _damaged_line(lines):
    """The first of (number, text) that is not a row of as many numbers as the first, in words."""
    columns = len(lines[0][1].split(","))
    for number, line in lines:
        cells = [cell.strip() for cell in line.partition("#")[0].split(",")]
        if wrong := [cell for cell in cells if not _number(cell)]:
            return f"line {number}: {wrong[0]!r} is not a number"
        if len(cells) != columns:
            return f"line {number} has {len(cells)} numbers, the first has {columns}"
    return ""


def _number(cell):
    """Is a cell of a CSV file a number?"""
    try:
        float(cell)
    except ValueError:
        return False
    return True


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

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}; only arrays are accepted")
        return super().find_class(module, name)


FORMATS = {".npy": _npy, ".npz": _npz, ".pt": _pt, ".pkl": _pkl, ".csv": _csv}
