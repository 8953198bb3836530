"""Train FG-CLIP on captioned videos, by the flags of its original; goes on by itself where a run was interrupted."""

import os
from pathlib import Path

import torch

from ..config import load_config
from ..utils.checks import has_errors, result_table
from ..utils.logging import LOGGER, setup_logging
from . import train
from ._fgclip_flags import FLAGS, IDLE, Flag, settings
from ._readiness import readiness
from ._trained_runs import raw_config
from .common import Parser, add_device_arguments, command, parse_overrides

RECIPE = Path(__file__).resolve().parents[2] / "configs" / "fgclip" / "ucf_crime" / "full.py"


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__, "The flags change keys of --config; what is not typed is as it says.")
    for flag in FLAGS:
        flag.add(cli)
    for name, kind in IDLE.items():
        Flag(name, kind, name, "accepted, without effect").add(cli)
    cli.add_argument("--tf32", nargs="?", const="True", default="False", metavar="True|False",
                     help="products of fp32 matrices in TF32 on GPUs")  # fmt: skip
    cli.add_argument("--output_dir", metavar="DIR", help="folder for runs (default: the config's work_dir)")
    cli.add_argument("--resume_from_checkpoint", "--resume", metavar="PATH|auto", default="auto",
                     help="go on with a run; auto: its newest whole checkpoint, if there is one")  # fmt: skip
    cli.add_argument("--skip_check", action="store_true", help="do not look whether all is ready first")
    cli.add_argument("--config", default=str(RECIPE), help="the config that the flags change")
    cli.add_argument("--cfg-options", nargs="+", default=[], metavar="a.b=v", help="further keys of the config")
    add_device_arguments(cli)
    return cli


def run(args):
    """Train; returns the exit code of the training."""
    idle = [f"--{name}" for name in IDLE if name in args]
    if idle:
        LOGGER.info("without effect here: %s", ", ".join(idle))
    typed = {flag.name: getattr(args, flag.name) for flag in FLAGS if flag.name in args}
    keys = settings(typed, raw_config(args.config), parse_overrides(args.cfg_options))
    if args.output_dir:
        keys["work_dir"] = args.output_dir
    options = [*(f"{key}={value!r}" for key, value in keys.items()), *args.cfg_options]
    if not args.skip_check:
        check(load_config(args.config, parse_overrides(options)))
    if args.tf32.lower() in ("true", "1"):
        torch.set_float32_matmul_precision("high")
    resume = "auto" if args.resume_from_checkpoint.lower() in ("true", "auto") else args.resume_from_checkpoint
    words = ["--seed", args.seed, "--resume", resume, "--skip_check"]
    words += ["--device", args.device] if args.device else []
    return train.main([args.config, *words, *(["--cfg-options", *options] if options else [])])


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)


def check(cfg):
    """Log what the fast check finds, in the first process; ValueError if something is in the way."""
    if os.environ.get("RANK", "0") != "0":
        return
    setup_logging()
    results = readiness(cfg, torch.device("cpu"), full=False)
    LOGGER.info("is all ready?\n%s", result_table(results))
    if has_errors(results):
        raise ValueError("not all is ready, see the lines above; mend that, or train all the same with --skip_check")
