"""Is all ready for a training?  Checks of the data, the schedule, the disk, and a trial of the model itself."""

import math
import shutil
from argparse import Namespace
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from ..config import dataset_config, load_config, parse_overrides
from ..contracts import Dataset, Model, Network, innermost, losses_and_logged
from ..datasets.common.check import unwrap
from ..datasets.detection.check import check_dataset, own_results
from ..datasets.video_anomaly.captions import caption_files
from ..engine.branch import apply_trainable, train_mode
from ..engine.checkpoint import class_names
from ..engine.data import build_dataset, to_device
from ..engine.runner import autocast, precision
from ..engine.warm_start import asks_for_classes
from ..registry import MODELS, SCHEDULERS
from ..utils.checks import ERROR, CheckResult, attempt, has_errors, judge
from ..utils.logging import quietly
from .check import check_reach

GIB = 2**30
CAPTIONED = "RegionVideoDataset"
SPARE = 2 * GIB  # of disk beside the checkpoints
TRIAL_FRAMES, TRIAL_SAMPLES, LOOKED_AT = 8, 4, 16


def ready(args: Namespace) -> list[CheckResult]:
    """The results of all checks of the config that parsed `args` name."""
    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    torch.manual_seed(args.seed)
    device = torch.device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return readiness(cfg, device, full=not args.fast, workers=args.workers)


def readiness(cfg: Config, device: torch.device, *, full: bool = True, workers: int = 4) -> list[CheckResult]:
    """The results of all checks of a config, in the order in which things are needed.

    Args:
        device: `torch.device` of the trial.
        full: decode frames and run a step of the model too.
        workers: files opened at the same time.
    """
    found = check_data_sets(cfg.dataset, full=full, workers=workers)
    if not has_errors(found):
        found += [replace(result, name="train: reach") for result in attempt("reach", lambda: check_reach(cfg))]
    found += attempt("model", lambda: check_model(cfg))
    train: dict[str, Any] = {}
    if not has_errors(found):
        found += attempt("data", lambda: _build_data(cfg, train))
    if "data" in train:
        found += attempt("steps", lambda: check_steps(cfg, len(train["data"])))
    parameters = 0
    if full and "data" in train:
        trial = Trial(cfg, device)
        found += trial.run()
        parameters = trial.parameters
    return [*found, *attempt("disk", lambda: check_disk(cfg, parameters))]


def check_data_sets(splits: dict[str, Any], *, full: bool = True, workers: int = 4) -> list[CheckResult]:
    """Check every split of a config's `dataset`."""
    found = []
    for split in [name for name in splits if name != "wrap"]:
        inner, _ = unwrap(dataset_config(splits, split))
        if absent := missing_captions(inner.get("ann_files") if inner["type"] == CAPTIONED else None):
            found.append(CheckResult(f"{split}: captions", ERROR, absent, "put it there, or name another by ann_files"))
            continue
        with quietly():
            own = own_results(inner, full=full, workers=workers)
        if own is None:
            own = check_dataset(dataset_config(splits, split), full=full, workers=workers)
            own = own or [judge("data", "nothing is wrong")]
        found += [replace(result, name=f"{split}: {result.name}") for result in own]
    return found


def missing_captions(sources: Any) -> str:
    """What is expected where the first caption file that is not there should be; "" if all are there, or none asked."""
    try:
        absent = [path for path in caption_files(sources) if not path.is_file()] if sources else []
    except (FileNotFoundError, ValueError) as error:
        return str(error)
    expected = "videos with a caption each and regions with keyframed boxes, as JSON (docs/fgclip.md has the forms)"
    return f"caption file {absent[0]} does not exist; expected there: {expected}" if absent else ""


def check_model(cfg: Config) -> list[CheckResult]:
    """What the model's class says of a config, before it is built."""
    arguments = dict(cfg.model)
    cls = MODELS.find(arguments.pop("type"))
    return Model.of(cls).verdicts(arguments, batch_size=cfg.solver.train.batch_size)


