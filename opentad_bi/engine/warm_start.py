"""Weights of other files: initial weights of a branch, and runs that continue from another one.

Initial weights are loaded strictly, from whatever file a user has, and the log says what was taken. Names of classes
come from several places, and a label means the same class in all of them, or it is an error. `continue_from` may be of
another model: what fits is taken, and a table lists what was not.
"""

import inspect
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..contracts import Names, Network, PartialState, State
from ..registry import Kind, check_keys, nearest
from ..utils.files import walk_files
from ..utils.logging import LOGGER
from ..utils.validation import check_finite_weights
from ..utils.weight_files import adapted, differences, listing, mismatch, read_file, split_spec, unwrapped
from .optim import warn_of_start, weights_in_words

if TYPE_CHECKING:
    from .branch import Branch

_PRETRAINED_KEYS = ("path", "module", "missing", "unexpected")


def load_weights(
    module: nn.Module, state: State, *, what: str | Path, missing: Sequence[str] = (), unexpected: Sequence[str] = ()
) -> int:
    """Load `state` into `module`: every name must match, except those that the patterns allow for.

    Args:
        module: the network; its `adapt_state_dict` first brings the key styles of other programs to its own.
        state: {name: tensor}.
        what: name of the source, for errors.
        missing: patterns of names the network may have beyond the file.
        unexpected: patterns of names the file may have beyond the network.
    Returns:
        number of tensors taken.
    Raises:
        ValueError: names or shapes differ, or a weight is NaN or infinite; all of them are listed.
    """
    state = adapted(state, Network.of(module).adapt_state_dict, str(what))
    own = module.state_dict()
    text = differences(own, state, missing=missing, unexpected=unexpected)
    if text:
        raise ValueError(f"the weights of {what} do not fit the network:{text}")
    taken = {n: t for n, t in state.items() if n in own}
    check_finite_weights(taken, str(what), own)
    module.load_state_dict(taken, strict=False)
    return len(taken)


def fill(
    module: nn.Module,
    spec: str | Path,
    *,
    name: str | None = None,
    part: str | None = None,
    missing: Sequence[str] = (),
    unexpected: Sequence[str] = (),
) -> dict[str, Any]:
    """Read `spec` (see `read_file`), load it strictly into `module` (see `load_weights`), log what was taken.

    Args:
        name: what the log calls the network.
        part: name of a branch; of the file of several, its part is taken.
    Returns:
        all that the file holds.
    """
    state, key, content = read_file(spec)
    state = unwrapped(state, module.state_dict())
    if part:
        state = branch_part(state, part)
    taken = load_weights(module, state, what=spec, missing=missing, unexpected=unexpected)
    LOGGER.info("%s%d tensors from %s (%s)", f"{name}: " if name else "", taken, spec, _in_words(key, content))
    return content


def _in_words(key: str, content: Mapping[str, Any]) -> str:
    """What the weights under `key` of the content of a file are; warns of an average that is mostly its start."""
    if key != "state_dict_ema":
        return f"{key}: raw weights" if key == "state_dict" else key or "plain state dict"
    progress = content.get("ema")
    known = isinstance(progress, dict) and (not progress or {"decay", "updates", "warm_up"} <= set(progress))
    warn_of_start(progress if known else None)
    return f"{key}: {weights_in_words(progress if known else None)}"


def load_initial_weights(name: str, module: nn.Module, cfg: Mapping[str, Any]) -> dict[str, Any]:
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


