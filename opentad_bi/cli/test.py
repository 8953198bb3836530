"""Evaluate a checkpoint: mAP per threshold and direction, and the detections as a file."""

import argparse
import sys
from pathlib import Path

from ..engine import Runner
from ..engine.checkpoint import checkpoint_files
from ..engine.weights import load_weights, read_weights
from ..registry import METRICS
from ..utils.distributed import close_distributed, is_main, setup_distributed, world_size
from ..utils.files import write_json
from ..utils.logging import LOGGER, setup_logging
from .common import add_run_arguments, config_of, make_writable, refuse_joined_flags, run_command, run_folder

DIRECTIONS = ("for", "back", "merged", "all")


def parse(argv):
    """Arguments of the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_run_arguments(parser)
    parser.add_argument("--checkpoint", metavar="P", help="PATH or PATH:KEY; the default is the run's best.pth")
    parser.add_argument("--direction", choices=DIRECTIONS, default="all", help="which results of a pair (all)")
    parser.add_argument("--per_class", action="store_true", help="also print the AP of every class")
    parser.add_argument("--out", metavar="JSON", help="write the numbers to this file")
    parser.add_argument("--save_dir", metavar="DIR", help="folder of result_detection.json (the run's work folder)")
    parser.add_argument("--not_eval", action="store_true", help="write the detections only")
    parser.add_argument("--predictions", metavar="JSON", help="evaluate these saved detections, without the model")
    return parser.parse_args(argv)


def find_checkpoint(folder):
    """best.pth of the run in `folder`, else its newest epoch."""
    kept = folder / "checkpoint"
    best = kept / "best.pth"
    newest = checkpoint_files(kept)[-1:] if kept.is_dir() else []
    if best.is_file():
        return best
    if newest:
        return newest[0]
    raise FileNotFoundError(f"no checkpoint in {kept}; name one by --checkpoint")


def load_model(runner, args, folder):
    """Fill the model from --checkpoint, or each branch from --for_resume / --back_resume."""
    if args.checkpoint is None and (args.for_resume or args.back_resume):
        for branch in runner.branches.values():
            branch.load_initial_weights()
        return
    spec = args.checkpoint or find_checkpoint(folder)
    state, key = read_weights(spec)
    taken = load_weights(runner.model, state, what=spec)
    LOGGER.info("%d tensors from %s (%s)", taken, spec, key or "plain state dict")


def select(metrics, direction):
    """The numbers of one direction, or all."""
    if direction == "all":
        return metrics
    if direction not in metrics:
        raise ValueError(f"--direction {direction}: there are only results for {', '.join(metrics)}")
    return {direction: metrics[direction]}


def main(argv=None):
    """Evaluate; returns the exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    refuse_joined_flags(argv, f"python {sys.argv[0]}")
    args = parse(argv)
    cfg = config_of(args)
    if args.direction in ("for", "back") and len(cfg.branches) > 1:
        cfg.model.directions = [args.direction]
    if args.predictions:
        setup_logging()
        metric = METRICS.build(cfg.evaluation)
        show(metric, metric.compute_file(args.predictions), args)
        return 0
    device = setup_distributed(args.device)
    try:
        folder = run_folder(cfg, world_size(), args.id)
        make_writable(folder)
        setup_logging(folder / "test_log.txt")
        cfg.solver.ema = {"type": "NoAverage"}
        runner = Runner(cfg, work_dir=folder, device=device, seed=args.seed, training=False)
        load_model(runner, args, folder)
        metrics = runner.evaluate()
        if is_main():
            report(runner.metric, metrics, args, folder)
        return 0
    finally:
        close_distributed()


def report(metric, metrics, args, folder):
    """Write the detections; show the numbers unless they are not wanted."""
    metric.save(Path(args.save_dir or folder))
    if not args.not_eval:
        show(metric, select(metrics, args.direction), args)


def show(metric, metrics, args):
    """Print the tables and write --out."""
    LOGGER.info("\n%s", metric.table(metrics))
    if args.per_class:
        LOGGER.info("\n%s", metric.per_class_table())
    if args.out:
        write_json(args.out, metrics)


def command():
    """Entry point of the shells."""
    sys.exit(run_command(main))
