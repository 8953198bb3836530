"""The engine: one training loop over branches, evaluation, checkpoints, hooks."""

from . import ema, hooks, optimizers, schedulers
from .runner import NonFiniteLoss, Runner

__all__ = ["NonFiniteLoss", "Runner", "ema", "hooks", "optimizers", "schedulers"]
