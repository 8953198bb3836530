"""Hooks that log: text, TensorBoard, Weights & Biases.

Progress of training: a bar with the time left, and log lines.

A run of Weights & Biases: with a key where one is found, else without the network.

Numbers of a run for machines: log.jsonl, TensorBoard, Weights & Biases.
"""

import inspect
import json
import netrc
import os
import time
from pathlib import Path

import torch
from tqdm import tqdm

from ...errors import require
from ...registry import HOOKS, check_keys
from ...utils.distributed import is_main
from ...utils.logging import LOGGER
from .base import Hook


@HOOKS.register_module()
class LogHook(Hook):
    """Log means over the epoch so far, of losses and all that is watched, every `interval` iterations and at its end.

    Args:
        interval: iterations between lines.
    """

    def __init__(self, interval=50):
        self.interval, self.bar = interval, None

    def before_train(self, runner):
        """Open the progress bar."""
        total = runner.end_epoch * runner.iters_per_epoch
        done = runner.epoch * runner.iters_per_epoch + runner.iteration
        self.bar = tqdm(total=total, initial=done, desc="train", unit="it", disable=not is_main(), leave=False)
        LOGGER.info("%d epochs of %d iterations, work folder %s", runner.end_epoch, runner.iters_per_epoch,
                    runner.work_dir)  # fmt: skip

    def after_iter(self, runner):
        """Write a line if it is time."""
        self.bar.update()
        if runner.iteration % self.interval == 0 or runner.iteration == runner.iters_per_epoch:
            LOGGER.info(self._line(runner))

    def after_train(self, runner):
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    def _line(self, runner):
        means = runner.means["losses"].values()
        parts = [f"[Train]: [{runner.epoch:03d}][{runner.iteration:05d}/{runner.iters_per_epoch:05d}]"]
        parts += [
            f"Loss={sum(means.values()):.4f}",
            *(f"{name}={value:.4f}" for name, value in (*means.items(), *runner.means["watched"].values().items())),
        ]
        for name, lrs in runner.lrs.items():
            rates = [f"{lr:.1e}" for lr in dict.fromkeys(lrs)]
            parts += [f"lr_{name}={','.join(rates)}"] if rates else []
        if runner.device.type == "cuda":
            parts.append(f"mem={torch.cuda.max_memory_allocated(runner.device) / 2**20:.0f}MB")
        return "  ".join(parts)


TOKEN = Path("tokens") / "wandb.txt"
HOST = "api.wandb.ai"  # under which `wandb login` leaves its key


def check_arguments(args):
    """Raise a ValueError or KeyError unless `args`, `workflow.wandb` of a config, is a dict for `wandb.init`."""
    if not isinstance(args, dict):
        raise ValueError(
            "workflow.wandb needs a dict of arguments of wandb.init, such as --cfg-options "
            f"workflow.wandb.project=NAME; got {args!r}"
        )
    known = inspect.signature(require("wandb").init).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        check_keys("workflow.wandb", args, known)


def start_wandb(args, folder):
    """Start a run.

    The key is that of the environment (WANDB_API_KEY), else the content of `tokens/wandb.txt`, else what `wandb login`
    left; it is never logged. Without one the run stays on this machine (mode "offline"), unless the mode is given.

    Args:
        args: arguments of `wandb.init`.
        folder: where its files go.
    Returns:
        the run.
    """
    wandb, args = require("wandb"), {"dir": str(folder), **args}
    token = TOKEN.read_text(encoding="utf-8").strip() if TOKEN.is_file() else ""
    if token and not os.environ.get("WANDB_API_KEY"):
        os.environ["WANDB_API_KEY"] = token
    if not (os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_MODE") or args.get("mode") or _logged_in()):
        args["mode"] = "offline"
        LOGGER.warning(
            "wandb: no key in WANDB_API_KEY or %s, so the run stays in %s (mode offline; send it by `wandb sync`)",
            TOKEN, folder / "wandb"
        )  # fmt: skip
    return wandb.init(**args)


def _logged_in():
    """Has `wandb login` left a key in the user's netrc file?"""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(HOST) is not None
    except (OSError, netrc.NetrcParseError):
        return False


@HOOKS.register_module()
class WritersHook(Hook):
    """Write losses, watched numbers and learning rates of every iteration, and every evaluation, to the work folder.

    Args:
        tensorboard: also write TensorBoard event files (folder `tensorboard`).
        wandb: arguments of `wandb.init`, such as dict(project="tad"); None: no Weights & Biases. See `start_wandb`.
    Raises:
        KeyError, ValueError: `wandb` is no dict of such arguments.
    """

    def __init__(self, tensorboard=True, wandb=None):
        if wandb is not None and is_main():
            check_arguments(wandb)
        self.use_tensorboard, self.wandb_args = tensorboard, wandb
        self.file = self.board = self.wandb = self.logged = None

    def before_train(self, runner):
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

    def after_iter(self, runner):
        """One record per iteration."""
        if self.file is None:
            return
        numbers = {f"loss/{name}": value for name, value in runner.losses.items()}
        numbers.update({f"watched/{name}": value for name, value in runner.watched.items()})
        for name, lrs in runner.lrs.items():
            numbers.update({f"lr/{name}/{i}": lr for i, lr in enumerate(lrs)})
        self._write(runner, numbers)

    def after_epoch(self, runner):
        """One record per evaluation."""
        if self.file is None or runner.metrics is None or runner.metrics is self.logged:
            return
        self.logged = runner.metrics
        self._write(runner, dict(_flatten("eval", runner.metrics)))
        self.file.flush()

    def after_train(self, runner):
        """Close the files."""
        for writer, close in ((self.file, "close"), (self.board, "close"), (self.wandb, "finish")):
            if writer is not None:
                getattr(writer, close)()
        self.file = self.board = self.wandb = None

    def _write(self, runner, numbers):
        step = runner.epoch * runner.iters_per_epoch + runner.iteration
        record = {"time": round(time.time(), 3), "epoch": runner.epoch, "step": step, **numbers}
        self.file.write(json.dumps(record) + "\n")
        for name, value in numbers.items():
            if self.board is not None:
                self.board.add_scalar(name, value, step)
        if self.wandb is not None:
            self.wandb.log(numbers, step=step)


def _flatten(prefix, tree):
    for key, value in tree.items():
        name = f"{prefix}/{key}"
        if isinstance(value, dict):
            yield from _flatten(name, value)
        elif isinstance(value, (int, float)):
            yield name, value
