"""Branches: the named parts of a model, each with its own optimizer, schedule, gradient clipping and initial weights.

What trains is declared by name patterns; the rest is frozen, and frozen modules are in eval mode.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from ..contracts import Names, Network, PartialState
from ..registry import SCHEDULERS, check_keys
from ..utils.logging import LOGGER
from .optim import build_optimizer
from .warm_start import check_same_classes, continue_from, continue_schedule, file_classes, load_initial_weights


def apply_trainable(module: nn.Module, patterns: Sequence[str] | None) -> tuple[int, int]:
    """Leave only the parameters that match one of `patterns` trainable.

    Args:
        patterns: shell-style patterns on parameter names ("projection.*"), or None for all of them.
    Returns:
        (trainable, total): numbers of elements.
    Raises:
        ValueError: a pattern matches no parameter; what would train is not part of the state dict, and so lost.
    """
    named = dict(module.named_parameters())
    if patterns is not None:
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in named):
                examples = ", ".join(list(named)[:3])
                raise ValueError(f"trainable pattern {pattern!r} matches no parameter; names are like {examples}")
        for name, parameter in named.items():
            parameter.requires_grad_(any(fnmatchcase(name, pattern) for pattern in patterns))
    saved = dict.fromkeys(module.state_dict())
    if lost := [name for name, parameter in named.items() if parameter.requires_grad and name not in saved]:
        raise ValueError(
            f"{len(lost)} parameters would train but are not part of a checkpoint, such as {lost[0]}: that network "
            f"never trains; name by `trainable` what shall, with patterns of names such as {next(iter(saved), 'none')}"
        )
    sizes = [(p.numel(), p.requires_grad) for p in named.values()]
    return sum(n for n, trains in sizes if trains), sum(n for n, _ in sizes)


def train_mode(module: nn.Module) -> None:
    """`module.train()`, but every sub-module that owns parameters, all of them frozen, is put in eval mode.

    A module without parameters (drop path, dropout) follows the module that holds it.
    """
    module.train()
    _eval_frozen(module)


def _eval_frozen(module: nn.Module) -> None:
    parameters = list(module.parameters())
    if not parameters:
        return
    if not any(p.requires_grad for p in parameters):
        module.eval()
        return
    for child in module.children():
        _eval_frozen(child)


KEYS = ("optimizer", "scheduler", "clip_grad_norm", "trainable", "pretrained", "load_from", "load_missing",
        "load_unexpected", "load_required", "continue_from", "use_fresh_lr_scheduler")  # fmt: skip


class Branch:
    """One branch of a model, as the config's `branches` entry describes it.

    Args:
        name: key in `model.branches()`.
        module: the network.
        cfg: dict(optimizer, scheduler=None, clip_grad_norm=None, trainable=None, pretrained=None, load_from=None,
            load_missing=(), load_unexpected=(), load_required=False, continue_from=None, use_fresh_lr_scheduler=True).
        iters_per_epoch: optimizer steps in an epoch, for schedules counted in epochs; None: no training, so
            neither optimizer nor schedule is built.
    """

    def __init__(
        self, name: str, module: nn.Module, cfg: Mapping[str, Any], iters_per_epoch: int | None = None
    ) -> None:
        check_keys(f"branches.{name}", cfg, KEYS)
        _refuse_contradictions(name, cfg)
        self.name, self.module, self.cfg, self.iters_per_epoch = name, module, cfg, iters_per_epoch
        self.clip_grad_norm = cfg.get("clip_grad_norm")
        if not isinstance(self.clip_grad_norm, (int, float, type(None))):
            raise ValueError(f"branches.{name}.clip_grad_norm {self.clip_grad_norm!r} must be a number or None")
        self.optimizer: torch.optim.Optimizer | None = None
        self.scheduler: torch.optim.lr_scheduler.LRScheduler | None = None
        trainable, total = apply_trainable(module, cfg.get("trainable"))
        LOGGER.info("%s: %s of %s parameters are trainable", name, f"{trainable:,}", f"{total:,}")
        if iters_per_epoch is None or not trainable:
            return
        self.optimizer = build_optimizer(module, cfg["optimizer"])
        if cfg.get("scheduler"):
            self.scheduler = SCHEDULERS.build(
                cfg["scheduler"], optimizer=self.optimizer, iters_per_epoch=iters_per_epoch
            )

    def load_initial_weights(self) -> dict[str, Any]:
        """Fill the network from `load_from`, else from `pretrained`, strictly; nothing if neither is given.

        `continue_from` gives what fits of it afterwards, see `continue_from`.

        Returns:
            all that the file `load_from` or `continue_from` holds; {} without one.
        Raises:
            ValueError: `load_required`, as in experiments that start from trained networks, but no `load_from`.
        """
        more = self.cfg.get("continue_from")
        source = self.cfg.get("load_from") or (self.cfg.get("pretrained") or {}).get("path") or more
        frozen = sum(p.numel() for p in self.module.parameters() if not p.requires_grad)
        if self.cfg.get("load_required") and not self.cfg.get("load_from"):
            raise ValueError(
                f"{self.name}: this experiment starts from trained networks (load_required), but there are no weights "
                f"to start with; give --for-resume and --back-resume, or branches.{self.name}.load_from"
            )
        if frozen and not source and not Network.of(self.module).comes_trained:
            LOGGER.warning("%s: no initial weights, so %s frozen parameters stay random", self.name, f"{frozen:,}")
        content = load_initial_weights(self.name, self.module, self.cfg)
        if not more:
            return content
        content = continue_from(self.name, self.module, more)
        if self.optimizer and not self.cfg.get("use_fresh_lr_scheduler", True):
            continue_schedule(self, content, more)
        return content

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters this branch steps."""
        return [p for group in self.optimizer.param_groups for p in group["params"]] if self.optimizer else []

    @property
    def lrs(self) -> list[float]:
        """Current learning rate of each parameter group."""
        return [group["lr"] for group in self.optimizer.param_groups] if self.optimizer else []

    def clip(self, scaler: torch.amp.GradScaler) -> float:
        """Clip the gradients of this branch to the total norm `clip_grad_norm`, if given; return the norm before.

        The norm (a float) is NaN or infinite where a gradient is; a branch without trained parameters has 0.
        """
        if self.optimizer is None:
            return 0.0
        scaler.unscale_(self.optimizer)
        return torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_grad_norm or math.inf).item()

    def step(self, scaler: torch.amp.GradScaler) -> None:
        """Step optimizer and schedule, and drop the gradients."""
        if self.optimizer is None:
            return
        scaler.step(self.optimizer)
        self.optimizer.zero_grad(set_to_none=True)
        if self.scheduler:
            self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """Optimizer and schedule, as plain tensors, numbers and dicts."""
        state = {}
        if self.optimizer:
            state["optimizer"] = self.optimizer.state_dict()
        if self.scheduler:
            state["scheduler"] = self.scheduler.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        if self.optimizer:
            self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler:
            own = self.scheduler.state_dict()
            self.scheduler.load_state_dict({k: v for k, v in state["scheduler"].items() if k in own})


