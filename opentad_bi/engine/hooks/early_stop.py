"""Stop when evaluation no longer improves."""

from ...registry import HOOKS
from ...utils.logging import LOGGER
from .base import Hook


@HOOKS.register_module()
class EarlyStopHook(Hook):
    """Stop after `patience` evaluations in a row without a better score.

    Args:
        patience: number of evaluations.
    """

    def __init__(self, patience=3):
        if patience < 1:
            raise ValueError(f"patience {patience} must be at least 1")
        self.patience, self.best, self.since, self.seen = patience, None, 0, None

    def after_epoch(self, runner):
        """Count evaluations without improvement."""
        if runner.metrics is None or runner.metrics is self.seen:
            return
        self.seen = runner.metrics
        if self.best is None or runner.best > self.best:
            self.best, self.since = runner.best, 0
            return
        self.since += 1
        if self.since >= self.patience:
            runner.stop = f"{self.patience} evaluations without improvement"
            LOGGER.info("stopping early: %s", runner.stop)
