"""The one training loop, for any model that answers `forward`, `predict` and `branches` (`contracts.Model`).

Also what the loop needs on its way: seeds, mixed precision as `solver.amp` asks for it, and means over an epoch.
"""

import itertools
import math
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from mmengine.config import Config
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ..config import config_text
from ..contracts import Average, Batch, Dataset, Hook, Metric, Metrics, Model, innermost, losses_and_logged
from ..registry import EMAS, METRICS, MODELS, Kind, check_keys, log_renamed, nearest
from ..utils.distributed import mean_over_ranks, rank, share_buffers, world_size
from ..utils.logging import LOGGER
from ..utils.weight_files import load_checkpoint
from .branch import Branch, fill_branches, train_mode
from .checkpoint import class_names, restore_run
from .data import EpochSampler, build_dataset, sample_names, to_device, train_loader, trained_sets, video_record
from .hooks import WORKFLOW_KEYS, EvaluateHook, StopRun, build_hooks
from .inference import evaluate
from .optim import log_evaluated
from .warm_start import asks_for_classes, check_same_classes

SOLVER_KEYS = ("train", "val", "test", "amp", "accumulate", "ema", "static_graph", "fp16_compress")
TRAIN_KEYS = ("batch_size", "num_workers", "drop_last")
MAX_OVERFLOWS = 10  # iterations in a row whose losses overflow fp16


class NonFiniteLoss(FloatingPointError):
    """A loss or gradient became NaN or infinite; the message names it and the samples of the batch."""


