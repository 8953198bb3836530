"""Averages of the weights over the course of training."""

import copy

import torch
from torch import nn

from ..registry import EMAS
from ..utils.logging import LOGGER

LARGE = 0.1  # share of the initial weights in an average, from which on a warning says so


@EMAS.register_module()
class ExponentialMovingAverage:
    """shadow <- decay * shadow + (1 - decay) * live, after every iteration, for parameters and float buffers.

    A short run would leave that average near its start: after n iterations, decay^n of it are the initial weights. So
    in the first 10 / (1 - decay) iterations `module` is an average with the decay min(decay, (1 + n) / (10 + n)), about
    the last tenth of the run, while the plain one is kept beside it; then the plain one takes its place, to the bit
    what it is without a warm-up, with 0.005 % of the initial weights.

    Frozen parameters, and buffers that are no part of the state dict (masks, tables of positions), are shared with the
    live model: they do not change, and an average of masks with infinities in them would be NaN.

    Args:
        model: the live model, on its device, frozen parameters marked by `requires_grad=False`.
        decay: share of the previous average.
        warm_up: False: the plain average from the first iteration on, as OpenTAD has it.

    `module` is what is evaluated; `updates` counts the iterations.
    """

    def __init__(self, model, decay=0.999, warm_up=True):
        if not 0 <= decay < 1:
            raise ValueError(f"EMA decay {decay} must be in [0, 1)")
        if not isinstance(warm_up, bool):
            raise ValueError(f"EMA warm_up {warm_up!r} must be True or False")
        shared = {id(p): p for p in model.parameters() if not p.requires_grad}
        saved = set(model.state_dict())
        shared |= {id(buffer): buffer for name, buffer in model.named_buffers() if name not in saved}
        self.module = copy.deepcopy(model, shared).eval()
        self.decay, self.updates = decay, 0
        self.warm_up = round(10 / (1 - decay)) if warm_up else 0  # iterations
        parameters = zip(self.module.named_parameters(), model.parameters(), strict=True)
        buffers = zip(self.module.named_buffers(), model.buffers(), strict=True)
        self._pairs = {name: (shadow, live) for (name, shadow), live in parameters if live.requires_grad}
        for shadow, _ in self._pairs.values():
            shadow.requires_grad_(False)
        self._pairs |= {name: (shadow, live) for (name, shadow), live in buffers if shadow is not live}
        self._plain = {n: s.clone() for n, (s, _) in self._pairs.items() if s.is_floating_point()} if warm_up else {}

    @torch.no_grad()
    def update(self):
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

    def progress(self):
        """How far the average has come: {"decay", "updates", and "warm_up", how many iterations that lasts}."""
        return {"decay": self.decay, "updates": self.updates, "warm_up": self.warm_up}

    def state_dict(self):
        """What `module` does not hold: `progress` and, during the warm-up, the plain average by name."""
        return {**self.progress(), **({"plain": dict(self._plain)} if self._plain else {})}

    @torch.no_grad()
    def load_state_dict(self, state):
        """Go on from `state_dict`; the weights of `module` and of the live model are restored already.

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

    def _step(self, shadows, decay):
        pairs = [(shadow, self._pairs[name][1]) for name, shadow in shadows.items() if shadow.is_floating_point()]
        pairs = [(shadow, live) for shadow, live in pairs if shadow.shape == live.shape]
        if pairs:
            shadows, lives = zip(*pairs, strict=True)
            torch._foreach_lerp_(list(shadows), list(lives), 1 - decay)

    def _end_warm_up(self):
        """At its end, the plain average takes the place of the other one."""
        if self.updates < self.warm_up:
            return
        for name, kept in self._plain.items():
            self._pairs[name][0].copy_(kept)
        self._plain = {}


@EMAS.register_module()
class NoAverage:
    """No average: evaluation uses the live weights."""

    def __init__(self, model):
        self.module: nn.Module = model

    def update(self):
        """Nothing to do: the live model is the average."""

    def progress(self):
        """{}: no average."""
        return {}

    state_dict = progress


def progress_of(average, whole=False):
    """{"ema": `progress`, or `state_dict` for a `whole` run} of an average, for a checkpoint; {} if it has none."""
    method = "state_dict" if whole else "progress"
    return {"ema": getattr(average, method)()} if hasattr(average, method) else {}


def weights_in_words(progress):
    """What is evaluated, from the `progress` of an average; {}: there is none, None: it is not known."""
    if not progress:
        return "averaged weights" if progress is None else "raw weights; no average is kept"
    decay, updates, warm_up = progress["decay"], progress["updates"], progress["warm_up"]
    text = f"averaged weights, decay {decay}, {updates} iterations"
    if updates < warm_up:
        return f"{text}, warm-up: about the last tenth of them"
    return text if warm_up else f"{text}, no warm-up: {_start_share(progress):.1%} of them are the initial weights"


def log_evaluated(average):
    """Log that the weights of an average are evaluated, and which they are."""
    progress = progress_of(average).get("ema")
    LOGGER.info("evaluating %s", weights_in_words(progress))
    warn_of_start(progress)


def warn_of_start(progress):
    """Warn of an average that is to a large part the initial weights."""
    if progress and not progress["warm_up"] and progress["updates"] and _start_share(progress) > LARGE:
        LOGGER.warning(
            "%.0f %% of the averaged weights are the initial ones: %d iterations are few for a decay of %s; train with "
            "solver.ema.warm_up=True or a lower decay, or take the raw weights of the checkpoint (PATH:state_dict)",
            100 * _start_share(progress),
            progress["updates"],
            progress["decay"],
        )


def _start_share(progress):
    return progress["decay"] ** progress["updates"]
