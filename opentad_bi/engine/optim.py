"""Optimizers, learning rate schedules, and averages of the weights over the course of training.

Optimizers and schedules are torch's own by their names; to these come the parameter groups that detectors are trained
with, and schedules with a warm-up. The runner steps a schedule once per iteration (one optimizer step); epochs in a
config are turned into iterations by `iters_per_epoch`, which the runner supplies.
"""

import copy
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from ..contracts import Average
from ..registry import EMAS, OPTIMIZERS, SCHEDULERS, check_keys
from ..utils.logging import LOGGER
from ..utils.validation import check_choice, check_count, check_share

for _cls in vars(torch.optim).values():
    if isinstance(_cls, type) and issubclass(_cls, torch.optim.Optimizer) and _cls is not torch.optim.Optimizer:
        OPTIMIZERS.register_module(module=_cls)

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TABLES = ("embedding", "position")  # parts of the names of parameters that are looked up, not multiplied by
_BACKBONE_KEYS = ("lr", "weight_decay", "custom", "exclude")


def build_optimizer(module: nn.Module, cfg: Mapping[str, Any]) -> torch.optim.Optimizer | None:
    """Build the optimizer of one branch over its trainable parameters.

    Args:
        cfg: dict(type, lr, weight_decay, ...) of the optimizer itself, and
            `paramwise` (False): no weight decay on biases, norms, and free parameters such as scales;
            `decay_matrices` (False), in its place: weight decay on all that a network multiplies by, free parameters
            such as `in_proj_weight` and projections included, and none on biases, norms, scales and tables of
            embeddings or positions;
            `backbone` (None): settings for the parameters below `module.backbone`: `lr` and `weight_decay` of the
            rest, `custom`, a list of dict(name, lr, weight_decay) that takes the parameters whose names contain
            `name` (first match wins), and `exclude`, name parts that keep a parameter out of the rest.
    Returns:
        the optimizer, or None if nothing is trainable. Groups stand in this order: rest of the backbone, one per
        `custom`, then the others (with decay, without decay).
    Raises:
        ValueError: a trainable parameter falls in no group, or a `custom` name matches nothing; both `paramwise` and
            `decay_matrices`.
    """
    cfg = dict(cfg)
    paramwise, backbone = cfg.pop("paramwise", False), cfg.pop("backbone", None)
    matrices = cfg.pop("decay_matrices", False)
    decayed: Callable[[nn.Module], set[str]] | None
    decayed = _matrices if matrices else partial(_weights_of, kinds=_LAYERS) if paramwise else None
    if paramwise and matrices:
        raise ValueError("optimizer.paramwise and optimizer.decay_matrices exclude each other")
    trainable = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if not trainable:
        return None
    inside = {name: p for name, p in trainable.items() if name.startswith("backbone.")}
    outside = {name: p for name, p in trainable.items() if name not in inside}
    if backbone is None:
        if inside and decayed:
            raise ValueError(
                f"{len(inside)} parameters of the backbone are trainable, such as {next(iter(inside))}, but "
                "optimizer.backbone does not say how; give optimizer.backbone or freeze them by `trainable`"
            )
        outside, inside = trainable, {}
    groups = _backbone_groups(inside, backbone or {}) if inside else []
    groups += _split_by_decay(decayed(module), outside, cfg) if decayed else [{"params": list(outside.values())}]
    try:
        return OPTIMIZERS.build(cfg, params=[group for group in groups if group["params"]])
    except ValueError as error:  # torch names neither the optimizer nor the key
        raise ValueError(f"optimizer {cfg.get('type')}: {error}") from error


