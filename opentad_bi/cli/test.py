"""Evaluate a checkpoint: the numbers of the config's metric, and its results as files."""

import copy
import math
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..config import dataset_config
from ..contracts import Metric, ReadsFiles
from ..engine import Runner
from ..engine.branch import Branch, fill_branches
from ..engine.checkpoint import checkpoint_files
from ..engine.data import check_overlap
from ..engine.warm_start import check_same_classes, file_classes, fill
from ..errors import some
from ..ops.names import BACKWARD, FORWARD, FUSED, MERGED
from ..registry import METRICS
from ..utils.distributed import close_distributed, is_main, setup_distributed, world_size
from ..utils.files import write_json
from ..utils.logging import LOGGER, setup_logging
from ._made_of import made_of, record_of
from .arguments import ALL
from .check import check_data
from .common import config_of, make_writable, run_folder, sibling_runs

BRANCHES = {
    FORWARD: ["for_model"],
    BACKWARD: ["back_model"],
    MERGED: ["for_model", "back_model"],
    FUSED: ["for_model", "back_model", "fusion"],
}  # what a direction needs


def run(args: Namespace) -> int:
    """Evaluate; returns 0."""
    refuse_contradictions(args)
    cfg = config_of(args)
    asked = copy.deepcopy(cfg)
    check_direction(args, cfg)
    check_outputs(args)
    if args.predictions:
        setup_logging()
        if not issubclass(METRICS.find(cfg.evaluation.type), ReadsFiles):
            raise ValueError(f"--predictions: the metric {cfg.evaluation.type} reads no files; give a checkpoint")
        metric = METRICS.build(cfg.evaluation)
        show(metric, metric.compute_file(args.predictions), args)
        return 0
    dataset_config(cfg.dataset, args.split)  # a split that is misspelt should show before the model is built
    if args.direction != ALL:
        cfg.model.directions = [FORWARD, BACKWARD] if args.direction == MERGED else [args.direction]
    device = setup_distributed(args.device)
    try:
        folder = run_folder(cfg, world_size(), args.id)
        make_writable(folder, "--work-dir")
        setup_logging(folder / "test_log.txt")
        if is_main() and not args.skip_check:
            check_data(cfg, [args.split])
        cfg.solver.ema = {"type": "NoAverage"}
        runner = Runner(cfg, work_dir=folder, device=device, seed=args.seed, training=False, split=args.split)
        metric = Unscored(runner.build_metric(scored=False)) if args.not_eval else runner.build_metric()
        runner.check_metric(metric)
        spec, content = load_model(runner, args, folder, Metric.of(metric).classes)
        if spec is not None and content is not None:
            dataset = runner.dataset(args.split)
            check_overlap(content, spec, dataset, split=args.split, allow=args.allow_overlap)
        metrics = runner.evaluate(metric=metric)
        if is_main():
            if not args.not_eval:
                show(metric, select(metrics, args.direction), args)
                if args.out:
                    write_json(record_of(args.out), made_of(asked, runner.datasets, spec))
            metric.save(Path(args.save_dir or folder))
        return 0
    finally:
        close_distributed()


class NoNumbers(Metric):
    """A metric that takes in results but computes no numbers, so it needs no ground truth."""

    def compute(self) -> dict:
        """No numbers."""
        return {}

    def score(self, metrics: dict) -> float:
        """None, as a number."""
        return math.nan

    def table(self, metrics: dict) -> str:
        """No text."""
        return ""


class Unscored(NoNumbers):
    """It saves the results as `metric` does."""

    def __init__(self, metric: Any) -> None:
        self.metric, self.classes = metric, Metric.of(metric).classes

    def update(self, results: list) -> None:
        """Take in results."""
        self.metric.update(results)

    def save(self, folder: Path) -> None:
        """Write the results to a folder."""
        self.metric.save(folder)


def refuse_contradictions(args: Namespace) -> None:
    """ValueError for options that exclude each other."""
    refused = {
        "--checkpoint and --for-resume or --back-resume": args.checkpoint and (args.for_resume or args.back_resume),
        "--predictions and --direction": args.predictions and args.direction != ALL,
        "--predictions and --split": args.predictions and args.split != "test",
        "--predictions and --not-eval": args.predictions and args.not_eval,
        "--out, which holds numbers, and --not-eval": args.out and args.not_eval,
    }
    for what, given in refused.items():
        if given:
            raise ValueError(f"{what} exclude each other")


