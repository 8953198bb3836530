"""Numbers of a run for machines: log.jsonl, TensorBoard, Weights & Biases."""

import json
import time

from ...errors import require
from ...registry import HOOKS
from ...utils.distributed import is_main
from .base import Hook
from .weights_and_biases import check_arguments, start_wandb


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