class Runner:
    """Build everything a config names, and train or evaluate it.

    Args:
        cfg: the config (see `docs/configs.md` for its keys).
        work_dir: folder of this run; it exists.
        device: `torch.device` of this process.
        seed: seed of weights, shuffling and random sampling.
        training: False builds neither optimizers nor the training set.
        fresh: False leaves out the initial weights, which a resume would replace.
        split: what is evaluated; None: "val" during training if the config has it, else "test".

    Hooks read and write the state below. One that wants one process's wish to stop all of them sets `stop_requested`.
    """

    epoch: int  # the next one to do
    iteration: int  # in it, the next one to do
    losses: dict[str, float]  # of the last iteration, means over the processes
    logged: dict[str, float]  # likewise
    lrs: dict[str, list[float]]  # of the last iteration, of every parameter group of every branch
    means: "MeansByKind"  # of "losses" and "logged" over the epoch
    metrics: Metrics | None  # of the last evaluation
    scores: dict[int, float]  # of all evaluations by epoch
    stop: str | None  # a reason to leave the loop after this iteration
    model: Any  # an nn.Module that offers what contracts.Model does
    ddp: Any  # the same, wrapped where there are several processes
    previous: list[dict[str, Any]]  # sets of videos that the initial weights were learned from
    datasets: dict[str, Any]  # those built so far, by split

    def __init__(
        self,
        cfg: Config,
        *,
        work_dir: Path,
        device: torch.device,
        seed: int = 42,
        training: bool = True,
        fresh: bool = True,
        split: str | None = None,
    ) -> None:
        self.cfg, self.work_dir, self.device, self.seed = cfg, work_dir, device, seed
        self.training, self.split = training, split or ("val" if training and "val" in cfg.dataset else "test")
        self.epoch = self.iteration = self.overflows = 0
        self.losses, self.logged, self.lrs, self.metrics, self.scores = {}, {}, {}, None, {}
        self.means = MeansByKind()
        self.stop, self.stop_requested, self.evaluating = None, False, False
        self.datasets, self.model, self.previous = {}, None, []
        seed_everything(seed)
        self.solver = cfg.solver
        check_keys("solver", cfg.solver, SOLVER_KEYS)
        check_keys("workflow", cfg.workflow, WORKFLOW_KEYS)
        self.accumulate = self.solver.get("accumulate", 1)
        self.end_epoch = cfg.workflow.end_epoch
        if training:
            self._build_loader()
        self.model = MODELS.build(cfg.model, **self._context(MODELS, cfg.model)).to(device)
        for name, dataset in self.datasets.items():
            self._match(name, dataset)
        self.branches = self._build_branches(self.iters_per_epoch if training else None)
        self._set_precision()
        if training and fresh:
            contents = fill_branches(self.branches.values(), {"dataset.train": self.classes})
            self.previous = [own for content in contents for own in trained_sets(content)]
        self.ema: Average = EMAS.build(self.solver.get("ema", {"type": "ExponentialMovingAverage"}), model=self.model)
        self.ddp = self._wrap() if training else self.model
        self.hooks: list[Hook] = build_hooks(cfg) if training else []
        if training and any(isinstance(hook, EvaluateHook) and hook.interval for hook in self.hooks):
            self.check_metric(self.build_metric())  # what is wrong with it should show before the training, not after
        torch.manual_seed(seed + rank())  # dropout of its own in every process

    def train(self, resume: Path | str | None = None) -> None:
        """Train to `workflow.end_epoch`, from the start or from the checkpoint file `resume`."""
        if resume:
            restore_run(self, load_checkpoint(resume), resume)
            LOGGER.info("resumed %s: epoch %d, iteration %d", resume, self.epoch, self.iteration)
        Model.of(self.model).check_weights(self.datasets["train"])
        try:
            for hook in self.hooks:
                hook.before_train(self)
            while self.epoch < self.end_epoch and not self.stop:
                self.train_epoch()
        except StopRun:
            self.stop = "a signal"
        except NonFiniteLoss:
            self.stop = "a non-finite loss or gradient"
            raise
        finally:
            self._finish()

    def train_epoch(self) -> None:
        """The rest of the current epoch."""
        train_mode(self.model)
        if self.iteration == 0:
            self.means = MeansByKind()
        self.sampler.epoch = self.epoch
        self.sampler.skip = self.iteration * self.accumulate * self.loader.batch_size
        batches = iter(self.loader)
        while group := list(itertools.islice(batches, self.accumulate)):
            self.train_step(group)
            self.iteration += 1
            for hook in self.hooks:
                hook.after_iter(self)
            if self.stop:
                return
        self.epoch, self.iteration = self.epoch + 1, 0
        for hook in self.hooks:
            hook.after_epoch(self)

    def train_step(self, batches: Sequence[Batch]) -> None:
        """One iteration: the gradients of `batches` are averaged, then every branch steps once."""
        self.lrs = {name: branch.lrs for name, branch in self.branches.items()}
        outputs = []
        for i, batch in enumerate(batches):
            last = i == len(batches) - 1
            with nullcontext() if last or self.ddp is self.model else self.ddp.no_sync():
                with self.autocast():
                    losses, logged = losses_and_logged(self.ddp(to_device(batch, self.device)))
                if watched := Model.of(self.model).watched:
                    log_renamed("watched of a model", "the entry 'logged' of what forward returns")
                    logged = {**watched, **logged}
                total = torch.as_tensor(sum(losses.values()) / len(batches))
                self.scaler.scale(total).backward()
            outputs.append((losses, logged))
        self._record(outputs, batches)
        norms = {name: branch.clip(self.scaler) for name, branch in self.branches.items()}
        if not self.scaler.is_enabled() and not all(math.isfinite(norm) for norm in norms.values()):
            self._refuse(f"gradient norms {norms}", batches)
        for branch in self.branches.values():
            branch.step(self.scaler)
        self.scaler.update()
        self.ema.update()
        self.means["losses"].add(self.losses, len(batches))
        self.means["logged"].add(self.logged, len(batches))

    def evaluate(self, split: str | None = None, metric: Metric | None = None) -> Metrics:
        """Numbers of the averaged weights on `dataset[split]` (None: the runner's); also left in `self.metrics`."""
        split = split or self.split
        size = self.solver.get(split) or self.solver.test
        self.metric = metric or self.build_metric()
        if self.training:
            log_evaluated(self.ema)
        share_buffers(self.ema.module)
        self.evaluating = True
        try:
            self.metrics = evaluate(
                self.ema.module,
                self.dataset(split),
                self.metric,
                batch_size=size.batch_size,
                num_workers=size.num_workers,
                device=self.device,
                autocast=self.autocast,
            )
        finally:
            self.evaluating = False
        return self.metrics

    def dataset(self, split: str) -> Any:
        """The dataset of `split`, built once."""
        if split not in self.datasets:
            self.datasets[split] = build_dataset(self.cfg.dataset, split)
            if self.model is not None:
                self._match(split, self.datasets[split])
        return self.datasets[split]

    @cached_property
    def classes(self) -> list[str] | None:
        """Names of the classes of the data by label, or None where the data have none."""
        return class_names(self.dataset("train" if self.training else self.split)).get("classes")

    @property
    def watched(self) -> dict[str, float]:
        """The earlier name of `logged`, which hooks from elsewhere may still read in this version."""
        log_renamed("watched", "logged")
        return self.logged

    @property
    def best(self) -> float | None:
        """Best score of the evaluations so far, or None."""
        return max(self.scores.values(), default=None)

    @cached_property
    def config_text(self) -> str:
        """The config as Python source, for checkpoints."""
        return config_text(self.cfg)

    @cached_property
    def video_record(self) -> dict[str, torch.Tensor]:
        """Which videos the sets built so far have, for checkpoints, see `data.video_record`."""
        return video_record(self.datasets, self.previous)

    def build_metric(self, **options: Any) -> Metric:
        """A fresh metric, as `evaluation` describes it; `options` are given where its constructor takes them."""
        cfg = self.cfg.evaluation
        return METRICS.build(cfg, **self._context(METRICS, cfg), **options)

    def check_metric(self, metric: Metric) -> None:
        """Let a metric check the names of the videos that it will be given."""
        if names := Dataset.of(innermost(self.dataset(self.split))).video_names():
            Metric.of(metric).check_videos(names)

    def _finish(self) -> None:
        """`after_train` of every hook, the last first; one that fails neither spares the others nor hides an error."""
        failures = []
        for hook in reversed(self.hooks):
            try:
                hook.after_train(self)
            except Exception as error:
                LOGGER.exception("%s failed after the training", type(hook).__name__)
                failures.append(error)
        if failures and sys.exc_info()[0] is None:
            raise failures[0]

    def _record(self, outputs: list[tuple[dict, dict]], batches: Sequence[Batch]) -> None:
        """Mean numbers over micro-batches and processes; all processes stop together on a non-finite loss."""
        losses, logged = (_over_micro_batches(parts) for parts in zip(*outputs, strict=True))
        asked = torch.tensor(float(self.stop_requested))
        device = next(iter(losses.values())).device
        numbers = torch.stack([number.to(device) for number in (*losses.values(), *logged.values(), asked)])
        *values, stopped = mean_over_ranks(numbers.cpu()).tolist()
        self.losses = dict(zip(losses, values[: len(losses)], strict=True))
        self.logged = dict(zip(logged, values[len(losses) :], strict=True))
        if stopped:
            self.stop = "a signal"
        if all(map(math.isfinite, self.losses.values())):
            self.overflows = 0
            return
        self.overflows += 1
        # the scaler leaves out a step whose gradients overflow fp16; many in a row are no overflow
        if not self.scaler.is_enabled() or self.overflows > MAX_OVERFLOWS:
            self._refuse(f"losses {self.losses}", batches)
        LOGGER.warning(
            "epoch %d, iteration %d: losses overflow fp16, step left out: %s", self.epoch, self.iteration, self.losses
        )

    def _refuse(self, what: str, batches: Sequence[Batch]) -> None:
        """Stop because of non-finite numbers, before any weight has changed."""
        videos = ", ".join(name for batch in batches for name in sample_names(batch))
        raise NonFiniteLoss(
            f"epoch {self.epoch}, iteration {self.iteration}: {what} are not finite; samples of this "
            f"process: {videos}. The weights are as before this iteration"
        )

    def _match(self, split: str, dataset: Any) -> None:
        """Both must have the same classes, and the model may refuse a dataset that it cannot work with."""
        model = Model.of(self.model)
        check_same_classes({"model": model.classes, f"dataset.{split}": class_names(dataset).get("classes")})
        model.check_dataset(dataset)

    def _context(self, kind: Kind, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """{"classes": names} for a component that asks for them and whose config leaves them to the data."""
        return {"classes": self.classes} if asks_for_classes(kind, cfg) and self.classes else {}

    def _build_loader(self) -> None:
        size = self.solver.train
        check_keys("solver.train", size, TRAIN_KEYS)
        self.loader = train_loader(
            self.dataset("train"),
            batch_size=size.batch_size,
            num_workers=size.num_workers,
            accumulate=self.accumulate,
            seed=self.seed,
            drop_last=size.get("drop_last", True),
            pin_memory=self.device.type == "cuda",
        )
        self.sampler = cast(EpochSampler, self.loader.sampler)
        self.global_batch: int = size.batch_size * self.accumulate
        self.iters_per_epoch = math.ceil(self.sampler.used / self.global_batch)

    def _build_branches(self, iters_per_epoch: int | None) -> dict[str, Branch]:
        modules, cfgs = self.model.branches(), self.cfg.branches
        for name in {*modules, *cfgs}:
            if name not in cfgs:
                raise KeyError(f"branches: {name!r}, a branch of the model, is missing from the config")
            if name not in modules:
                raise KeyError(f"branches.{name}: unknown branch of the model; {nearest(name, modules)}")
        return {name: Branch(name, module, cfgs[name], iters_per_epoch) for name, module in modules.items()}

    def _set_precision(self) -> None:
        dtype = precision(self.solver.get("amp"))
        self.autocast = autocast(self.device, dtype)
        # fp16 gradients underflow without scaling; bf16 has the range of fp32
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=dtype is torch.float16)

    def _wrap(self) -> nn.Module:
        trains = any(p.requires_grad for p in self.model.parameters())
        if world_size() == 1 or not trains:
            return self.model
        on_cuda = self.device.type == "cuda"
        ddp = DistributedDataParallel(
            self.model,
            device_ids=[self.device] if on_cuda else None,
            static_graph=self.solver.get("static_graph", False) and self.accumulate == 1,
        )
        if self.solver.get("fp16_compress", False) and on_cuda:
            from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import fp16_compress_hook

            ddp.register_comm_hook(state=None, hook=fp16_compress_hook)
        return ddp


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


