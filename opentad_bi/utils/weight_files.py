"""Files of weights, in whatever form they were published; none of them can run Python code.

The form is recognised by the content: torch's zip and its older pickle, NumPy's .npz, safetensors, TorchScript.
"""

import hashlib
import pickle
import re
import struct
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import require, some
from ..registry import nearest
from .arrays import check_archive, failed_download
from .files import list_folder


def weights_digest(state: dict[str, Tensor]) -> str:
    """SHA-256 of the names and values of a state dict, as hexadecimal text.

    Args:
        state: {name: tensor}; the order does not count.
    """
    total = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


# where files of this toolbox, OpenTAD, mmaction2, open_clip and VideoMAE keep their weights, in the order of preference
WEIGHT_KEYS = ("state_dict_ema", "state_dict", "model_ema", "model_state_dict", "model", "module")
WRAPPERS = ("module.", "_orig_mod.", "model.", "clip_model.", "model_state_dict.", "state_dict.")
SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".npz")
_HEADER_LIMIT = 100_000_000  # bytes, of safetensors itself
_NESTED = 4  # levels of dicts around the weights that are looked into
_REFUSED = re.compile(r"(?:GLOBAL|but got|class) ([\w.]+)")  # what a pickle asks for, in torch's words


def file_form(path: str | Path) -> str:
    """The form of a file of weights: "arrays" (.npz), "safetensors", "torchscript" or "torch".

    Where the content says nothing (a file cut short, or of another kind), the extension does.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return _zip_form(archive.namelist())
    except Exception:  # no zip, or a damaged one, which its reader reports
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


def read_content(path: str | Path) -> Any:
    """All that a file of weights holds, on the CPU.  Returns {name: tensor}, or for a file of torch whatever was saved.

    Raises:
        FileNotFoundError: no such file.
        ValueError: damaged, of another kind, or a pickle that contains code.
    """
    path = Path(path)
    _check_file(path)
    readers = {"arrays": _read_arrays, "safetensors": _read_safetensors, "torchscript": _read_torchscript}
    return readers.get(file_form(path), _read_torch)(path)


def read_file(spec: str | Path) -> tuple[dict[str, Tensor], str, dict]:
    """State dict in the file `spec`, "PATH" or "PATH:KEY"; without a key, averaged weights are preferred.

    Weights may lie in dicts within dicts; `module.` (DistributedDataParallel) and `_orig_mod.` (torch.compile) before
    the names are dropped.

    Returns:
        (state dict, the key it was found under or "", all that the file holds).
    Raises:
        FileNotFoundError, KeyError: no such file, or no such key in it.
        ValueError: not weights by name, or a tensor that is not dense or has no numbers.
    """
    path, key = split_spec(spec)
    content = read_content(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, not weights by name")
    if key is not None and not isinstance(content.get(key), dict):
        raise KeyError(f"checkpoint {path} has no weights under {key!r}; {nearest(key, map(str, content))}")
    keys, state = ([], content) if key is None else ([key], content[key])
    while len(keys) < _NESTED and (inner := next((k for k in WEIGHT_KEYS if isinstance(state.get(k), dict)), None)):
        keys, state = [*keys, inner], state[inner]
    if not all(isinstance(name, str) for name in state):
        raise ValueError(f"{path} holds a dict whose keys are not names of tensors")
    check_dense(state, path)
    return renamed(state, _plain_name, path), ".".join(keys), content


def _plain_name(name):
    """The name of a tensor without those of wrappers that any network may have."""
    name = name.replace("_orig_mod.", "")
    while name.startswith("module."):
        name = name.removeprefix("module.")
    return name


def renamed(state: dict[str, Tensor], rename: Callable[[str], str], path: str | Path) -> dict[str, Tensor]:
    """`state` under the names that `rename(name)` gives; ValueError that names `path` if two become one."""
    new = {rename(name): tensor for name, tensor in state.items()}
    if len(new) < len(state):
        twice = [name for name, count in Counter(map(rename, state)).items() if count > 1]
        raise ValueError(f"{path} holds weights twice, with and without a wrapper's name: {some(twice)}")
    return new


def check_dense(state: dict[str, Tensor], path: str | Path) -> None:
    """Raise a ValueError that names `path` if tensors of `state` cannot be copied into a network: sparse, meta, ..."""
    odd = []
    for name, value in state.items():
        if isinstance(value, torch.Tensor):
            kinds = {
                "meta (without numbers)": value.is_meta,
                "quantized": value.is_quantized,
                "nested": value.is_nested,
            }
            kinds[str(value.layout).removeprefix("torch.")] = value.layout is not torch.strided
            odd += [f"{name} ({kind})" for kind, true in kinds.items() if true][:1]
    if odd:
        raise ValueError(f"{path} holds weights that are not dense tensors: {some(odd)}; save them again as dense ones")


def unwrapped(state: dict[str, Tensor], own: Collection[str]) -> dict[str, Tensor]:
    """`state` without the name of a wrapper (`model.`, `clip_model.`, ..., also nested) that all its names begin with.

    Args:
        state: {name: tensor} of a file.
        own: names of the network; what one of them begins with stays.
    """
    while state:
        wrappers = (w for w in WRAPPERS if not any(name.startswith(w) for name in own))
        found = next((w for w in wrappers if all(name.startswith(w) for name in state)), None)
        if found is None:
            break
        state = {name.removeprefix(found): tensor for name, tensor in state.items()}
    return state


def split_spec(spec: str | Path) -> tuple[str, str | None]:
    """(path, key or None) of "PATH" or "PATH:KEY"; a file whose name has a colon is a path."""
    path, key = str(spec), None
    if not Path(path).is_file() and ":" in path:
        path, _, key = path.rpartition(":")
    return path, key


def load_checkpoint(path: str | Path) -> Any:
    """Read a file of torch on the CPU without running any code in it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a whole checkpoint, or a pickle that contains code.
    """
    path = Path(path)
    _check_file(path)
    return _read_torch(path)


def _check_file(path):
    """The file is there, is not a failed download, and has its checksums."""
    if not path.is_file():
        beside = list_folder(path.parent) if path.parent.is_dir() else ()
        near = ", ".join(sorted(p.name for p in beside if p.suffix in SUFFIXES)) or "none"
        raise FileNotFoundError(f"checkpoint {path} does not exist; in its folder: {near}")
    if what := failed_download(path):
        raise ValueError(f"{path} is {what}")
    if not path.stat().st_size:
        raise ValueError(f"{path} is damaged or not a file of weights: it is empty")
    check_archive(path)


def _read_torch(path):
    """Whatever was saved in a file of torch."""
    with open(path, "rb") as file:  # by its path, torch would go by the extension
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            file.seek(0)
            pickled = zipfile.is_zipfile(path) or file.read(1) == pickle.PROTO
            if pickled and "weights_only" in str(error).lower():
                found = _REFUSED.search(str(error))
                raise ValueError(
                    f"checkpoint {path} holds more than tensors, numbers, strings and dicts"
                    f"{f' ({found[1]})' if found else ''}, so opening it could run code; it is refused. If you trust "
                    "its source, re-save its state_dict alone"
                ) from error
            raise ValueError(f"{path} is damaged or not a checkpoint") from error
        except Exception as error:  # a damaged pickle fails in any way
            first = str(error).strip().partition("\n")[0] or type(error).__name__
            raise ValueError(f"{path} is damaged or not a checkpoint: {first}") from error


def _read_arrays(path):
    """{name: tensor} of an .npz file."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except Exception as error:  # headers of arrays are text that is parsed
        raise ValueError(f"{path} is damaged or not a file of named arrays: {error}") from error


