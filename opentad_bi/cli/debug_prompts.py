"""Can prompts be learned on these features?  Data, prompts, text features and gradients, one line each."""

import itertools
import math
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from ..config import dataset_config, find_config, load_config, parse_overrides
from ..contracts import total_loss
from ..datasets.detection.check import check_dataset
from ..engine import Runner
from ..engine.branch import train_mode
from ..engine.data import to_device
from ..evaluation.viz.overlay import draw_heat_map
from ..models.classifiers.clip_classifier import ALIKE, FLAT
from ..registry import MODELS
from ..utils.checks import ERROR, OK, WARNING, CheckResult, has_errors, judge, result_table
from ..utils.distributed import setup_distributed
from ..utils.files import write_json
from ..utils.logging import LOGGER, quietly, setup_logging
from .aliases.core import typed_flags
from .aliases.custom_prompts import DATA_FLAGS, RECIPE, recipe
from .common import make_writable

KIND = "VideoFeatureCLIP"  # and what is derived from it
RATIO = 10  # of the samples of two classes, above which training should balance them
CLOSE = 0.995  # cosine of text features that are hard to tell apart


def run(args: Namespace) -> int:
    """Look at everything; returns 0, or 1 if a line is an error."""
    if args.steps < 1:
        raise ValueError(f"--steps {args.steps} must be at least 1")
    cfg = config_of(args)
    if not issubclass(MODELS.find(cfg.model.type), MODELS.find(KIND)):
        raise ValueError(
            f"{args.config} has the model {cfg.model.type}; this check is for prompts that are learned on features "
            f"({KIND})"
        )
    out = Path(args.out)
    make_writable(out, "--out")
    device = setup_distributed(args.device)
    setup_logging()
    cfg.branches.model.scheduler = None  # a rate that warms up would hide whether the loss moves
    cfg.workflow.val_eval_interval = 0
    runner = Runner(cfg, work_dir=out, device=device, seed=args.seed)
    results = [*look_at_check(cfg), *look_at_data(runner), *look_at_prompts(runner.model, out)]
    results += look_at_steps(runner, args.steps)
    LOGGER.info("\n%s", result_table(results))
    write_json(out / "debug_prompts.json", [asdict(result) for result in results])
    return int(has_errors(results))


def config_of(args: Namespace) -> Config:
    """The config that is named, or that of the recipe with the options typed."""
    typed = typed_flags(args, DATA_FLAGS)
    if bool(args.config) == ("feature_dir" in typed):
        raise ValueError("give either a CONFIG, or --feature-dir and --val-feature-dir with a file of prompts")
    options = parse_overrides(args.cfg_options)
    if args.config:
        if typed:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in typed)
            raise ValueError(f"{names} would have no effect beside a CONFIG; change it by --cfg-options")
        return load_config(args.config, options)
    args.config = str(find_config(RECIPE))
    keys = recipe(typed, args.config)
    keys.setdefault("val_feature_dir", typed["feature_dir"])  # nothing is validated here
    return load_config(args.config, {**keys, **options})


def look_at_check(cfg: Config) -> list[CheckResult]:
    """What the check of the data says, as at the start of training."""
    with quietly():
        results = check_dataset(dataset_config(cfg.dataset, "train"), full=False)
    return results or [judge("data", "nothing is wrong")]


def look_at_data(runner: Runner) -> Iterator[CheckResult]:
    """Samples per class, and the shape of a batch."""
    dataset, model = runner.dataset("train"), runner.model
    counts = np.bincount(dataset.labels, minlength=len(dataset.classes))
    text = ", ".join(f"{name} {count}" for name, count in zip(dataset.classes, counts, strict=True))
    ratio = counts.max() / max(counts.min(), 1)
    even = OK if ratio <= RATIO or dataset.sample_weights is not None or dataset.class_weights is not None else WARNING
    yield CheckResult("samples per class", OK if counts.min() else ERROR, text)
    yield CheckResult("largest class : smallest", even, f"{ratio:.1f} (balanced=True evens it out)")
    shape = tuple(next(iter(runner.loader))["inputs"].shape)
    width = model.text_encoder.embed_dim
    yield CheckResult("batch", OK if shape[-1] == width else ERROR, f"inputs {shape}, the tower compares {width}")
    made = (dataset.source or {}).get("model")
    yield CheckResult("features made by", OK if made else WARNING, made or "not known; it has to be " + model.clip_name)


@torch.no_grad()
def look_at_prompts(model: Any, out: Path) -> Iterator[CheckResult]:
    """Lengths against the budget, rows that differ, and how alike the text features are."""
    learner, budget = model.prompt_learner, model.text_encoder.context_length
    prompts, ends = learner(model.text_encoder.token_embedding)
    longest = int(ends.max()) + 1
    yield CheckResult("prompt tokens", OK if longest <= budget else ERROR, f"at most {longest} of {budget}")
    different = len(torch.unique(prompts.flatten(1), dim=0))
    yield CheckResult(
        "prompts that differ", OK if different == len(prompts) else ERROR, f"{different} of {len(prompts)}"
    )
    features = torch.nn.functional.normalize(model.text_features().float(), dim=1)
    cosines = (features @ features.T).cpu().numpy()
    texts = dict(learner.named_buffers())  # a class may have several texts
    owner = texts.get("owner", torch.arange(len(features))).cpu().numpy()
    names = [model.classes[label] for label in owner]
    apart = np.where(owner[:, None] == owner, -np.inf, cosines)
    first, second = np.unravel_index(apart.argmax(), apart.shape)
    top = apart.max()
    level = ERROR if top > ALIKE else WARNING if top > CLOSE else OK
    pair = f"{names[first]} and {names[second]}"
    yield CheckResult("cosine of text features", level, f"at most {top:.4f} ({pair}), {out / 'text_cosines.png'}")
    draw_heat_map(out / "text_cosines.png", cosines, names, title="cosine of the classes' text features")


def look_at_steps(runner: Runner, steps: int) -> Iterator[CheckResult]:
    """Loss and gradients over some optimizer steps; the weights of the run change, and are not kept."""
    model, (branch,) = runner.model, runner.branches.values()
    train_mode(model)
    forever = itertools.chain.from_iterable(itertools.repeat(runner.loader))
    batches = [to_device(batch, runner.device) for batch, _ in zip(forever, range(steps), strict=False)]
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    before = _loss(model, batches)
    norms: dict[str, list[float]] = {name: [] for name in trained}
    chance = math.log(len(model.classes))
    yield CheckResult("loss at the start", OK, f"{before:.4f} (chance level: {chance:.4f})")
    for batch in batches:
        runner.scaler.scale(total_loss(model(batch))).backward()
        scale = runner.scaler.get_scale()
        for name, parameter in trained.items():
            norms[name].append(0.0 if parameter.grad is None else float(parameter.grad.norm()) / scale)
        branch.clip(runner.scaler)
        branch.step(runner.scaler)
        runner.scaler.update()
    for name, values in norms.items():
        text = f"{min(values):.2e} to {max(values):.2e} over {steps} steps"
        yield CheckResult(f"gradient of {name}", OK if max(values) > FLAT else ERROR, text)
    after = _loss(model, batches)
    level = OK if after < before - 1e-6 else ERROR if after == before else WARNING
    yield CheckResult("loss after the steps", level, f"{after:.4f}, {after - before:+.4f} on the same batches")


@torch.no_grad()
def _loss(model, batches):
    """Mean loss of some batches."""
    return sum(float(total_loss(model(batch))) for batch in batches) / len(batches)
