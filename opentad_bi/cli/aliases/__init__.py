"""The commands of the original systems, under their names and with their options: tables over the command `train`."""

import importlib
from argparse import Namespace
from types import ModuleType

from ..arguments import Parser
from .core import Flag, build_parser

METHODS = {
    "video_coop": "Train Video-CoOp: a learned context of the text, on frozen frames pooled over time.",
    "dual_coop": "Train Dual-CoOp: a learned context of the text, and learned vectors among the patches of frames.",
    "stt": "Train STT: the prompts of ViTA, and its summaries of the video passed to the text tower, layer by layer.",
    "vidop": "Train ViDOP: visual prompts alone, with texts that stay as they are.",
    "vilt": "Train ViLT: prompts in the layers of both towers, in some learned for one and mapped to the other.",
    "vita": "Train ViTA (Vita-CLIP): summary, local and global prompts of a video in every layer of the visual tower.",
}
COMMANDS = {
    **METHODS,
    "train_fgclip": "Train FG-CLIP on captioned videos, by the flags of its original; resumes by itself.",
    "custom_prompt_training": "Learn a prompt for every class, from sentences of your own, on features of videos.",
}
_TABLES = {**dict.fromkeys(METHODS, "methods"), "train_fgclip": "fgclip", "custom_prompt_training": "custom_prompts"}


def parser(name: str) -> Parser:
    """The arguments of the command `name`, one of COMMANDS."""
    table = _table(name)
    return build_parser(COMMANDS[name], table.EPILOG.replace("METHOD", name), flags_of(name), table.RECIPE)


def run(name: str, args: Namespace) -> int:
    """Train as parsed arguments of the command `name` say; returns the exit code."""
    return _table(name).run(name, args)


def flags_of(name: str) -> list[Flag]:
    """The options of the command `name`."""
    return [flag for flag in _table(name).FLAGS if not flag.commands or name in flag.commands]


def _table(name: str) -> ModuleType:
    return importlib.import_module(f".{_TABLES[name]}", __name__)
