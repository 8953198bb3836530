"""Initial weights of a branch: from whatever file a user has, strictly, saying what was taken."""

import re
import zipfile
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import torch

from ..registry import check_keys, nearest
from ..utils.logging import LOGGER
from .checkpoint import load_checkpoint

# where files of this toolbox, OpenTAD, mmaction2 and VideoMAE keep their weights, in the order of preference
WEIGHT_KEYS = ("state_dict_ema", "state_dict", "model_ema", "model", "module")
_PRETRAINED_KEYS = ("path", "module", "missing", "unexpected")


def read_weights(spec):
    """State dict in the checkpoint `spec`, "PATH" or "PATH:KEY"; without a key, averaged weights are preferred.

    PATH may also be an .npz file of named arrays. One leading `module.` of the names (DistributedDataParallel) is
    dropped.

    Returns:
        (state dict, the key it was found under or "").
    """
    return read_file(spec)[:2]


def read_file(spec):
    """The same, and all that the file holds: (state dict, key, content)."""
    path, key = str(spec), None
    if not Path(path).is_file() and ":" in path:
        path, _, key = path.rpartition(":")
    content = _read_arrays(path) if path.endswith(".npz") else load_checkpoint(path)
    if key is None:
        key = next((k for k in WEIGHT_KEYS if isinstance(content.get(k), dict)), "")
    elif not isinstance(content.get(key), dict):
        raise KeyError(f"checkpoint {path} has no weights under {key!r}; {nearest(key, content)}")
    state = content[key] if key else content
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}, key, content


def _read_arrays(path):
    """{name: tensor} of an .npz file, without running any code in it."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"weights {path} do not exist")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged or not a file of named arrays: {error}") from error


def load_weights(module, state, *, what, missing=(), unexpected=()):
    """Load `state` into `module`: every name must match, except those that the patterns allow for.

    Args:
        module: the network; its `adapt_state_dict`, if it has one, first brings foreign key styles to its own.
        state: {name: tensor}.
        what: name of the source, for errors.
        missing: patterns of names the network may have beyond the file.
        unexpected: patterns of names the file may have beyond the network.
    Returns:
        number of tensors taken.
    Raises:
        ValueError: names or shapes differ; all of them are listed.
    """
    if hasattr(module, "adapt_state_dict"):
        state = module.adapt_state_dict(state)
    own = module.state_dict()
    absent = [n for n in own if n not in state and not _matches(n, missing)]
    foreign = [n for n in state if n not in own and not _matches(n, unexpected)]
    shapes = [
        f"{n}: file {tuple(state[n].shape)}, network {tuple(own[n].shape)}"
        for n in own
        if n in state and state[n].shape != own[n].shape
    ]
    if absent or foreign or shapes:
        lists = (
            ("missing in the file", absent),
            ("unknown to the network", foreign),
            ("other shapes", shapes),
        )
        text = "".join(f"\n  {title} ({len(names)}): {_list(names)}" for title, names in lists if names)
        raise ValueError(f"the weights of {what} do not fit the network:{text}")
    taken = {n: t for n, t in state.items() if n in own}
    module.load_state_dict(taken, strict=False)
    return len(taken)


def fill(module, spec, *, name=None, part=None, missing=(), unexpected=()):
    """Read `spec` (see `read_weights`), load it strictly into `module` (see `load_weights`), log what was taken.

    Args:
        name: what the log calls the network.
        part: name of a branch; of the file of several, its part is taken.
    Returns:
        all that the file holds.
    """
    state, key, content = read_file(spec)
    if part:
        state = branch_part(state, part)
    taken = load_weights(module, state, what=spec, missing=missing, unexpected=unexpected)
    LOGGER.info("%s%d tensors from %s (%s)", f"{name}: " if name else "", taken, spec, key or "plain state dict")
    return content


def load_initial_weights(name, module, cfg):
    """Fill the network of branch `name` from `cfg["load_from"]`, else from `cfg["pretrained"]` (see `Branch`).

    `load_from` fills the whole network; the file may also be one of a pair, which then gives the part of this name.
    `pretrained` is dict(path, module, missing, unexpected) and fills the sub-network `module`.

    Returns:
        all that the file `load_from` holds; {} without one.
    """
    spec, pretrained = cfg.get("load_from"), cfg.get("pretrained")
    if spec:
        options = {"missing": cfg.get("load_missing", ()), "unexpected": cfg.get("load_unexpected", ())}
        return fill(module, spec, name=name, part=name, **options)
    if pretrained and pretrained.get("path"):
        check_keys(f"branches.{name}.pretrained", pretrained, _PRETRAINED_KEYS)
        options = {key: pretrained.get(key, ()) for key in ("missing", "unexpected")}
        inner = module.get_submodule(pretrained.get("module", ""))
        fill(inner, pretrained["path"], name=f"{name}, pretrained", **options)
    return {}


def branch_part(state, name):
    """The entries below `name.` if the file holds several branches, else all of them."""
    prefix = f"{name}."
    if any(n.startswith(prefix) for n in state):
        return {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
    return state


def _matches(name, patterns):
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _list(names):
    """All names on one line, those that differ in numbers alone as one pattern with its count."""
    patterns = Counter(re.sub(r"\b\d+\b", "*", name) for name in names)
    single = {re.sub(r"\b\d+\b", "*", name): name for name in names}
    return ", ".join(f"{p} (x{n})" if n > 1 else single[p] for p, n in patterns.items())
