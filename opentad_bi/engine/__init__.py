"""The engine: one training loop over branches, evaluation, checkpoints, hooks."""

from . import hooks, optim
from .runner import NonFiniteLoss, Runner

__all__ = ["NonFiniteLoss", "Runner", "hooks", "optim"]
