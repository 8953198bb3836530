"""Progress of training: a bar with the time left, and log lines."""

import torch
from tqdm import tqdm

from ...registry import HOOKS
from ...utils.distributed import is_main
from ...utils.logging import LOGGER
from .base import Hook


@HOOKS.register_module()
class LogHook(Hook):
    """Log the running averages of the losses over the epoch every `interval` iterations and at its end.

    Args:
        interval: iterations between lines.
    """

    def __init__(self, interval=50):
        self.interval, self.sums, self.count, self.bar = interval, {}, 0, None

    def before_train(self, runner):
        """Open the progress bar."""
        total = runner.end_epoch * runner.iters_per_epoch
        done = runner.epoch * runner.iters_per_epoch + runner.iteration
        self.bar = tqdm(total=total, initial=done, desc="train", unit="it", disable=not is_main(), leave=False)
        LOGGER.info("%d epochs of %d iterations, work folder %s", runner.end_epoch, runner.iters_per_epoch,
                    runner.work_dir)  # fmt: skip

    def after_iter(self, runner):
        """Add to the averages; write a line if it is time."""
        self.bar.update()
        self.count += 1
        for name, value in runner.losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        if runner.iteration % self.interval == 0 or runner.iteration == runner.iters_per_epoch:
            LOGGER.info(self._line(runner))

    def after_epoch(self, runner):
        """Start new averages."""
        self.sums, self.count = {}, 0

    def after_train(self, runner):
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    def _line(self, runner):
        means = {name: value / self.count for name, value in self.sums.items()}
        parts = [f"[Train]: [{runner.epoch:03d}][{runner.iteration:05d}/{runner.iters_per_epoch:05d}]"]
        parts += [
            f"Loss={sum(means.values()):.4f}",
            *(f"{name}={value:.4f}" for name, value in means.items()),
        ]
        for name, lrs in runner.lrs.items():
            rates = [f"{lr:.1e}" for lr in dict.fromkeys(lrs)]
            parts += [f"lr_{name}={','.join(rates)}"] if rates else []
        if runner.device.type == "cuda":
            parts.append(f"mem={torch.cuda.max_memory_allocated(runner.device) / 2**20:.0f}MB")
        return "  ".join(parts)
