"""Progress of training: a bar with the time left, and log lines."""

import torch
from tqdm import tqdm

from ...registry import HOOKS
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
