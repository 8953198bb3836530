"""Files of weights, in whatever form they were published; none of them can run Python code.

The form is told by the content: torch's zip and its older pickle, NumPy's .npz, safetensors, TorchScript archives.
"""

import pickle
import re
import struct
import warnings
import zipfile
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import torch

from ..registry import nearest
from .folders import list_folder
from .optional import require

# where files of this toolbox, OpenTAD, mmaction2, open_clip and VideoMAE keep their weights, in the order of preference
WEIGHT_KEYS = ("state_dict_ema", "state_dict", "model_ema", "model", "module")
SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".npz")
_HEADER_LIMIT = 100_000_000  # bytes, of safetensors itself
_UNREADABLE = (RuntimeError, ValueError, TypeError, EOFError, OSError, KeyError, zipfile.BadZipFile)


def file_form(path):
    """The form of a file of weights: "arrays" (.npz), "safetensors", "torchscript" or "torch".

    Where the content tells nothing (a file cut short, or of another kind), the extension does.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return _zip_form(archive.namelist())
    except (zipfile.BadZipFile, OSError):
        pass
    with open(path, "rb") as file:
        head = file.read(9)
    if len(head) == 9 and head[8:] == b"{" and struct.unpack("<Q", head[:8])[0] <= _HEADER_LIMIT:
        return "safetensors"
    if head[:1] == pickle.PROTO:
        return "torch"
    return {".npz": "arrays", ".safetensors": "safetensors"}.get(path.suffix, "torch")


def _zip_form(names):
    """The form of a zip archive with these members."""
    parts = [name.split("/") for name in names]
    if any(p[-1] == "constants.pkl" for p in parts) and any("code" in p[1:-1] for p in parts):
        return "torchscript"
    return "arrays" if names and all(name.endswith(".npy") for name in names) else "torch"


def read_content(path):
    """All that a file of weights holds, on the CPU.

    Returns:
        {name: tensor}, or for a file of torch whatever was saved.
    Raises:
        FileNotFoundError: no such file.
        ValueError: damaged, of another kind, or a pickle that contains code.
    """
    path = Path(path)
    _check_exists(path)
    readers = {"arrays": _read_arrays, "safetensors": _read_safetensors, "torchscript": _read_torchscript}
    return readers.get(file_form(path), load_checkpoint)(path)


def read_file(spec):
    """State dict in the file `spec`, "PATH" or "PATH:KEY"; without a key, averaged weights are preferred.

    One leading `module.` of the names (DistributedDataParallel) is dropped.

    Returns:
        (state dict, the key it was found under or "", all that the file holds).
    """
    path, key = split_spec(spec)
    content = read_content(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, not weights by name")
    if key is None:
        key = next((k for k in WEIGHT_KEYS if isinstance(content.get(k), dict)), "")
    elif not isinstance(content.get(key), dict):
        raise KeyError(f"checkpoint {path} has no weights under {key!r}; {nearest(key, content)}")
    state = content[key] if key else content
    if not all(isinstance(name, str) for name in state):
        raise ValueError(f"{path} holds a dict whose keys are no names of tensors")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}, key, content


def split_spec(spec):
    """(path, key or None) of "PATH" or "PATH:KEY"; a file whose name has a colon is a path."""
    path, key = str(spec), None
    if not Path(path).is_file() and ":" in path:
        path, _, key = path.rpartition(":")
    return path, key


def load_checkpoint(path):
    """Read a file of torch on the CPU without running any code in it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a whole checkpoint, or a pickle that contains code.
    """
    path = Path(path)
    _check_exists(path)
    try:
        with open(path, "rb") as file:  # by its path, torch would go by the extension
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        with open(path, "rb") as file:
            pickled = zipfile.is_zipfile(path) or file.read(1) == pickle.PROTO
        if pickled and "weights_only" in str(error).lower():
            raise ValueError(
                f"checkpoint {path} holds more than tensors, numbers, strings and dicts, so opening it could run "
                "code; it is refused. If you trust its source, re-save its state_dict alone"
            ) from error
        raise ValueError(f"{path} is damaged or not a checkpoint") from error
    except Exception as error:  # a damaged pickle fails in any way
        raise ValueError(f"{path} is damaged or not a checkpoint: {error}") from error


def _check_exists(path):
    if not path.is_file():
        beside = list_folder(path.parent) if path.parent.is_dir() else ()
        near = ", ".join(sorted(p.name for p in beside if p.suffix in SUFFIXES)) or "none"
        raise FileNotFoundError(f"checkpoint {path} does not exist; in its folder: {near}")


def _read_arrays(path):
    """{name: tensor} of an .npz file."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except _UNREADABLE as error:
        raise ValueError(f"{path} is damaged or not a file of named arrays: {error}") from error


def _read_safetensors(path):
    """{name: tensor} of a safetensors file."""
    library = require("safetensors.torch", "safetensors")
    try:
        return library.load_file(path)
    except (*_UNREADABLE, require("safetensors", "safetensors").SafetensorError) as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from error


def _read_torchscript(path):
    """{name: tensor} of the module in a TorchScript archive."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the format is old is no news to whoever was given such a file
            module = torch.jit.load(str(path), map_location="cpu")
    except _UNREADABLE as error:
        first = str(error).strip().partition("\n")[0]
        raise ValueError(f"{path} is damaged or not a TorchScript archive: {first}") from error
    return {name: tensor.detach() for name, tensor in module.state_dict().items()}


def differences(own, state, *, missing=(), unexpected=()):
    """How the state dict of a network and that of a file differ in names and shapes, as lines of text; "" if they fit.

    Args:
        own: {name: tensor} of the network.
        state: {name: tensor} of the file.
        missing: patterns of names the network may have beyond the file.
        unexpected: patterns of names the file may have beyond the network.
    """
    absent = [n for n in own if n not in state and not _matches(n, missing)]
    foreign = [n for n in state if n not in own and not _matches(n, unexpected)]
    shapes = [
        f"{n}: file {shape_of(state[n])}, network {shape_of(own[n])}"
        for n in own
        if n in state and shape_of(state[n]) != shape_of(own[n])
    ]
    lists = (("missing in the file", absent), ("unknown to the network", foreign), ("other shapes", shapes))
    return "".join(f"\n  {title} ({len(names)}): {listing(names)}" for title, names in lists if names)


def shape_of(value):
    """Shape of a tensor as a tuple; of another thing, the name of its type."""
    return tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__


def _matches(name, patterns):
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def listing(names):
    """All names on one line, those that differ in numbers alone, shapes aside, as one pattern with its count."""
    numbers = re.compile(r"\b\d+\b(?![^(]*\))")
    patterns = Counter(numbers.sub("*", name) for name in names)
    single = {numbers.sub("*", name): name for name in names}
    return ", ".join(f"{p} (x{n})" if n > 1 else single[p] for p, n in patterns.items())
