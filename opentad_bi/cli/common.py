"""What the commands share: arguments, configs with a pair's initial weights, work folders, clear ends."""

import os
import re
import sys
import traceback
from pathlib import Path

from ..config import load_config, parse_overrides

PACKAGE = Path(__file__).resolve().parents[1]
_FROM_WORKER = re.compile(r"Caught \w+ in DataLoader worker process")
_FRAME = re.compile(r'  File "(.*?)", line')
_JOINED = re.compile(r"\s*,\s*(--(?:for|back)_resume)")


def add_run_arguments(parser):
    """Arguments of every command that builds a run from a config."""
    parser.add_argument("config", help="Python config file")
    parser.add_argument("--seed", type=int, default=42, help="seed of weights, shuffling and draws (42)")
    parser.add_argument("--id", type=int, default=0, help="number of this run in its work folder's name (0)")
    parser.add_argument("--work_dir", help="folder for runs, instead of the config's work_dir")
    parser.add_argument("--device", help="cpu or cuda; the default is CUDA where there is one")
    parser.add_argument("--for_resume", metavar="P", help="initial weights of the forward network (PATH or PATH:KEY)")
    parser.add_argument("--back_resume", metavar="P", help="initial weights of the backward network")
    parser.add_argument(
        "--cfg-options", nargs="+", default=[], metavar="a.b=v", help="overrides of existing keys of the config"
    )


def refuse_joined_flags(argv, command):
    """Raise a ValueError with the corrected command if a comma joins a flag to what stands before it."""
    line = " ".join(argv)
    fixed = _JOINED.sub(r" \1", line)
    if fixed != line:
        raise ValueError(
            "a comma joins two flags, which the shell passes on as one word; separate them by a space:\n"
            f"  {command} {fixed}"
        )


def config_of(args):
    """The config of parsed `args`, with overrides and the initial weights of a pair filled in."""
    overrides = parse_overrides(args.cfg_options)
    if args.work_dir:
        overrides["work_dir"] = args.work_dir
    cfg = load_config(args.config, overrides)
    for flag, branch in (("for_resume", "for_model"), ("back_resume", "back_model")):
        path = getattr(args, flag)
        if path is None:
            continue
        if branch not in cfg.branches:
            raise ValueError(
                f"--{flag}: {args.config} has no branch {branch!r}, only {', '.join(cfg.branches)}; it trains a "
                "single network, whose initial weights are set by --cfg-options branches.model.load_from=PATH"
            )
        cfg.branches[branch].load_from = path
    return cfg


def run_folder(cfg, processes, number):
    """Folder of one run: `<work_dir>/gpu{processes}_id{number}`."""
    return Path(cfg.work_dir) / f"gpu{processes}_id{number}"


def make_writable(folder):
    """Create `folder` and make sure files can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise PermissionError(
            f"work folder {folder} is not writable ({error.strerror}); choose one by --work_dir"
        ) from error


def run_command(main):
    """Run `main()` and return its exit code: 130 after Ctrl-C, 1 after a mistake, which one message tells.

    Errors from inside other packages keep their traceback, and OPENTAD_BI_TRACEBACK=1 shows every one.
    """
    try:
        return main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (ValueError, KeyError, ImportError, FileNotFoundError, PermissionError, FloatingPointError) as error:
        file, message = _origin(error)
        if not file.is_relative_to(PACKAGE) or os.environ.get("OPENTAD_BI_TRACEBACK"):
            raise
        print(f"error: {message}", file=sys.stderr)
        return 1


def _origin(error):
    """The source file that raised `error`, and the message it gave there.

    A data loader's worker process sends its error as text: the message is the traceback.
    """
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if not _FROM_WORKER.match(text):
        return Path(traceback.extract_tb(error.__traceback__)[-1].filename), text
    lines = text.rpartition("Traceback (most recent call last):\n")[2].splitlines()
    end = next(i for i, line in enumerate(lines) if not line.startswith(" "))
    file = [found[1] for line in lines[:end] if (found := _FRAME.match(line))][-1]
    message = "\n".join(lines[end:]).partition(": ")[2]
    return Path(file), message.strip("'\"") if isinstance(error, KeyError) else message
