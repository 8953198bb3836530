"""Hooks that log: a bar and lines for the reader; log.jsonl, TensorBoard and Weights & Biases for machines.

A run of Weights & Biases is sent where a key is found, and stays on this machine else.
"""

import inspect
import json
import netrc
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import torch
from tqdm import tqdm

from ...contracts import Hook
from ...errors import require
from ...registry import HOOKS, check_keys
from ...utils.distributed import is_main
from ...utils.logging import LOGGER

if TYPE_CHECKING:
    from ..runner import Runner


@HOOKS.register_module()
class LogHook(Hook):
    """Log means over the epoch so far, of losses and logged metrics, every `interval` iterations and at its end.

    Args:
        interval: iterations between lines.
    """

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval
        self.bar: tqdm | None = None

    def before_train(self, runner: "Runner") -> None:
        """Open the progress bar."""
        total = runner.end_epoch * runner.iters_per_epoch
        done = runner.epoch * runner.iters_per_epoch + runner.iteration
        self.bar = tqdm(total=total, initial=done, desc="train", unit="it", disable=not is_main(), leave=False)
        LOGGER.info("%d epochs of %d iterations, work folder %s", runner.end_epoch, runner.iters_per_epoch,
                    runner.work_dir)  # fmt: skip

    def after_iter(self, runner: "Runner") -> None:
        """Write a line if it is time."""
        if self.bar is not None:
            self.bar.update()
        if runner.iteration % self.interval == 0 or runner.iteration == runner.iters_per_epoch:
            LOGGER.info(self._line(runner))

    def after_train(self, runner: "Runner") -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    def _line(self, runner: "Runner") -> str:
        means = runner.means["losses"].values()
        parts = [f"[Train]: [{runner.epoch:03d}][{runner.iteration:05d}/{runner.iters_per_epoch:05d}]"]
        parts += [
            f"Loss={sum(means.values()):.4f}",
            *(f"{name}={value:.4f}" for name, value in (*means.items(), *runner.means["logged"].values().items())),
        ]
        for name, lrs in runner.lrs.items():
            rates = [f"{lr:.1e}" for lr in dict.fromkeys(lrs)]
            parts += [f"lr_{name}={','.join(rates)}"] if rates else []
        if runner.device.type == "cuda":
            parts.append(f"mem={torch.cuda.max_memory_allocated(runner.device) / 2**20:.0f}MB")
        return "  ".join(parts)


TOKEN = Path("tokens") / "wandb.txt"
HOST = "api.wandb.ai"  # under which `wandb login` leaves its key


def check_arguments(args: Any) -> None:
    """Raise a ValueError or KeyError unless `args`, `workflow.wandb` of a config, is a dict for `wandb.init`."""
    if not isinstance(args, dict):
        raise ValueError(
            "workflow.wandb needs a dict of arguments of wandb.init, such as --cfg-options "
            f"workflow.wandb.project=NAME; got {args!r}"
        )
    known = inspect.signature(require("wandb").init).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        check_keys("workflow.wandb", args, known)


def start_wandb(args: Mapping[str, Any], folder: Path) -> Any:
    """Start a run.

    The key is that of the environment (WANDB_API_KEY), else the content of `tokens/wandb.txt`, else what `wandb login`
    left; it is never logged. Without one the run stays on this machine (mode "offline"), unless the mode is given.
    """
    options, wandb = {"dir": str(folder), **args}, require("wandb")
    token = TOKEN.read_text(encoding="utf-8").strip() if TOKEN.is_file() else ""
    if token and not os.environ.get("WANDB_API_KEY"):
        os.environ["WANDB_API_KEY"] = token
    if not (os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_MODE") or options.get("mode") or _logged_in()):
        options["mode"] = "offline"
        LOGGER.warning(
            "wandb: no key in WANDB_API_KEY or %s, so the run stays in %s (mode offline; send it by `wandb sync`)",
            TOKEN, folder / "wandb"
        )  # fmt: skip
    return wandb.init(**options)


def _logged_in() -> bool:
    """Has `wandb login` left a key in the user's netrc file?"""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(HOST) is not None
    except (OSError, netrc.NetrcParseError):
        return False


@HOOKS.register_module()
class WritersHook(Hook):
    """Write losses, logged metrics and learning rates of every iteration, and every evaluation, to the work folder.

    Args:
        tensorboard: also write TensorBoard event files (folder `tensorboard`).
        wandb: arguments of `wandb.init`, such as dict(project="tad"); None: no Weights & Biases. See `start_wandb`.
    Raises:
        KeyError, ValueError: `wandb` is not a dict of such arguments.
    """

    def __init__(self, tensorboard: bool = True, wandb: dict[str, Any] | None = None) -> None:
        if wandb is not None and is_main():
            check_arguments(wandb)
        self.use_tensorboard, self.wandb_args = tensorboard, wandb
        self.file: TextIO | None = None
        self.board: Any = None  # a SummaryWriter
        self.wandb: Any = None  # the run
        self.logged: Any = None  # metrics of the last evaluation that was written

    def before_train(self, runner: "Runner") -> None:
        """Open the files, and write the evaluation that a resumed run made up for."""
        if not is_main():
            return
        self.file = open(runner.work_dir / "log.jsonl", "a")  # noqa: SIM115 - closed in after_train
        if self.use_tensorboard:
            self.board = require("torch.utils.tensorboard", "tensorboard").SummaryWriter(
                runner.work_dir / "tensorboard"
            )
        if self.wandb_args is not None:
            self.wandb = start_wandb(self.wandb_args, runner.work_dir)
        self.after_epoch(runner)

    def after_iter(self, runner: "Runner") -> None:
        """One record per iteration."""
        numbers: dict[str, float] = {f"loss/{name}": value for name, value in runner.losses.items()}
        numbers.update({f"logged/{name}": value for name, value in runner.logged.items()})
        for name, lrs in runner.lrs.items():
            numbers.update({f"lr/{name}/{i}": lr for i, lr in enumerate(lrs)})
        self._write(runner, numbers)

    def after_epoch(self, runner: "Runner") -> None:
        """One record per evaluation."""
        if runner.metrics is not None and runner.metrics is not self.logged:
            self.logged = runner.metrics
            self._write(runner, dict(_flatten("eval", runner.metrics)), flush=True)

    def after_train(self, runner: "Runner") -> None:
        """Close the files."""
        if self.file is not None:
            self.file.close()
        if self.board is not None:
            self.board.close()
        if self.wandb is not None:
            self.wandb.finish()
        self.file = self.board = self.wandb = None

    def _write(self, runner: "Runner", numbers: Mapping[str, float], flush: bool = False) -> None:
        """One record, in the process that opened the files."""
        if self.file is None:
            return
        step = runner.epoch * runner.iters_per_epoch + runner.iteration
        record = {"time": round(time.time(), 3), "epoch": runner.epoch, "step": step, **numbers}
        print(json.dumps(record), file=self.file, flush=flush)
        for name, value in numbers.items():
            if self.board is not None:
                self.board.add_scalar(name, value, step)
        if self.wandb is not None:
            self.wandb.log(numbers, step=step)


def _flatten(prefix: str, tree: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in tree.items():
        name = f"{prefix}/{key}"
        if isinstance(value, dict):
            yield from _flatten(name, value)
        elif isinstance(value, (int, float)):
            yield name, value
