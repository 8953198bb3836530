"""What the commands share: configs with a pair's initial weights, words for other commands, work folders."""

import os
from argparse import Namespace
from pathlib import Path

from mmengine.config import Config

from ..config import load_config, parse_overrides
from ..utils.files import list_folder


def config_of(args: Namespace) -> Config:
    """The config of parsed `args`, with overrides and the initial weights of a pair filled in."""
    overrides = parse_overrides(args.cfg_options)
    if vars(args).get("work_dir"):
        overrides["work_dir"] = args.work_dir
    cfg = load_config(args.config, overrides)
    given = (("--for-resume", args.for_resume, "for_model"), ("--back-resume", args.back_resume, "back_model"))
    for flag, path, branch in given:
        if path is None:
            continue
        if branch not in cfg.branches:
            raise ValueError(
                f"{flag}: {args.config} has no branch {branch!r}, only {', '.join(cfg.branches)}; it trains a "
                "single network, whose initial weights are set by --cfg-options branches.model.load_from=PATH"
            )
        cfg.branches[branch].load_from = path
    return cfg


def run_folder(cfg: Config, processes: int, number: int) -> Path:
    """Folder of one run: `<work_dir>/gpu{processes}_id{number}`."""
    return Path(cfg.work_dir) / f"gpu{processes}_id{number}"


def sibling_runs(folder: Path) -> list[Path]:
    """Folders of the same run (of one --id) with another number of processes."""
    number = folder.name.rpartition("_")[2]
    return [path for path in list_folder(folder.parent, f"gpu*_{number}", absent=True) if path != folder]


def make_writable(folder: Path | str, option: str) -> None:
    """Create `folder` and make sure files can be written there; an error names `option`, which chooses it."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise PermissionError(
            f"folder {folder} is not writable ({error.strerror}); choose another by {option}"
        ) from error