def check_direction(args: Namespace, cfg: Config) -> None:
    """ValueError for a direction that the config has no networks for."""
    missing = [name for name in BRANCHES.get(args.direction, ()) if name not in cfg.branches]
    if missing:
        raise ValueError(
            f"--direction {args.direction}: {args.config} has no {' and no '.join(missing)}, only "
            f"{', '.join(cfg.branches)}; choose another direction, or leave --direction out"
        )


def check_outputs(args: Namespace) -> None:
    """Make sure that what is asked for can be written, before the work and not after it."""
    if args.out:
        make_writable(Path(args.out).parent, "--out")
    if args.out and Path(args.out).is_dir():
        raise ValueError(f"--out {args.out} is a folder; a file is expected")
    if args.save_dir:
        make_writable(args.save_dir, "--save-dir")


def find_checkpoint(folder: Path) -> Path:
    """best.pth of the run in `folder`, else its newest epoch; else that of the run with other processes."""
    kept = folder / "checkpoint"
    found = _best_or_newest(kept)
    if found:
        return found
    others = [path for run in sibling_runs(folder) if (path := _best_or_newest(run / "checkpoint"))]
    if len(others) == 1:
        LOGGER.info("no checkpoint in %s; taking %s, of another number of processes", kept, others[0])
        return others[0]
    more = f" (there are {', '.join(map(str, others))})" if others else ""
    raise FileNotFoundError(f"no checkpoint in {kept}; name one by --checkpoint{more}")


def _best_or_newest(kept: Path) -> Path | None:
    best = kept / "best.pth"
    newest = checkpoint_files(kept)[-1:]
    return best if best.is_file() else newest[0] if newest else None


def load_model(
    runner: Runner, args: Namespace, folder: Path, classes: Sequence[str] | None = None
) -> tuple[str | Path | None, dict | None]:
    """Fill the model from --checkpoint, or each network that is needed from --for-resume / --back-resume.

    Args:
        classes: names by label that the weights must be of, where they say theirs.
    Returns:
        the file of the whole model and all that it holds; (None, None) where each network has its own.
    Raises:
        ValueError: a network that is needed has no weights, or they are of other classes.
    """
    known = {"evaluation": classes}
    if args.checkpoint is None and (args.for_resume or args.back_resume):
        fill_branches(needed_branches(runner, vars(args).get("direction", MERGED)), known)
        return None, None
    spec = args.checkpoint or find_checkpoint(folder)
    content = fill(runner.model, spec, name="evaluated")
    check_same_classes({**known, str(spec): file_classes(content, runner.model)})
    learned = file_classes(content)
    if learned and classes and learned != list(classes):  # allowed where weights belong to no classes
        LOGGER.warning(
            "%s was learned on %d classes; evaluated are %d: %s", spec, len(learned), len(classes), some(list(classes))
        )
    return spec, content


def needed_branches(runner: Runner, direction: str) -> list[Branch]:
    """The branches behind a direction; ValueError for networks among them that would stay random."""
    needed = [runner.branches[name] for name in BRANCHES.get(direction, runner.branches)]
    bare = [branch.name for branch in needed if not branch.cfg.get("load_from")]
    networks = [name for name in bare if name != "fusion"]
    if networks:
        raise ValueError(
            f"there are no weights for {' and '.join(networks)}, so the results would be those of a random network; "
            "give both --for-resume and --back-resume, or --checkpoint of the whole model"
        )
    if bare:
        LOGGER.info("fusion: no weights are given, so it is as it starts, the exact average of both networks")
    return needed


def select(metrics: dict[str, Any], direction: str) -> dict[str, Any]:
    """The numbers of one direction, or all."""
    if direction == ALL:
        return metrics
    if direction not in metrics:
        raise ValueError(f"--direction {direction}: there are only results for {', '.join(metrics)}")
    return {direction: metrics[direction]}


def show(metric: Any, metrics: dict[str, Any], args: Namespace) -> None:
    """Print the tables and write --out."""
    table = metric.table(metrics)
    LOGGER.info("\n%s", table)
    if args.per_class:
        parts = [part for part in metric.per_class_table().split("\n\n") if part not in table]  # shown already
        LOGGER.info("\n%s", "\n\n".join(parts))
    if args.out:
        write_json(args.out, metrics)