def _backbone_groups(inside: dict[str, nn.Parameter], cfg: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Parameter groups below `module.backbone`, as described in `build_optimizer`."""
    check_keys("optimizer.backbone", cfg, _BACKBONE_KEYS)
    left = dict(inside)
    groups: list[dict[str, Any]] = []
    for custom in cfg.get("custom", []):
        taken = [name for name in left if custom["name"] in name.removeprefix("backbone.")]
        if not taken:
            raise ValueError(f"optimizer.backbone.custom {custom['name']!r} matches no trainable parameter")
        groups.append(
            {"params": [left.pop(name) for name in taken], "lr": custom["lr"], "weight_decay": custom["weight_decay"]}
        )
    forgotten = [name for name in left if any(part in name for part in cfg.get("exclude", []))]
    if forgotten:
        raise ValueError(
            f"trainable but in no parameter group: {', '.join(forgotten[:5])} ({len(forgotten)} in all); "
            "freeze them by `trainable` or give them a group in optimizer.backbone"
        )
    if left:
        rest = {"params": list(left.values()), "lr": cfg["lr"], "weight_decay": cfg["weight_decay"]}
        groups.insert(0, rest)
    return groups


def _matrices(module: nn.Module) -> set[str]:
    """Names of the parameters of two or more dimensions that are not tables."""
    looked_up = _weights_of(module, nn.Embedding)
    matrices = {name for name, parameter in module.named_parameters() if parameter.ndim > 1}
    return {name for name in matrices - looked_up if not any(part in name.rpartition(".")[2] for part in _TABLES)}


def _weights_of(module: nn.Module, kinds: type | tuple[type, ...]) -> set[str]:
    """Names of the weights of layers of some kinds."""
    return {
        f"{name}.weight" if name else "weight" for name, child in module.named_modules() if isinstance(child, kinds)
    }


def _split_by_decay(
    weights: Collection[str], parameters: dict[str, nn.Parameter], cfg: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Two groups of `parameters`: those whose names are in `weights`, and all others without weight decay."""
    decay = [parameters[name] for name in sorted(parameters) if name in weights]
    no_decay = [parameters[name] for name in sorted(parameters) if name not in weights]
    return [{"params": decay, "weight_decay": cfg.get("weight_decay", 0.0)}, {"params": no_decay, "weight_decay": 0.0}]


SHAPES = ("cosine", "linear", "constant")  # of what follows a warm-up

for _cls in vars(lr_scheduler).values():
    if isinstance(_cls, type) and issubclass(_cls, LRScheduler) and _cls is not LRScheduler:
        SCHEDULERS.register_module(module=_cls, force=True)


class _WarmUp(LRScheduler):
    """Linear warm-up from `warmup_start_lr` over the first `warmup` iterations, then `after_warmup(base, i)`.

    Every rate is a function of the iteration, so an interruption leaves no rounding. torch's `SequentialLR` multiplies
    step by step, cannot start at rate 0, and its state holds the shape, which a longer run would keep.
    """

    def __init__(self, optimizer: Optimizer, warmup: int, warmup_start_lr: float, warmup_steps: int) -> None:
        self.warmup, self.warmup_start_lr, self.warmup_steps = warmup, warmup_start_lr, warmup_steps
        super().__init__(optimizer)

    def state_dict(self) -> dict[str, Any]:
        """Progress and base rates alone: the shape is the config's, so a run can continue towards a later end."""
        return {key: vars(self)[key] for key in ("base_lrs", "last_epoch", "_step_count", "_last_lr")}

    def after_warmup(self, base: float, i: int) -> float:
        """Rate of a group with the rate `base` at iteration `i`, after the warm-up."""
        return base

    def get_lr(self) -> list[float | torch.Tensor]:
        """Learning rate of each parameter group at iteration `last_epoch`."""
        return [self._lr(float(base), self.last_epoch) for base in self.base_lrs]

    def _lr(self, base: float, i: int) -> float:
        if i < self.warmup:
            start = self.warmup_start_lr
            return start + (base - start) * i / max(self.warmup_steps, 1)
        return self.after_warmup(base, i)


@SCHEDULERS.register_module()
class LinearWarmupCosineAnnealingLR(_WarmUp):
    """Linear warm-up, then half a cosine down to `eta_min` (SGDR, Loshchilov and Hutter 2017, without restarts).

    With W warm-up and M total iterations and a group's base rate b, iteration i uses b * i / (W - 1) for i < W
    (so the very first iteration has rate 0) and eta_min + (b - eta_min) * (1 + cos(pi * (i - W) / (M - W))) / 2 after.
    Without warm-up (W = 0) there is no such first iteration: the rate starts at b.

    Args:
        warmup_epoch: epochs of warm-up.
        max_epoch: epochs until the rate reaches `eta_min`; training may end earlier.
        warmup_start_lr: rate at iteration 0.
        eta_min: rate at the end.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        warmup_epoch: int,
        max_epoch: int,
        iters_per_epoch: int,
        warmup_start_lr: float = 0.0,
        eta_min: float = 1e-8,
    ) -> None:
        if max_epoch <= warmup_epoch:
            raise ValueError(f"max_epoch {max_epoch} must be greater than warmup_epoch {warmup_epoch}; set both")
        warmup = warmup_epoch * iters_per_epoch
        self.eta_min, self.total = eta_min, max_epoch * iters_per_epoch
        super().__init__(optimizer, warmup, warmup_start_lr, warmup - 1)

    def after_warmup(self, base: float, i: int) -> float:
        """Rate after the warm-up."""
        phase = math.pi * (i - self.warmup) / (self.total - self.warmup)
        return self.eta_min + 0.5 * (base - self.eta_min) * (1 + math.cos(phase))


@SCHEDULERS.register_module()
class ConstantWarmupCosineAnnealingLR(LinearWarmupCosineAnnealingLR):
    """The same cosine after a warm-up at the constant rate `warmup_lr` (CoOp, Zhou et al., IJCV 2022).

    Args:
        warmup_epoch: epochs of warm-up.
        max_epoch: epochs until the rate reaches `eta_min`.
        warmup_lr: rate during the warm-up.
        eta_min: rate at the end.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        warmup_epoch: int,
        max_epoch: int,
        iters_per_epoch: int,
        warmup_lr: float = 1e-5,
        eta_min: float = 0.0,
    ) -> None:
        self.warmup_lr = warmup_lr
        super().__init__(
            optimizer, warmup_epoch=warmup_epoch, max_epoch=max_epoch, iters_per_epoch=iters_per_epoch, eta_min=eta_min
        )

    def _lr(self, base: float, i: int) -> float:
        return self.warmup_lr if i < self.warmup else self.after_warmup(base, i)