def _refuse_contradictions(name: str, cfg: Mapping[str, Any]) -> None:
    """ValueError for sources of weights, or of a schedule, that exclude or lack each other."""
    if cfg.get("load_from") and cfg.get("continue_from"):
        raise ValueError(
            f"branches.{name}: load_from {cfg['load_from']!r} fills the whole network, continue_from "
            f"{cfg['continue_from']!r} what fits of it; give one of them"
        )
    if not (cfg.get("use_fresh_lr_scheduler", True) or cfg.get("continue_from")):
        raise ValueError(f"branches.{name}: use_fresh_lr_scheduler=False needs a continue_from with the schedule")


def fill_branches(branches: Iterable[Branch], known: Mapping[str, Names | None]) -> list[dict[str, Any]]:
    """Fill every branch from its initial weights, which must be of networks with the same classes.

    Args:
        known: {source: names of the classes by label, or None} of what else has to have them.
    Returns:
        list of all that the files hold.
    Raises:
        ValueError: weights that are required are missing or do not fit; the classes differ.
    """
    names, contents = dict(known), []
    for branch in branches:
        content = branch.load_initial_weights()
        contents.append(content)
        source = branch.cfg.get("load_from") or branch.cfg.get("continue_from")
        partial = isinstance(branch.module, PartialState)  # which leaves out what belongs to other classes
        names[str(source)] = None if partial else file_classes(content, branch.module)
    check_same_classes(names)
    return contents
