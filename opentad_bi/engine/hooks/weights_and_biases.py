"""A run of Weights & Biases: with a key where one is found, else without the network."""

import inspect
import netrc
import os
from pathlib import Path

from ...errors import require
from ...registry import check_keys
from ...utils.logging import LOGGER

TOKEN = Path("tokens") / "wandb.txt"
HOST = "api.wandb.ai"  # under which `wandb login` leaves its key


def check_arguments(args):
    """Raise a ValueError or KeyError unless `args`, `workflow.wandb` of a config, is a dict for `wandb.init`."""
    if not isinstance(args, dict):
        raise ValueError(
            "workflow.wandb needs a dict of arguments of wandb.init, such as --cfg-options "
            f"workflow.wandb.project=NAME; got {args!r}"
        )
    known = inspect.signature(require("wandb").init).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        check_keys("workflow.wandb", args, known)


def start_wandb(args, folder):
    """Start a run.

    The key is that of the environment (WANDB_API_KEY), else the content of `tokens/wandb.txt`, else what `wandb login`
    left; it is never logged. Without one the run stays on this machine (mode "offline"), unless the mode is given.

    Args:
        args: arguments of `wandb.init`.
        folder: where its files go.
    Returns:
        the run.
    """
    wandb, args = require("wandb"), {"dir": str(folder), **args}
    token = TOKEN.read_text(encoding="utf-8").strip() if TOKEN.is_file() else ""
    if token and not os.environ.get("WANDB_API_KEY"):
        os.environ["WANDB_API_KEY"] = token
    if not (os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_MODE") or args.get("mode") or _logged_in()):
        args["mode"] = "offline"
        LOGGER.warning(
            "wandb: no key in WANDB_API_KEY or %s, so the run stays in %s (mode offline; send it by `wandb sync`)",
            TOKEN, folder / "wandb"
        )  # fmt: skip
    return wandb.init(**args)


def _logged_in():
    """Has `wandb login` left a key in the user's netrc file?"""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(HOST) is not None
    except (OSError, netrc.NetrcParseError):
        return False
