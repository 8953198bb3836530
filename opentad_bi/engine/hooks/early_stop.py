"""Stop when evaluation no longer improves."""

from ...registry import HOOKS
from ...utils.logging import LOGGER
from .base import Hook


@HOOKS.register_module()
class EarlyStopHook(Hook):
    """Stop after `patience` evaluations in a row without a better score, those before a resume counted in.

    Args:
        patience: number of evaluations.
    """

    def __init__(self, patience=3):
        if patience < 1:
            raise ValueError(f"patience {patience} must be at least 1")
        self.patience = patience

    def before_train(self, runner):
        """A run that was stopped early stays stopped."""
        self.after_epoch(runner)

    def after_epoch(self, runner):
        """Count evaluations since the best one."""
        scores = list(runner.scores.values())
        if scores and len(scores) - 1 - scores.index(max(scores)) >= self.patience:
            runner.stop = f"{self.patience} evaluations without improvement"
            LOGGER.info("stopping early: %s", runner.stop)