def branch_part(state: State, name: str) -> State:
    """The entries below `name.` if the file holds several branches, else all of them."""
    prefix = f"{name}."
    if any(n.startswith(prefix) for n in state):
        return {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
    return state


def asks_for_classes(kind: Kind, cfg: Any) -> bool:
    """Does what `cfg` describes take `classes`, which `cfg` does not give?"""
    if not isinstance(cfg, dict) or "type" not in cfg or "classes" in cfg:
        return False
    return "classes" in inspect.signature(kind.find(cfg["type"])).parameters


def file_classes(content: Mapping[str, Any], module: nn.Module | None = None) -> list[str] | None:
    """Names by label that the content of a checkpoint gives, or None where it gives none.

    None, too, if the weights do not belong to classes: `module`, the network they are for, has `open_vocabulary`.
    """
    if module is not None and Network.of(module).open_vocabulary:
        return None
    names = content.get("classes")
    return list(map(str, names)) if isinstance(names, (list, tuple)) and names else None


def check_same_classes(sources: Mapping[str, Names | None]) -> None:
    """Compare the names of the classes by label.

    Args:
        sources: {where they are from: names, or None where they are not known}.
    Raises:
        ValueError: two lists differ; it gives the first label that they name differently, or their lengths.
    """
    known = [(source, list(map(str, names))) for source, names in sources.items() if names]
    for source, names in known[1:]:
        first, expected = known[0]
        pairs = enumerate(zip(expected, names, strict=False))
        found = next((f"{i} is {a!r} in {first}, but {b!r} in {source}" for i, (a, b) in pairs if a != b), None)
        if found is None and len(names) != len(expected):
            found = f"there are {len(expected)} in {first}, but {len(names)} in {source}"
        if found:
            raise ValueError(
                f"the classes differ: {found}. Take weights and data of the same classes in the same order; if it is "
                "intended, save the checkpoint again without its key 'classes', which alone is compared"
            )


ROOT, FILE = Path("models"), "checkpoint.pth"  # where runs leave what others may continue from


def find_checkpoint(spec: str | Path, root: Path = ROOT) -> str:
    """The file behind `continue_from`: a path is looked for before the key of a run, which is its folder below `root`.

    Args:
        spec: "PATH" of a checkpoint or of a folder with checkpoint.pth, or "KEY"; either may name the place of the
            weights in the file: "PATH:state_dict".
    Returns:
        what `utils.weight_files.read_file` takes.
    Raises:
        FileNotFoundError: none of them; it lists the runs that there are.
    """
    path, key = split_spec(spec)
    found = [file for file in (Path(path), Path(path) / FILE, root / path / FILE) if file.is_file()]
    if not found:
        files = walk_files(root, (".pth",)) if root.is_dir() else ()
        runs = [file.parent.relative_to(root).as_posix() for file in files if file.name == FILE]
        raise FileNotFoundError(
            f"continue_from {path!r} is neither a file nor a folder with {FILE} nor a run below {root}; "
            f"{nearest(path, runs, every=True)}"
        )
    return f"{found[0]}:{key}" if key else str(found[0])


def continue_from(name: str, module: nn.Module, spec: str | Path) -> dict[str, Any]:
    """Fill the network of branch `name` with those tensors of `spec` that match by name and shape; log the others too.

    A network with `partial_state(state, classes)` brings the file's names to its own and leaves out what belongs to
    other classes (`classes`: those of the file, or None); else `adapt_state_dict` does.

    Returns:
        all that the file holds.
    Raises:
        FileNotFoundError: see `find_checkpoint`.
        ValueError: no parameter of more than one number fits, one of them is NaN or infinite, or the network refuses
            the file.
    """
    file = find_checkpoint(spec)
    given, key, content = read_file(file)
    given = branch_part(unwrapped(given, module.state_dict()), name)
    adapt = Network.of(module).adapt_state_dict
    if isinstance(module, PartialState):
        adapt = partial(module.partial_state, classes=file_classes(content))
    state = adapted(given, adapt, file)
    groups, taken = compare(module.state_dict(), given, state)
    table = "\n".join(f"  {title:<12}{len(names):>5}  {listing(names)}".rstrip() for title, names in groups.items())
    epoch = f", epoch {content['epoch']}" if isinstance(content.get("epoch"), int) else ""
    title = f"{name}: continue_from {file} ({key or 'plain state dict'}{epoch})"
    if not any(parameter in taken and value.numel() > 1 for parameter, value in module.named_parameters()):
        raise ValueError(f"{title}: no parameter fits, scales aside, so it would be a fresh start\n{table}")
    check_finite_weights(taken, file, module.state_dict())
    LOGGER.info("%s\n%s", title, table)
    module.load_state_dict(taken, strict=False)
    return content


def compare(own: State, given: State, state: State) -> tuple[dict[str, list[str]], State]:
    """What of a file fits a network.  Returns ({title: names}, {name: tensor} of those taken).

    Args:
        own: {name: tensor} of the network.
        given: {name: tensor} of the file.
        state: the same as the network sees them; it may have left some out and added some of its own.
    """
    added = [n for n in state if n not in given and n in own and _equal(own[n], state[n])]
    state = {n: value for n, value in state.items() if n not in added}
    taken = {n: value for n, value in state.items() if n in own and not mismatch(own[n], value)}
    groups = {
        "taken": list(taken),
        "other shape": [f"{n}: {mismatch(own[n], value)}" for n, value in state.items() if n in own and n not in taken],
        "left out": [n for n in given if n in own and n not in state],
        "only here": [n for n in own if n not in state and n not in given],
        "only there": [n for n in state if n not in own],
    }
    return groups, taken


def continue_schedule(branch: "Branch", content: Mapping[str, Any], spec: str | Path) -> None:
    """Put the schedule of `branch` where that of the file is, of which `content` is all that it holds.

    The place alone is the file's: where epochs are counted, so many epochs, else so many iterations. Base rates and
    shape are those of the config.

    Raises:
        ValueError: the branch or the file has none, they are of different kinds, or the place is not known.
    """
    branches = content.get("branches")
    state = branches.get(branch.name, {}).get("scheduler") if isinstance(branches, dict) else None
    where = f"branches.{branch.name}: use_fresh_lr_scheduler=False"
    if branch.scheduler is None or branch.optimizer is None:
        raise ValueError(f"{where}, but the branch has no scheduler")
    if state is None:
        raise ValueError(
            f"{where}, but {spec} holds no schedule of {branch.name}: an epoch_*.pth or a {FILE} below {ROOT} does"
        )
    kind, groups = type(branch.scheduler), len(branch.optimizer.param_groups)
    if {"last_epoch", "_last_lr", *branch.scheduler.state_dict()} - set(state) or len(state["_last_lr"]) != groups:
        raise ValueError(
            f"{where}, but the schedule in {spec} is not a {kind.__name__} over {groups} groups of parameters"
        )
    place = state["last_epoch"]  # torch's name of the iterations done
    if place and "iters_per_epoch" in inspect.signature(kind).parameters:
        if not content.get("iters_per_epoch"):
            raise ValueError(
                f"{where}, but {spec}, of a previous version, does not have the iterations of its epochs, by which "
                f"{kind.__name__} counts; take a newer checkpoint, or use_fresh_lr_scheduler=True"
            )
        place = round(place * branch.iters_per_epoch / content["iters_per_epoch"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the optimizer has not stepped yet is meant
        for _ in range(place):
            branch.scheduler.step()
    LOGGER.info("%s: the schedule continues at iteration %d, rates %s", branch.name, place, branch.lrs)


def _equal(own: torch.Tensor, other: Any) -> bool:
    return isinstance(other, torch.Tensor) and own.shape == other.shape and torch.equal(own.cpu(), other.cpu())