def _read_safetensors(path):
    """{name: tensor} of a safetensors file."""
    library = require("safetensors.torch", "safetensors")
    try:
        return library.load_file(path)
    except Exception as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from error


def _read_torchscript(path):
    """{name: tensor} of the module in a TorchScript archive."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the format is old is no news to whoever was given such a file
            module = torch.jit.load(str(path), map_location="cpu")
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        raise ValueError(f"{path} is damaged or not a TorchScript archive: {first}") from error
    return {name: tensor.detach() for name, tensor in module.state_dict().items()}


def adapted(state: dict, adapt: Callable[[dict], dict], what: str) -> dict:
    """What `adapt(state)` makes of the entries of a file.

    Raises:
        ValueError: they are not of a form that it takes; names `what`, the source, and entries that are not tensors.
    """
    try:
        return adapt(state)
    except (AttributeError, TypeError, RuntimeError, IndexError, KeyError) as error:
        others = [
            f"{name} ({type(value).__name__})" for name, value in state.items() if not isinstance(value, torch.Tensor)
        ]
        hint = f"; other things than tensors: {some(others)}" if others else ""
        raise ValueError(f"the weights of {what} are not of a form that the network takes: {error}{hint}") from error


def differences(
    own: dict[str, Tensor], state: dict[str, Tensor], *, missing: Collection[str] = (), unexpected: Collection[str] = ()
) -> str:
    """How the state dict of a network and that of a file differ in names and shapes, as lines of text; "" if they fit.

    Args:
        own: {name: tensor} of the network.
        state: {name: tensor} of the file.
        missing: patterns of names the network may have beyond the file.
        unexpected: patterns of names the file may have beyond the network.
    """
    absent = [n for n in own if n not in state and not _matches(n, missing)]
    foreign = [n for n in state if n not in own and not _matches(n, unexpected)]
    both = [(n, own[n], state[n]) for n in own if n in state]
    shapes = [f"{n}: {mismatch(*pair)}" for n, *pair in both if shape_of(pair[0]) != shape_of(pair[1])]
    kinds = [
        f"{n}: {text}" for n, *pair in both if shape_of(pair[0]) == shape_of(pair[1]) and (text := mismatch(*pair))
    ]
    lists = (
        ("missing in the file", absent),
        ("unknown to the network", foreign),
        ("other shapes", shapes),
        ("other kinds of numbers", kinds),
    )
    return "".join(f"\n  {title} ({len(names)}): {listing(names)}" for title, names in lists if names)


def mismatch(own: Tensor, value: Any) -> str:
    """Why a value of a file cannot stand for a tensor of the network, in words; "" if it can.

    Shapes are equal, and real, whole, complex and truth values stand for their like alone; single numbers may be real
    or whole.
    """
    if shape_of(value) != shape_of(own):
        return f"file {shape_of(value)}, network {shape_of(own)}"
    kinds = {_kind(own), _kind(value)}
    if len(kinds) == 1 or (kinds == {"real", "whole"} and own.numel() == 1):
        return ""
    return f"file {str(value.dtype).removeprefix('torch.')}, network {str(own.dtype).removeprefix('torch.')}"


def _kind(tensor):
    """The kind of numbers of a tensor."""
    if tensor.is_floating_point():
        return "real"
    if tensor.is_complex():
        return "complex"
    return "truth" if tensor.dtype is torch.bool else "whole"


def shape_of(value: object) -> tuple[int, ...] | str:
    """Shape of a tensor as a tuple; of another thing, the name of its type."""
    return tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__


def _matches(name, patterns):
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def listing(names: Sequence[str]) -> str:
    """All names on one line, those that differ in numbers alone, shapes aside, as one pattern with its count."""
    numbers = re.compile(r"\b\d+\b(?![^(]*\))")
    patterns = Counter(numbers.sub("*", name) for name in names)
    single = {numbers.sub("*", name): name for name in names}
    return ", ".join(f"{p} (x{n})" if n > 1 else single[p] for p, n in patterns.items())
