"""Checkpoints of a run: the whole state in one dict, saved and restored bit for bit, over any interruption.

The files hold tensors, numbers, strings and dicts only, and are written whole or not at all.
"""

import contextlib
import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..config import text_with_current_names
from ..contracts import Average, Dataset
from ..utils.distributed import gather_objects, rank, world_size
from ..utils.files import atomic, list_folder
from ..utils.logging import LOGGER
from ..utils.weight_files import check_dense, load_checkpoint
from .data import PREVIOUS, read_record
from .warm_start import load_weights

if TYPE_CHECKING:
    from .runner import Runner

_EPOCH = re.compile(r"epoch_(\d+)\.pth")


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path` through a temporary file that is flushed to disk and renamed."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())


def checkpoint_files(folder: Path | str) -> list[Path]:
    """Checkpoints of a run that can be resumed, newest progress last: epoch_{k}.pth by k, interrupt.pth by its time."""
    folder = Path(folder)
    epochs = [(int(m[1]), p) for p in list_folder(folder, absent=True) if (m := _EPOCH.fullmatch(p.name))]
    files = [path for _, path in sorted(epochs)]
    interrupted = folder / "interrupt.pth"
    if interrupted.is_file():
        newer = [p for p in files if p.stat().st_mtime > interrupted.stat().st_mtime]
        files.insert(len(files) - len(newer), interrupted)
    return files


def load_latest(folder: Path | str) -> tuple[Path | None, Any]:
    """(path, state) of the newest whole checkpoint in `folder`, or (None, None); damaged ones are skipped."""
    for path in reversed(checkpoint_files(folder)):
        try:
            return path, load_checkpoint(path)
        except ValueError as error:
            LOGGER.warning("%s; this checkpoint is skipped", error)
    return None, None


_PARTS = {  # of a checkpoint that a run resumes from
    **dict.fromkeys(("state_dict", "state_dict_ema", "branches", "scaler"), dict),
    **dict.fromkeys(("epoch", "iteration", "seed", "global_batch"), int),
    "random": list,
    "config": str,
}
_NO_RUN = (
    "no run to resume: that is an epoch_*.pth or interrupt.pth of this toolbox or, for a single network, of "
    "OpenTAD; weights alone are given by --for-resume and --back-resume, or by load_from"
)
FORMAT = 1  # of our checkpoints; files without it come from OpenTAD


def run_state(runner: "Runner") -> dict[str, Any]:
    """Everything needed to resume: weights, averages, optimizers, schedules, scaler, progress, random states.

    `state_dict_ema` are the weights that are evaluated; `ema`: how far their average has come.

    `epoch` is the last finished epoch, counted from 0, as in OpenTAD's files; `iteration` counts the iterations
    done since; `means` and `lrs` are of the epoch so far, or of the finished one. By `iters_per_epoch`, iterations of
    an epoch, another run can derive epochs from the schedules. `classes` are the names that the training set gives its
    labels, where it does; `videos` are those of the sets, see `data.video_record`.
    """
    random_states = gather_objects(_random_state(runner.device))
    return {
        "format": FORMAT,
        "epoch": runner.epoch - 1,
        "iteration": runner.iteration,
        "iters_per_epoch": runner.iters_per_epoch,
        "state_dict": runner.model.state_dict(),
        "state_dict_ema": runner.ema.module.state_dict(),
        "ema": Average.of(runner.ema).state_dict(),
        "branches": {name: branch.state_dict() for name, branch in runner.branches.items()},
        "scaler": runner.scaler.state_dict(),
        "random": random_states,
        "seed": runner.seed,
        "global_batch": runner.global_batch,
        "best": runner.best,
        "means": {kind: means.state_dict() for kind, means in runner.means.items()},
        "lrs": runner.lrs,
        "config": runner.config_text,
        **class_names(runner.dataset("train")),
        **runner.video_record,
    }


def class_names(dataset: Any) -> dict[str, list[str]]:
    """{"classes": [...]} of a dataset that has them, or that wraps one which does, else {}."""
    while dataset is not None:
        if names := Dataset.of(dataset).classes:
            return {"classes": list(map(str, names))}
        dataset = Dataset.of(dataset).dataset
    return {}


def restore_run(runner: "Runner", state: Any, path: Path | str) -> None:
    """Put `runner` where the checkpoint `state`, read from `path`, was written.

    Raises:
        ValueError: it is not a checkpoint of a run, or one of another; names `path` and the part that does not fit.
    """
    if not isinstance(state, dict):
        raise ValueError(f"{path} holds a {type(state).__name__}, {_NO_RUN}")
    if "format" not in state:
        _restore_opentad(runner, state, path)
        return
    wrong = [key for key, kind in _PARTS.items() if not isinstance(state.get(key), kind)]
    if wrong:
        raise ValueError(f"{path} is not a whole checkpoint of a run: missing or damaged in it: {', '.join(wrong)}")
    _load_both(runner, state["state_dict"], state["state_dict_ema"], path)
    for name, branch in runner.branches.items():
        with _part(path, f"the state of {name}"):
            branch.load_state_dict(state["branches"][name])
    with _part(path, "the state of the scaler"):
        runner.scaler.load_state_dict(state["scaler"])
    runner.epoch, runner.iteration = state["epoch"] + 1, state["iteration"]
    with _part(path, "the state of the averaged weights"):
        _restore_average(runner, state)
    with _part(path, "the means of the epoch"):
        for kind, means in state.get("means", {}).items():
            runner.means["logged" if kind == "watched" else kind].load_state_dict(means)  # the name it once had
    runner.lrs = state.get("lrs", {})
    runner.previous = read_record(state).get(PREVIOUS, [])
    _compare_configs(runner, state, path)
    if state["seed"] != runner.seed:
        LOGGER.warning("the run was started with seed %d and keeps it; seed %d is ignored", state["seed"], runner.seed)
        runner.seed = runner.sampler.seed = state["seed"]
    if len(state["random"]) == world_size():
        with _part(path, "the random state"):
            _set_random_state(state["random"][rank()], runner.device)
    else:
        LOGGER.warning("%s was written by %d processes, this run has %d: random numbers of dropout will differ",
                       path, len(state["random"]), world_size())  # fmt: skip


@contextlib.contextmanager
def _part(path: Path | str, what: str) -> Iterator[None]:
    """Whatever goes wrong with a part of a checkpoint names the file and the part."""
    try:
        yield
    except Exception as error:  # torch's own states are dicts in dicts
        reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        raise ValueError(f"{path} cannot be resumed: {what} in it cannot be restored in this run ({reason})") from error


def _compare_configs(runner: "Runner", state: Mapping[str, Any], path: Path | str) -> None:
    """Log what changed in the config since the checkpoint; a half-done epoch must be cut into the same batches."""
    was, now = (text_with_current_names(text).splitlines() for text in (state["config"], runner.config_text))
    changed = [line for line in difflib.unified_diff(was, now, "then", "now", n=0, lineterm="") if line[0] in "+-"]
    if changed:
        LOGGER.warning(
            "the config differs from that of %s (optimizers keep their rates and decay):\n%s", path, "\n".join(changed)
        )
    if runner.iteration and state["global_batch"] != runner.global_batch:
        raise ValueError(
            f"{path} is within an epoch of batches of {state['global_batch']} samples, but this run has "
            f"{runner.global_batch} (batch_size x accumulate); resume an epoch_*.pth instead, or keep the batch"
        )


def _restore_opentad(runner: "Runner", state: Mapping[str, Any], path: Path | str) -> None:
    """Resume from an OpenTAD checkpoint of a single network; scaler and random states are not in such files."""
    if len(runner.branches) != 1 or not {"epoch", "state_dict", "optimizer", "scheduler"} <= set(state):
        raise ValueError(f"{path} holds {_NO_RUN}")
    with _part(path, "the list of weights"):
        weights = {n.removeprefix("module."): t for n, t in state["state_dict"].items()}
        averages = {n.removeprefix("module."): t for n, t in state.get("state_dict_ema", weights).items()}
    _load_both(runner, weights, averages, path)
    (branch,) = runner.branches.values()
    with _part(path, "the state of its optimizer"):
        branch.load_state_dict({"optimizer": state["optimizer"], "scheduler": state["scheduler"]})
        runner.epoch, runner.iteration = state["epoch"] + 1, 0
    _restore_average(runner, {})


def _load_both(
    runner: "Runner", weights: dict[str, torch.Tensor], averages: dict[str, torch.Tensor], path: Path | str
) -> None:
    """Fill the average, then the live network: frozen weights are shared, and the live ones are exact."""
    check_dense(averages, path)
    check_dense(weights, path)
    load_weights(runner.ema.module, averages, what=path)
    load_weights(runner.model, weights, what=path)


def _restore_average(runner: "Runner", state: Mapping[str, Any]) -> None:
    """How far the average has come; a file that does not say, of an earlier version, has the plain one."""
    done = runner.epoch * state.get("iters_per_epoch", runner.iters_per_epoch) + runner.iteration
    Average.of(runner.ema).load_state_dict(state.get("ema") or {"updates": done})


def _random_state(device: torch.device) -> dict[str, torch.Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def _set_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
