"""Train whatever a config describes: one network, or a pair."""

import itertools
import os
from argparse import Namespace
from pathlib import Path

import torch
import torch.utils.deterministic
from mmengine.config import Config

from ..config import config_text
from ..engine import Runner
from ..engine.checkpoint import checkpoint_files, load_latest
from ..errors import some
from ..utils.distributed import barrier, close_distributed, gather_objects, is_main, setup_distributed, world_size
from ..utils.files import write_json, write_text
from ..utils.logging import LOGGER, setup_logging, warn
from ._made_of import RECORD, changes_since, made_of
from .check import check_data
from .common import config_of, make_writable, run_folder, sibling_runs

RESOLVED = "resolved_config.py"


def run(args: Namespace) -> int:
    """Train; returns 0, or 130 after a signal."""
    cfg = config_of(args)
    if args.not_eval:
        cfg.workflow.val_eval_interval = 0
    set_deterministic(not args.disable_deterministic)
    device = setup_distributed(args.device)
    try:
        folder = run_folder(cfg, world_size(), args.id)
        if is_main():
            prepare_folder(folder, args.resume)
        barrier()
        setup_logging(folder / "log.txt")
        resume = None
        if is_main():
            resume = find_resume(args.resume, folder)
            keep_configs(folder, args.config, cfg)
            if not args.skip_check:
                check_data(cfg)
        resume = gather_objects(resume)[0]  # what rank 0 found: another could see the folder a moment later
        runner = Runner(cfg, work_dir=folder, device=device, seed=args.seed, fresh=resume is None)
        if is_main():
            keep_record(folder / RECORD, made_of(cfg, runner.datasets, with_config=False), resume)
        runner.train(resume=resume)
        if runner.stop == "a signal":
            LOGGER.warning("stopped by a signal before the end; --resume auto goes on from the last checkpoint")
        return 130 if runner.stop == "a signal" else 0
    finally:
        close_distributed()


def set_deterministic(wanted: bool) -> None:
    """Ask PyTorch for kernels that repeat themselves to the bit, or for the fastest; before CUDA starts."""
    torch.use_deterministic_algorithms(wanted, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs time
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def prepare_folder(folder: Path, resume: str | None) -> None:
    """Create the work folder; refuse to start a new run over the checkpoints of an earlier one."""
    make_writable(folder, "--work-dir")
    (folder / "checkpoint").mkdir(exist_ok=True)
    kept = checkpoint_files(folder / "checkpoint")
    if resume == "auto" and not kept:
        keep_previous_best(folder / "checkpoint")
    if not resume and (kept or (folder / "checkpoint" / "best.pth").is_file()):
        raise ValueError(
            f"{folder} holds checkpoints of an earlier run; resume it (--resume auto), choose another --id or "
            "--work-dir, or move it away"
        )


def keep_previous_best(checkpoints: Path) -> None:
    """Put aside the best.pth of a run that left no checkpoint to go on with, as a new run will write its own."""
    best = checkpoints / "best.pth"
    if best.is_file():
        number = next(n for n in itertools.count(1) if not (checkpoints / f"best_former_{n}.pth").exists())
        best.rename(checkpoints / f"best_former_{number}.pth")
        LOGGER.warning("%s: of a run that left no checkpoint to go on with; it is best_former_%d.pth now", best, number)


def find_resume(resume: str | None, folder: Path) -> str | None:
    """Path to go on from, or None: `auto` takes the newest checkpoint of `folder`, and starts anew without any.

    Raises:
        ValueError: `auto`, and all checkpoints are damaged, or only a run with another number of processes has any.
    """
    if resume != "auto":
        return resume
    path, _ = load_latest(folder / "checkpoint")
    if path is not None:
        return str(path)
    if damaged := checkpoint_files(folder / "checkpoint"):
        raise ValueError(
            f"--resume auto: no checkpoint in {folder / 'checkpoint'} can be read, of {len(damaged)}; to begin anew, "
            "which would replace its best.pth, choose another --id or --work-dir, or move the folder away"
        )
    others = [path for path in sibling_runs(folder) if checkpoint_files(path / "checkpoint")]
    if others:
        raise ValueError(
            f"--resume auto: {folder} has no checkpoint, but {', '.join(map(str, others))} has, of another number of "
            "processes; start as many as then, or name a checkpoint by --resume PATH"
        )
    LOGGER.info("--resume auto: no checkpoint in %s, starting from the beginning", folder)
    return None


def keep_configs(folder: Path, path: Path | str, cfg: Config) -> None:
    """Write the config to the work folder: as it was given, under its own name, and as it was resolved."""
    path, own = Path(path), folder / Path(path).name
    if not (own.exists() and own.samefile(path)):
        write_text(own, path.read_text(encoding="utf-8"))
    write_text(folder / RESOLVED, config_text(cfg))


def keep_record(path: Path, record: dict, resume: str | None) -> None:
    """Say in the work folder what the run is made of; one that goes on with something else is warned of.

    The record of how it began stays.
    """
    changes = changes_since(path, record) if resume else None
    if changes:
        began = "the run began with other data or weights, and its epochs so far are of those"
        warn(f"{path.parent}: {began}: {some(changes)}")
    if changes is None:
        write_json(path, record)
