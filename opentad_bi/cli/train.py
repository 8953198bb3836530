"""Train whatever a config describes: one network, or a pair."""

import argparse
import shutil
import sys
from pathlib import Path

import torch

from ..engine import Runner
from ..engine.checkpoint import checkpoint_files, load_checkpoint, load_latest
from ..utils.distributed import barrier, close_distributed, is_main, setup_distributed, world_size
from ..utils.logging import LOGGER, setup_logging
from .common import add_run_arguments, config_of, make_writable, refuse_joined_flags, run_command, run_folder


def parse(argv):
    """Arguments of the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_run_arguments(parser)
    parser.add_argument("--resume", metavar="PATH|auto", help="go on with a run; auto: its newest whole checkpoint")
    parser.add_argument("--not_eval", action="store_true", help="do not evaluate during training")
    parser.add_argument("--disable_deterministic", action="store_true", help="allow faster kernels that vary")
    parser.add_argument("--skip_check", action="store_true", help="do not check the dataset first")
    return parser.parse_args(argv)


def prepare_folder(folder, resume):
    """Create the work folder; refuse to start a new run over the checkpoints of a former one."""
    make_writable(folder)
    (folder / "checkpoint").mkdir(exist_ok=True)
    if not resume and checkpoint_files(folder / "checkpoint"):
        raise ValueError(
            f"{folder} holds checkpoints of a former run; go on with it (--resume auto), choose another --id or "
            "--work_dir, or move it away"
        )


def find_resume(resume, folder):
    """(path, checkpoint) to go on from, or None: `auto` takes the newest in `folder`, and starts anew without any."""
    if resume is None:
        return None
    if resume != "auto":
        return resume, load_checkpoint(resume)
    path, state = load_latest(folder / "checkpoint")
    if path is None:
        LOGGER.info("--resume auto: no checkpoint in %s, starting from the beginning", folder)
        return None
    return path, state


def check_data(cfg):
    """Log what the fast check finds in the training and test sets; errors end the run before it starts."""
    from ..datasets.check import check_dataset, table

    wrap = cfg.dataset.get("wrap")
    sets = [{**wrap, "dataset": data} if wrap else data for data in (cfg.dataset.train, cfg.dataset.test)]
    findings = [finding for data in sets for finding in check_dataset(data, full=False)]
    if findings:
        LOGGER.warning("dataset check\n%s", table(findings))
    if any(finding.level == "error" for finding in findings):
        raise ValueError("the dataset has errors, listed above; mend them, or train all the same with --skip_check")


def main(argv=None):
    """Train; returns the exit code (0, or 130 after a signal)."""
    argv = sys.argv[1:] if argv is None else list(argv)
    refuse_joined_flags(argv, f"python {sys.argv[0]}")
    args = parse(argv)
    cfg = config_of(args)
    if args.not_eval:
        cfg.workflow.val_eval_interval = 0
    device = setup_distributed(args.device)
    torch.use_deterministic_algorithms(not args.disable_deterministic, warn_only=True)
    folder = run_folder(cfg, world_size(), args.id)
    try:
        if is_main():
            prepare_folder(folder, args.resume)
        barrier()
        setup_logging(folder / "log.txt")
        if is_main():
            shutil.copy(args.config, folder / Path(args.config).name)
            (folder / "config.py").write_text(cfg.pretty_text)
            if not args.skip_check:
                check_data(cfg)
        resume = find_resume(args.resume, folder)
        runner = Runner(cfg, work_dir=folder, device=device, seed=args.seed)
        runner.train(resume)
        return 130 if runner.stop == "a signal" else 0
    finally:
        close_distributed()


def command():
    """Entry point of the shells."""
    sys.exit(run_command(main))
