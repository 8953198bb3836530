"""Mix several trained models: the weighted mean of the probabilities that they give the classes of every video."""

import math
from argparse import Namespace
from collections import namedtuple
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from ..config import config_of_data, load_config, parse_overrides
from ..engine import Runner
from ..engine.data import check_overlap
from ..engine.hooks.artifacts import CONFIG
from ..engine.warm_start import FILE, check_same_classes, file_classes, fill
from ..evaluation.common.tables import numbers_table
from ..ops.records import ClassScores
from ..registry import METRICS
from ..utils.distributed import close_distributed, is_main, setup_distributed
from ..utils.files import write_json
from ..utils.logging import LOGGER, setup_logging
from .common import make_writable
from .test import NoNumbers, find_checkpoint
from .train import RESOLVED

MIXTURE = "mixture"
Member = namedtuple("Member", "name config checkpoint")


def run(args: Namespace) -> int:
    """Let every member predict, mix, and write the numbers; returns 0."""
    weights = normalised(args.weights, len(args.member))
    members = [read_member(word) for word in args.member]
    out = Path(args.out)
    make_writable(out, "--out")
    device = setup_distributed(args.device)
    try:
        setup_logging(out / "log.txt")
        heard = {}
        for i, member in enumerate(members):
            LOGGER.info("member %d: %s, %s", i, member.name, member.checkpoint)
            heard[f"{i}: {member.name}"] = listen(member, args, device)
        if is_main():
            tell(out, heard, weights)
        return 0
    finally:
        close_distributed()


class Heard(NoNumbers):
    """It keeps the results of a network.

    Args:
        cfg: config of the metric that the network is evaluated by.
        classes: names by label, or None.
    """

    def __init__(self, cfg: Config, classes: list[str] | None) -> None:
        self.cfg, self.classes = cfg, classes
        self.results: list = []

    def update(self, results: list) -> None:
        """Keep a list of results."""
        self.results += results

    def save(self, folder: Path) -> None:
        """Nothing to write."""

    def metric(self, results: list) -> Any:
        """The metric that `cfg` describes, of these results."""
        metric = METRICS.build(self.cfg, **({"classes": self.classes} if self.classes else {}))
        metric.update(results)
        return metric


def normalised(weights: list[float] | None, count: int) -> list[float]:
    """`count` weights whose sum is 1; equal ones for None.

    Raises:
        ValueError: another number of them, one that is negative or not finite, or all are 0.
    """
    weights = [1.0] * count if weights is None else weights
    if len(weights) != count:
        raise ValueError(f"--weights: {len(weights)} of them for {count} members; give one each")
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not sum(weights):
        raise ValueError(
            f"--weights {' '.join(map(str, weights))}: shares of at least 0 are expected, not all of them 0"
        )
    return [weight / sum(weights) for weight in weights]


def read_member(word: str) -> Member:
    """The `Member` that a word of the command line names; FileNotFoundError for one that is not there."""
    folder = Path(word)
    if (folder / FILE).is_file() and (folder / CONFIG).is_file():
        return Member(word, folder / CONFIG, folder / FILE)
    if (folder / RESOLVED).is_file():
        return Member(word, folder / RESOLVED, find_checkpoint(folder))
    config, sep, checkpoint = word.rpartition("=")
    if not sep:
        raise FileNotFoundError(
            f"--member {word}: no folder with {FILE} and {CONFIG}, nor one with {RESOLVED}; a config goes "
            "with its checkpoint, CONFIG=CHECKPOINT"
        )
    return Member(config, Path(config), Path(checkpoint))


def listen(member: Member, args: Namespace, device: torch.device) -> Heard:
    """What a member says of every video: a `Heard`, with its results on the main process."""
    read = config_of_data if member.config.name == CONFIG else load_config  # what lies beside weights is not run
    cfg = read(member.config, parse_overrides(args.cfg_options))
    cfg.solver.ema = {"type": "NoAverage"}
    runner = Runner(cfg, work_dir=Path(args.out), device=device, seed=args.seed, training=False, split=args.split)
    content, checkpoint = fill(runner.model, member.checkpoint), str(member.checkpoint)
    check_same_classes({"the config": runner.classes, checkpoint: file_classes(content, runner.model)})
    check_overlap(content, checkpoint, runner.dataset(args.split), split=args.split)
    heard = Heard(cfg.evaluation, runner.classes)
    runner.evaluate(metric=heard)
    return heard


def mix(heard: Mapping[str, Heard], weights: list[float]) -> list[ClassScores]:
    """Weighted means of probabilities.

    Args:
        heard: {name: Heard} of members.
        weights: one each, their sum is 1.
    Returns:
        list of `ops.records.ClassScores`, in the order of the first member's.
    Raises:
        ValueError: members differ in classes, videos, their order or labels.
    """
    lists = [member.results for member in heard.values()]
    (first, *others), (own, *names) = lists, heard
    for name, other in zip(names, others, strict=True):
        if heard[name].classes != heard[own].classes:
            raise ValueError(
                f"member {own} has the classes {heard[own].classes}, but {name} {heard[name].classes}; members must "
                "have the same classes in the same order"
            )
        if len(other) != len(first):
            raise ValueError(f"member {own} saw {len(first)} videos, but {name} {len(other)}; evaluate the same set")
        for a, b in zip(first, other, strict=True):
            if (a.meta.video, a.meta.start, a.label) != (b.meta.video, b.meta.start, b.label):
                raise ValueError(
                    f"member {own} saw {a.meta.video!r} with label {a.label} where {name} saw {b.meta.video!r} "
                    f"with label {b.label}; evaluate the same videos in the same order"
                )
    share = np.asarray(weights)
    return [
        replace(
            row[0], probabilities=np.einsum("m,mc->c", share, np.stack([r.probabilities for r in row]).astype(float))
        )
        for row in zip(*lists, strict=True)
    ]


def tell(out: Path, heard: Mapping[str, Heard], weights: list[float]) -> None:
    """Write mixture.json and the files of the mixture's metric, and show the numbers of all."""
    first = next(iter(heard.values()))
    metrics = {name: member.metric(member.results) for name, member in heard.items()}
    metrics[MIXTURE] = first.metric(mix(heard, weights))
    numbers = {name: metric.compute() for name, metric in metrics.items()}
    mixed = numbers.pop(MIXTURE)
    members = [{"member": n, "weight": w, "numbers": numbers[n]} for n, w in zip(heard, weights, strict=True)]
    metrics[MIXTURE].save(out)
    write_json(out / "mixture.json", {"members": members, MIXTURE: mixed})
    rows = [((name, f"{weight:.3f}"), _first(numbers[name])) for name, weight in zip(heard, weights, strict=True)]
    rows.append(((MIXTURE, ""), _first(mixed)))
    LOGGER.info("%s\n%s", out / "mixture.json", numbers_table(("member", "weight"), rows))


def _first(numbers: dict[str, dict]) -> dict:
    """The numbers of the one network."""
    return next(iter(numbers.values()))