PRECISIONS = {None: None, False: None, "fp16": torch.float16, True: torch.float16, "bf16": torch.bfloat16}


def precision(amp: str | bool | None) -> torch.dtype | None:
    """The dtype of `solver.amp`: "fp16" (also True), "bf16", or None (also False) for none."""
    if isinstance(amp, (dict, list)) or amp not in PRECISIONS:
        raise ValueError(f"solver.amp {amp!r} is not one of 'fp16', 'bf16', None")
    return PRECISIONS[amp]


def autocast(device: torch.device, dtype: torch.dtype | None) -> Callable[[], AbstractContextManager]:
    """A function that returns the autocast context of `dtype` on `device`, or that of none for None."""
    return partial(torch.autocast, device.type, dtype=dtype) if dtype else nullcontext


class EpochMeans:
    """Running means of numbers by name; what a checkpoint holds of them continues after a resume."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0

    def add(self, numbers: Mapping[str, float], weight: int = 1) -> None:
        """Count an iteration of `weight` micro-batches with the {name: mean over them} it gave."""
        self.count += weight
        for name, value in numbers.items():
            self.sums[name] = self.sums.get(name, 0.0) + weight * value

    def values(self) -> dict[str, float]:
        """{name: mean} so far."""
        return {name: value / self.count for name, value in self.sums.items()}

    def state_dict(self) -> dict[str, Any]:
        """As plain numbers."""
        return {"sums": dict(self.sums), "count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.sums, self.count = dict(state["sums"]), state["count"]


class MeansByKind(dict[str, EpochMeans]):
    """Means over the epoch of "losses" and "logged"; "watched" is the earlier name of the latter."""

    def __init__(self) -> None:
        super().__init__(losses=EpochMeans(), logged=EpochMeans())

    def __missing__(self, kind: str) -> EpochMeans:
        if kind != "watched":
            raise KeyError(kind)
        log_renamed("watched", "logged")
        return self["logged"]


def _over_micro_batches(parts: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """{name: 0-d mean} of {name: 0-d tensor} of every micro-batch."""
    return {name: torch.stack([part[name].detach().float() for part in parts]).mean() for name in parts[0]}