@SCHEDULERS.register_module()
class WarmupRatioLR(_WarmUp):
    """Linear warm-up over a part of all iterations, then down to `eta_min` by half a cosine or a line, or constant.

    With W warm-up and M total iterations, iteration i of a group with the base rate b uses b * (i + 1) / W for i < W,
    so no iteration has the rate 0; afterwards the rate falls from b to `eta_min`, which iteration M would have.

    Args:
        max_epoch: epochs until the rate reaches `eta_min`.
        warmup_ratio: W / M, W being rounded up.
        steps: W in place of the ratio, or None.
        shape: "cosine", "linear" or "constant".
        eta_min: rate at the end.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        max_epoch: int,
        iters_per_epoch: int,
        warmup_ratio: float = 0.1,
        steps: int | None = None,
        shape: str = "cosine",
        eta_min: float = 0.0,
    ) -> None:
        check_share("warmup_ratio", warmup_ratio)
        self.shape, self.eta_min = check_choice("shape", shape, SHAPES), eta_min
        self.total = check_count("max_epoch", max_epoch) * iters_per_epoch
        given = check_count("steps", steps, lowest=0, optional=True)
        # rounded first, as 0.1 * 140 is a little over 14
        warmup = math.ceil(round(warmup_ratio * self.total, 6)) if given is None else given
        if warmup >= self.total > 1:
            raise ValueError(f"a warm-up of {warmup} iterations leaves nothing of the {self.total} of the training")
        super().__init__(optimizer, min(warmup, self.total - 1), warmup_start_lr=0.0, warmup_steps=warmup)

    def _lr(self, base: float, i: int) -> float:
        return base * (i + 1) / self.warmup if i < self.warmup else self.after_warmup(base, i)

    def after_warmup(self, base: float, i: int) -> float:
        """Rate after the warm-up."""
        done = min((i - self.warmup) / (self.total - self.warmup), 1.0)
        left = {"cosine": (1 + math.cos(math.pi * done)) / 2, "linear": 1 - done, "constant": 1.0}[self.shape]
        return self.eta_min + (base - self.eta_min) * left


@SCHEDULERS.register_module()
class EpochCosineAnnealingLR(_WarmUp):
    """Half a cosine down to `eta_min` in one step per epoch: torch's `CosineAnnealingLR`, stepped after every epoch.

    Epoch e of a group with the base rate b uses eta_min + (b - eta_min) * (1 + cos(pi * e / max_epoch)) / 2 up to
    max_epoch. After it the rate stays at `eta_min`, where torch's rises again.

    Args:
        max_epoch: epochs until the rate reaches `eta_min`.
        eta_min: rate at the end.
    """

    def __init__(self, optimizer: Optimizer, *, max_epoch: int, iters_per_epoch: int, eta_min: float = 0.0) -> None:
        if max_epoch < 1:
            raise ValueError(f"max_epoch {max_epoch} must be at least 1")
        self.max_epoch, self.iters_per_epoch, self.eta_min = max_epoch, iters_per_epoch, eta_min
        super().__init__(optimizer, warmup=0, warmup_start_lr=0.0, warmup_steps=0)

    def after_warmup(self, base: float, i: int) -> float:
        """Rate of the epoch that iteration `i` lies in."""
        phase = math.pi * min(i // self.iters_per_epoch, self.max_epoch) / self.max_epoch
        return self.eta_min + 0.5 * (base - self.eta_min) * (1 + math.cos(phase))


@SCHEDULERS.register_module()
class LinearWarmupMultiStepLR(_WarmUp):
    """Linear warm-up of step base / W, then the rate times `gamma` at each milestone.

    Without warm-up this is torch's `MultiStepLR`, which counts iterations, with milestones in epochs.

    Args:
        warmup_epoch: epochs of warm-up.
        milestones: epochs at which the rate drops.
        gamma: the factor.
        warmup_start_lr: rate at iteration 0.
        max_epoch: where training ends, for the reader of a config; the rates do not depend on it.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        warmup_epoch: int,
        milestones: Sequence[int],
        iters_per_epoch: int,
        gamma: float = 0.1,
        warmup_start_lr: float = 0.0,
        max_epoch: int | None = None,
    ) -> None:
        warmup = warmup_epoch * iters_per_epoch
        self.milestones, self.gamma = [m * iters_per_epoch for m in milestones], gamma
        super().__init__(optimizer, warmup, warmup_start_lr, warmup)

    def after_warmup(self, base: float, i: int) -> float:
        """Rate after the warm-up."""
        return base * self.gamma ** sum(i >= milestone for milestone in self.milestones)


