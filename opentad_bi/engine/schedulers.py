"""Learning-rate schedules: torch's own by their names, and warm-up schedules counted in iterations.

The runner steps a schedule once per iteration (one optimizer step). Epochs in a config are turned into iterations
by `iters_per_epoch`, which the runner supplies.
"""

import math

from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from ..registry import SCHEDULERS
from ..utils.validation import check_choice, check_count, check_share

SHAPES = ("cosine", "linear", "constant")  # of what follows a warm-up

for _cls in vars(lr_scheduler).values():
    if isinstance(_cls, type) and issubclass(_cls, LRScheduler) and _cls is not LRScheduler:
        SCHEDULERS.register_module(module=_cls, force=True)


class _WarmUp(LRScheduler):
    """Linear warm-up from `warmup_start_lr` over the first `warmup` iterations, then `after_warmup(base, i)`."""

    def __init__(self, optimizer, warmup, warmup_start_lr, warmup_steps):
        self.warmup, self.warmup_start_lr, self.warmup_steps = warmup, warmup_start_lr, warmup_steps
        super().__init__(optimizer)

    def state_dict(self):
        """Progress and base rates alone: the shape is the config's, so a run can go on towards a later end."""
        return {key: getattr(self, key) for key in ("base_lrs", "last_epoch", "_step_count", "_last_lr")}

    def get_lr(self):
        """Learning rate of each parameter group at iteration `last_epoch`."""
        return [self._lr(base, self.last_epoch) for base in self.base_lrs]

    def _lr(self, base, i):
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
        optimizer: the optimizer whose groups are scheduled.
        warmup_epoch: epochs of warm-up.
        max_epoch: epochs until the rate reaches `eta_min`; training may end earlier.
        iters_per_epoch: iterations in an epoch.
        warmup_start_lr: rate at iteration 0.
        eta_min: rate at the end.
    """

    def __init__(self, optimizer, *, warmup_epoch, max_epoch, iters_per_epoch, warmup_start_lr=0.0, eta_min=1e-8):
        if max_epoch <= warmup_epoch:
            raise ValueError(f"max_epoch {max_epoch} must be greater than warmup_epoch {warmup_epoch}; set both")
        warmup = warmup_epoch * iters_per_epoch
        self.eta_min, self.total = eta_min, max_epoch * iters_per_epoch
        super().__init__(optimizer, warmup, warmup_start_lr, warmup - 1)

    def after_warmup(self, base, i):
        """Rate after the warm-up."""
        phase = math.pi * (i - self.warmup) / (self.total - self.warmup)
        return self.eta_min + 0.5 * (base - self.eta_min) * (1 + math.cos(phase))


@SCHEDULERS.register_module()
class ConstantWarmupCosineAnnealingLR(LinearWarmupCosineAnnealingLR):
    """The same cosine after a warm-up at the constant rate `warmup_lr` (CoOp, Zhou et al., IJCV 2022).

    Args:
        optimizer: the optimizer whose groups are scheduled.
        warmup_epoch: epochs of warm-up.
        max_epoch: epochs until the rate reaches `eta_min`.
        iters_per_epoch: iterations in an epoch.
        warmup_lr: rate during the warm-up.
        eta_min: rate at the end.
    """

    def __init__(self, optimizer, *, warmup_epoch, max_epoch, iters_per_epoch, warmup_lr=1e-5, eta_min=0.0):
        self.warmup_lr = warmup_lr
        super().__init__(
            optimizer, warmup_epoch=warmup_epoch, max_epoch=max_epoch, iters_per_epoch=iters_per_epoch, eta_min=eta_min
        )

    def _lr(self, base, i):
        return self.warmup_lr if i < self.warmup else self.after_warmup(base, i)


@SCHEDULERS.register_module()
class WarmupShareLR(_WarmUp):
    """Linear warm-up over a share of all iterations, then down to `eta_min` by half a cosine or a line, or constant.

    With W warm-up and M total iterations, iteration i of a group with the base rate b uses b * (i + 1) / W for i < W,
    so no iteration has the rate 0; afterwards the rate falls from b to `eta_min`, which iteration M would have.

    Args:
        optimizer: the optimizer whose groups are scheduled.
        max_epoch: epochs until the rate reaches `eta_min`.
        iters_per_epoch: iterations in an epoch.
        share: W as a share of M, rounded up.
        steps: W in place of the share, or None.
        shape: "cosine", "linear" or "constant".
        eta_min: rate at the end.
    """

    def __init__(self, optimizer, *, max_epoch, iters_per_epoch, share=0.1, steps=None, shape="cosine", eta_min=0.0):
        check_share("share", share)
        self.shape, self.eta_min = check_choice("shape", shape, SHAPES), eta_min
        self.total = check_count("max_epoch", max_epoch) * iters_per_epoch
        given = check_count("steps", steps, lowest=0, optional=True)
        # rounded first, as 0.1 * 140 is a little over 14
        warmup = math.ceil(round(share * self.total, 6)) if given is None else given
        if warmup >= self.total > 1:
            raise ValueError(f"a warm-up of {warmup} iterations leaves nothing of the {self.total} of the training")
        super().__init__(optimizer, min(warmup, self.total - 1), warmup_start_lr=0.0, warmup_steps=warmup)

    def _lr(self, base, i):
        return base * (i + 1) / self.warmup if i < self.warmup else self.after_warmup(base, i)

    def after_warmup(self, base, i):
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
        optimizer: the optimizer whose groups are scheduled.
        max_epoch: epochs until the rate reaches `eta_min`.
        iters_per_epoch: iterations in an epoch.
        eta_min: rate at the end.
    """

    def __init__(self, optimizer, *, max_epoch, iters_per_epoch, eta_min=0.0):
        if max_epoch < 1:
            raise ValueError(f"max_epoch {max_epoch} must be at least 1")
        self.max_epoch, self.iters_per_epoch, self.eta_min = max_epoch, iters_per_epoch, eta_min
        super().__init__(optimizer, warmup=0, warmup_start_lr=0.0, warmup_steps=0)

    def after_warmup(self, base, i):
        """Rate of the epoch that iteration `i` lies in."""
        phase = math.pi * min(i // self.iters_per_epoch, self.max_epoch) / self.max_epoch
        return self.eta_min + 0.5 * (base - self.eta_min) * (1 + math.cos(phase))


@SCHEDULERS.register_module()
class LinearWarmupMultiStepLR(_WarmUp):
    """Linear warm-up of step base / W, then the rate times `gamma` at each milestone.

    Without warm-up this is torch's `MultiStepLR`, which counts iterations, with milestones in epochs.

    Args:
        optimizer: the optimizer whose groups are scheduled.
        warmup_epoch: epochs of warm-up.
        milestones: epochs at which the rate drops.
        iters_per_epoch: iterations in an epoch.
        gamma: the factor.
        warmup_start_lr: rate at iteration 0.
        max_epoch: where training ends, for the reader of a config; the rates do not depend on it.
    """

    def __init__(
        self,
        optimizer,
        *,
        warmup_epoch,
        milestones,
        iters_per_epoch,
        gamma=0.1,
        warmup_start_lr=0.0,
        max_epoch=None,
    ):
        warmup = warmup_epoch * iters_per_epoch
        self.milestones, self.gamma = [m * iters_per_epoch for m in milestones], gamma
        super().__init__(optimizer, warmup, warmup_start_lr, warmup)

    def after_warmup(self, base, i):
        """Rate after the warm-up."""
        return base * self.gamma ** sum(i >= milestone for milestone in self.milestones)