def check_steps(cfg: Config, samples: int) -> CheckResult:
    """How long the training is, and when it saves."""
    batch = cfg.solver.train.batch_size * cfg.solver.get("accumulate", 1)
    per_epoch, epochs = samples // batch, cfg.workflow.end_epoch
    hint = "a smaller solver.train.batch_size"
    if not per_epoch:
        return CheckResult("steps", ERROR, f"{samples} samples make no batch of {batch}", hint)
    warm = {name: _warmup(branch, per_epoch) for name, branch in cfg.branches.items()}
    every = cfg.workflow.get("checkpoint_interval", 1)
    saved = -(-epochs // every)
    kept = cfg.workflow.get("keep_last")
    told = (
        f"{samples} samples in batches of {batch}: {per_epoch} steps an epoch, {per_epoch * epochs} in all, warm-up of "
        f"{' and '.join(f'{count} ({name})' for name, count in warm.items())}; {saved} checkpoints, one every "
        f"{per_epoch * every} steps, {'all are' if kept is None else f'the last {kept}'} kept"
    )
    few = "the training has fewer than 10 steps" if per_epoch * epochs < 10 else ""
    return judge("steps", told, warning=few, hint="good for a trial alone; a smaller batch, or more epochs")


def check_disk(cfg: Config, parameters: int) -> CheckResult:
    """Is there room for the checkpoints?  `parameters`: of the model, 0 where that was not built."""
    place = Path(cfg.work_dir).absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    kept = cfg.workflow.get("keep_last") or cfg.workflow.end_epoch
    needed = (kept + 2) * 12 * parameters  # the best and one being written; weights and two moments, in fp32
    told = f"{free / GIB:.1f} GiB are free where {cfg.work_dir} is"
    told += f", {kept + 2} checkpoints take up to {needed / GIB:.1f} GiB" if parameters else ""
    lacking = "that is too little" if free < needed + SPARE else ""
    return judge("disk", told, error=lacking, hint="another --work-dir, or a smaller workflow.keep_last")


def _build_data(cfg: Config, train: dict[str, Any]) -> CheckResult:
    with quietly():
        train["data"] = build_dataset(cfg.dataset, "train")
    return judge("data", f"{len(train['data'])} samples to learn from")


def _warmup(branch: Any, per_epoch: int) -> int:
    """Iterations of warm-up of a branch."""
    if not branch.get("scheduler"):
        return 0
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = SCHEDULERS.build(dict(branch.scheduler), optimizer=optimizer, iters_per_epoch=per_epoch)
    return int(vars(schedule).get("warmup", 0))


class Trial:
    """The model of a config, and one step of it on a few short samples.

    Args:
        cfg: the config, whose data are in order.
        device: where to run.
    Attributes:
        parameters: numbers in the model, 0 before it is built.
    """

    def __init__(self, cfg: Config, device: torch.device) -> None:
        self.cfg, self.device, self.parameters = cfg, device, 0
        self.model: Any = None
        self.data: Any = None

    def run(self) -> list[CheckResult]:
        """Weights, what the model checks itself, a step and its memory; weights alone where it is not built."""
        found = attempt("weights", self._build, hint="name other weights by model.clip.pretrained, see the message")
        if self.model is None:
            return found
        self.model.eval()
        found += self.seen.check_trial(innermost(self.data))
        train_mode(self.model)
        return [*found, *attempt("step", self._step), *attempt("memory", self._memory)]

    def _build(self):
        with quietly():
            self.data = build_dataset(self._short(), "train")
        context = class_names(self.data) if asks_for_classes(MODELS, self.cfg.model) else {}
        model = MODELS.build(self.cfg.model, **context).to(self.device)
        for name, module in model.branches().items():
            apply_trainable(module, self.cfg.branches[name].get("trainable"))
        self.model, self.seen, self.parameters = model, Model.of(model), sum(p.numel() for p in model.parameters())
        told = f"{self.cfg.model.type} with {self.parameters / 1e6:.1f} M parameters"
        if any(Network.of(module).comes_trained for module in model.branches().values()):
            return judge("weights", f"{told}; all tensors loaded")
        named = [name for name, branch in self.cfg.branches.items() if branch.get("load_from")]
        random = "" if named else "all weights are random"
        return judge("weights", told, warning=random, hint="name weights, such as by model.clip.pretrained")

    def _short(self):
        """`dataset` with videos of a few frames."""
        splits = self.cfg.dataset.to_dict()
        if "frames" in splits["train"]:
            splits["train"]["frames"] = min(splits["train"]["frames"], TRIAL_FRAMES)
        return splits

    def _step(self):
        """Losses are finite, and each of them has a gradient in every branch."""
        batch = to_device(self.data.collate(self._samples()), self.device)
        with autocast(self.device, precision(self.cfg.solver.get("amp")))():
            losses, _ = losses_and_logged(self.model(batch))
        values = {name: loss.item() for name, loss in losses.items()}
        told = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        if not all(map(math.isfinite, values.values())):
            return CheckResult("step", ERROR, f"losses are not finite: {told}", "solver.amp=None; look at the data")
        norms = {name: self._norms(loss) for name, loss in losses.items()}
        branches = list(self.model.branches())
        strange = [f"{b} of {name}" for name in norms for b in branches if not math.isfinite(norms[name][b])]
        dead = [b for b in branches if self._trained(b) and not sum(norms[name][b] for name in norms)]
        idle = [name for name in norms if not any(norms[name].values())]
        told += "; gradients " + ", ".join(f"{b} {sum(norms[n][b] for n in norms):.3g}" for b in branches)
        error = f"gradients are not finite: {', '.join(strange)}" if strange else ""
        error = error or (f"no gradient reaches {', '.join(dead)}" if dead and not self.seen.fills_up() else "")
        warning = f"{', '.join(idle)} gives no gradient here" if idle else ""
        hint = "a batch without distinct captions, or distinct regions, has nothing to learn from"
        if self.seen.fills_up():
            hint += "; the queue, which is empty in this trial, will give it negatives"
        return judge("step", told, error=error, warning=warning, hint=hint)

    def _samples(self):
        """A few samples of the first batches, those with the most regions first where there are any."""
        generator, unit = torch.Generator().manual_seed(0), self.cfg.solver.train.batch_size
        order = Dataset.of(self.data).epoch_order(generator, unit) or range(len(self.data))
        samples = [self.data[index, 0] for index in islice(order, LOOKED_AT)]
        if isinstance(samples[0], dict) and "region_captions" in samples[0]:
            samples.sort(key=lambda sample: -len(sample["region_captions"]))
        return samples[: min(TRIAL_SAMPLES, self.cfg.solver.train.batch_size)]

    def _norms(self, loss):
        """{branch: norm of its gradient of one loss}"""
        found = {}
        for name in self.model.branches():
            own = self._trained(name)
            some = own and loss.requires_grad
            grads = torch.autograd.grad(loss, own, retain_graph=True, allow_unused=True) if some else []
            found[name] = math.sqrt(sum(float(g.float().square().sum()) for g in grads if g is not None))
        return found

    def _trained(self, branch):
        return [p for p in self.model.branches()[branch].parameters() if p.requires_grad]

    def _memory(self):
        frames, batch = self.cfg.dataset.train.get("frames", 1), self.cfg.solver.train.batch_size
        sizes = self.seen.training_bytes(batch, frames, bool(self.cfg.solver.get("amp")))
        if not sizes:
            return None
        total = sum(sizes.values())
        told = f"a step takes about {total / GIB:.1f} GiB: "
        told += ", ".join(f"{name} {size / GIB:.2f}" for name, size in sizes.items())
        loaded = sizes["inputs"] * 2 * max(1, self.cfg.solver.train.num_workers)
        told += f"; the loader holds up to {loaded / GIB:.2f} GiB of frames"
        if self.device.type != "cuda":
            return judge("memory", told)
        free = torch.cuda.mem_get_info(self.device)[0]
        lacking = f"the device has {free / GIB:.1f} GiB free" if free < total else ""
        return judge("memory", told, error=lacking, hint="model.recompute='video', model.frame_chunk=64, fewer frames")