LARGE = 0.1  # ratio of the initial weights in an average, from which on a warning says so


@EMAS.register_module()
class ExponentialMovingAverage(Average):
    """shadow <- decay * shadow + (1 - decay) * live, after every iteration, for parameters and float buffers.

    A short run would leave that average near its start: after n iterations, decay^n of it are the initial weights. So
    in the first 10 / (1 - decay) iterations `module` is an average with the decay min(decay, (1 + n) / (10 + n)), about
    the last tenth of the run, while the plain one is kept beside it; then the plain one takes its place, to the bit
    what it is without a warm-up, with 0.005 % of the initial weights.

    Frozen parameters, and buffers that are not part of the state dict (masks, tables of positions), are shared with the
    live model: they do not change, and an average of masks with infinities in them would be NaN. (torch's
    `AveragedModel` has neither the warm-up nor the sharing.)

    Args:
        model: the live model, on its device, frozen parameters marked by `requires_grad=False`.
        decay: weight of the previous average.
        warm_up: False: the plain average from the first iteration on, as OpenTAD has it.

    `module` is what is evaluated; `updates` counts the iterations.
    """

    def __init__(self, model: nn.Module, decay: float = 0.999, warm_up: bool = True) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"EMA decay {decay} must be in [0, 1)")
        if not isinstance(warm_up, bool):
            raise ValueError(f"EMA warm_up {warm_up!r} must be True or False")
        shared: dict[int, Any] = {id(p): p for p in model.parameters() if not p.requires_grad}
        saved = set(model.state_dict())
        shared |= {id(buffer): buffer for name, buffer in model.named_buffers() if name not in saved}
        self.module = copy.deepcopy(model, shared).eval()
        self.decay, self.updates = decay, 0
        self.warm_up = round(10 / (1 - decay)) if warm_up else 0  # iterations
        parameters = zip(self.module.named_parameters(), model.parameters(), strict=True)
        buffers = zip(self.module.named_buffers(), model.buffers(), strict=True)
        self._pairs: dict[str, tuple[torch.Tensor, torch.Tensor]]
        self._pairs = {name: (shadow, live) for (name, shadow), live in parameters if live.requires_grad}
        for shadow, _ in self._pairs.values():
            shadow.requires_grad_(False)
        self._pairs |= {name: (shadow, live) for (name, shadow), live in buffers if shadow is not live}
        self._plain = {n: s.clone() for n, (s, _) in self._pairs.items() if s.is_floating_point()} if warm_up else {}

    @torch.no_grad()
    def update(self) -> None:
        """Move the average one step towards the live weights."""
        early = self.updates < self.warm_up
        shadows = {name: shadow for name, (shadow, _) in self._pairs.items()}
        self._step(shadows, min(self.decay, (1 + self.updates) / (10 + self.updates)) if early else self.decay)
        self._step(self._plain, self.decay)
        for shadow, live in self._pairs.values():
            if not shadow.is_floating_point():
                shadow.copy_(live)
        self.updates += 1
        self._end_warm_up()

    def progress(self) -> dict[str, Any]:
        """How far the average has come: {"decay", "updates", and "warm_up", how many iterations that lasts}."""
        return {"decay": self.decay, "updates": self.updates, "warm_up": self.warm_up}

    def state_dict(self) -> dict[str, Any]:
        """What `module` does not hold: `progress` and, during the warm-up, the plain average by name."""
        return {**self.progress(), **({"plain": dict(self._plain)} if self._plain else {})}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`; the weights of `module` and of the live model are restored already.

        Without "plain", of a run without a warm-up, `module` holds the plain average; if this run is in its warm-up,
        the average that is evaluated starts from the live weights.
        """
        self.updates, plain = state["updates"], state.get("plain")
        for name, kept in self._plain.items():
            shadow, live = self._pairs[name]
            kept.copy_(shadow if plain is None else plain[name])
            if plain is None:
                shadow.copy_(live)
        if plain is not None and not self._plain:  # this run has no warm-up
            for name, kept in plain.items():
                self._pairs[name][0].copy_(kept)
        self._end_warm_up()

    def _step(self, shadows: dict[str, torch.Tensor], decay: float) -> None:
        pairs = [(shadow, self._pairs[name][1]) for name, shadow in shadows.items() if shadow.is_floating_point()]
        pairs = [(shadow, live) for shadow, live in pairs if shadow.shape == live.shape]
        if pairs:
            torch._foreach_lerp_([shadow for shadow, _ in pairs], [live for _, live in pairs], 1 - decay)

    def _end_warm_up(self) -> None:
        """At its end, the plain average takes the place of the other one."""
        if self.updates < self.warm_up:
            return
        for name, kept in self._plain.items():
            self._pairs[name][0].copy_(kept)
        self._plain = {}


@EMAS.register_module()
class NoAverage(Average):
    """No average: evaluation uses the live weights."""

    def __init__(self, model: nn.Module) -> None:
        self.module = model

    def update(self) -> None:
        """Nothing to do: the live model is the average."""

    def progress(self) -> dict[str, Any]:
        """{}: no average."""
        return {}


def weights_in_words(progress: Mapping[str, Any] | None) -> str:
    """What is evaluated, from the `progress` of an average; {}: there is none, None: it is not known."""
    if not progress:
        return "averaged weights" if progress is None else "raw weights; no average is kept"
    decay, updates, warm_up = progress["decay"], progress["updates"], progress["warm_up"]
    text = f"averaged weights, decay {decay}, {updates} iterations"
    if updates < warm_up:
        return f"{text}, warm-up: about the last tenth of them"
    return text if warm_up else f"{text}, no warm-up: {_start_ratio(progress):.1%} of them are the initial weights"


def log_evaluated(average: Average) -> None:
    """Log that the weights of an average are evaluated, and which they are."""
    progress = Average.of(average).progress()
    LOGGER.info("evaluating %s", weights_in_words(progress))
    warn_of_start(progress)


def warn_of_start(progress: Mapping[str, Any] | None) -> None:
    """Warn of an average that is to a large part the initial weights."""
    if progress and not progress["warm_up"] and progress["updates"] and _start_ratio(progress) > LARGE:
        LOGGER.warning(
            "%.0f %% of the averaged weights are the initial ones: %d iterations are few for a decay of %s; train with "
            "solver.ema.warm_up=True or a lower decay, or take the raw weights of the checkpoint (PATH:state_dict)",
            100 * _start_ratio(progress),
            progress["updates"],
            progress["decay"],
        )


def _start_ratio(progress: Mapping[str, Any]) -> float:
    return progress["decay"] ** progress["updates"]
