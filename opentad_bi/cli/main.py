"""The one command, `opentad-bi NAME ...` or `python -m opentad_bi NAME ...`: its table, its help, its errors.

Until the words are parsed nothing is imported but the module of a command's arguments, so that `--help` is quick.
"""

import argparse
import importlib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import UserError, message_of
from ..utils.logging import strictly

USAGE = "usage: opentad-bi COMMAND ...\n       opentad-bi COMMAND --help\n       torchrun ... -m opentad_bi COMMAND ..."
_JOINED = re.compile(r"\s*,\s*(--(?:for|back)[-_]resume)")


@dataclass(frozen=True)
class Command:
    """One line of the table.

    Args:
        arguments: what gives the parser, "module:function" or "module:function:first argument"; the module, of this
            package, is quick to import.
        work: what does the work, (parsed arguments) -> exit code.
        help: what it does, in a line.
    """

    arguments: str
    work: str
    help: str


GROUPS = {
    "train and evaluate": {
        "train": Command("arguments:train", "train:run", "train what a config describes: one network, or a pair"),
        "test": Command("arguments:test", "test:run", "evaluate a checkpoint by the metric of its config"),
        "evaluate": Command("arguments:evaluate", "evaluate:run", "mAP of a result file, without a model"),
    },
    "use a trained model": {
        "detect": Command("arguments:detect", "detect:run", "find the actions of any videos"),
        "detect-anomaly": Command("arguments:detect_anomaly", "detect_anomaly:run", "score any videos for anomalies"),
        "extract-features": Command("extract.features:parser", "extract.features:run", "features of a detector"),
        "extract-clip-features": Command(
            "extract.clip_features:parser", "extract.clip_features:run", "features of frames by CLIP"
        ),
        "cache-predictions": Command(
            "extract.predictions:parser", "extract.predictions:run", "what a pair finds, to train a fusion on"
        ),
    },
    "prepare data": {
        "check": Command("arguments:check", "check:check", "check annotation and files of the data sets of a config"),
        "stats": Command("arguments:stats", "check:stats", "count a data set and propose settings for it"),
        "reverse-videos": Command("arguments:reverse_videos", "data:reverse_videos", "copies of videos, reversed"),
        "reverse-annotations": Command(
            "arguments:reverse_annotations", "data:reverse_annotations", "an annotation file, mirrored in time"
        ),
        "join-clips": Command("arguments:join_clips", "data:join_clips", "join clips into untrimmed videos"),
        "label-studio": Command("arguments:label_studio", "data:label_studio", "import an export of Label Studio"),
        "ucf-crime": Command("arguments:ucf_crime", "data:ucf_crime", "lay out features by the lists of UCF-Crime"),
        "demo-data detection": Command("arguments:demo_detection", "demo:make_detection", "generate small videos"),
        "demo-data clips": Command("arguments:demo_clips", "demo:make_clips", "generate clips of four classes"),
        "demo-data features": Command("arguments:demo_features", "demo:make_features", "generate CLIP features"),
        "demo-data surveillance": Command(
            "arguments:demo_surveillance", "demo:make_surveillance", "generate captioned surveillance videos"
        ),
    },
    "studies": {
        "few-shot": Command("arguments:few_shot", "study:few_shot", "train on K videos per class, mean and spread"),
        "base-to-new": Command("arguments:base_to_new", "study:base_to_new", "evaluate on classes never trained on"),
        "mixture": Command("arguments:mixture", "mixture:run", "mean of the probabilities of several models"),
    },
    "help": {
        "demo": Command("arguments:demo", "demo:run", "the whole demonstration, from data to pages"),
        "config list": Command("arguments:config_list", "config:list_configs", "list the shipped configs"),
        "config show": Command("arguments:config_show", "config:show", "print what a config says, and from where"),
        "config copy": Command("arguments:config_copy", "config:copy", "start a config of your own from another"),
        "doctor": Command("arguments:doctor", "doctor:run", "check the installation, or if a config is ready to train"),
        "debug-prompts": Command("arguments:debug_prompts", "debug_prompts:run", "can prompts be learned on features?"),
    },
    "commands of other systems, by their names": {
        **{
            f"run_{method}": Command(f"aliases:parser:{method}", f"aliases:run:{method}", f"train {name}")
            for method, name in (
                ("video_coop", "Video-CoOp"),
                ("dual_coop", "Dual-CoOp"),
                ("stt", "STT"),
                ("vidop", "ViDOP"),
                ("vilt", "ViLT"),
                ("vita", "ViTA"),
            )
        },
        "custom_prompt_training": Command(
            "aliases:parser:custom_prompt_training",
            "aliases:run:custom_prompt_training",
            "learn prompts from sentences of your own",
        ),
        "train_fgclip": Command(
            "aliases:parser:train_fgclip", "aliases:run:train_fgclip", "train FG-CLIP by its original flags"
        ),
    },
}
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}


def main(argv: Iterable[object] | None = None) -> int:
    """Run the subcommand that the words name (None: as typed); returns its exit code, 2 where they name none."""
    words = sys.argv[1:] if argv is None else [str(word) for word in argv]
    if words[:1] in ([], ["-h"], ["--help"], ["help"]):
        print(overview(), file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if words[0] == "--version":
        print(importlib.import_module("opentad_bi").__version__)
        return 0
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in COMMANDS:
            return call(name, words[length:], prog=f"opentad-bi {name}")
    print(f"error: {_unknown(words)}", file=sys.stderr)
    return 2


def call(name: str, argv: Iterable[object] | None = None, *, prog: str | None = None) -> int:
    """Parse the words after the name of a command, do its work, return the exit code.

    Args:
        name: of `COMMANDS`.
        argv: the words (None: as typed after the name of the script).
        prog: what the usage line calls it (None: the name of the script).
    """
    words = sys.argv[1:] if argv is None else [str(word) for word in argv]
    parser = parser_of(name)
    parser.prog = prog or parser.prog
    return execute(parser, lambda args: load(COMMANDS[name].work)(args), words)


def overriding(keys: Mapping[str, Any]) -> list[str]:
    """{key of a config: value} as words after --cfg-options."""
    return [f"{key}={value!r}" for key, value in keys.items()]


def train_words(config: Path | str, given: Mapping[str, Any], options: Sequence[str]) -> list[str]:
    """Words for the commands `train` and `test`.

    Args:
        given: {option: its value, or None: the option is left out}.
        options: words after --cfg-options; of one key, the last is the strongest.
    """
    words = [config, *(word for option, value in given.items() if value is not None for word in (option, value))]
    return [*map(str, words), *(["--cfg-options", *options] if options else [])]


def parser_of(name: str) -> argparse.ArgumentParser:
    """The parser of a command."""
    return load(COMMANDS[name].arguments)()


def execute(parser: argparse.ArgumentParser, work: Callable[[argparse.Namespace], int], words: list[str]) -> int:
    """Parse `words`, call `work(args)`, return its exit code; mistakes become one message each."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    logging.getLogger("opentad_bi").setLevel(logging.INFO)

    def run() -> int:
        refuse_joined_flags(words)
        args = parser.parse_args(words)
        if vars(args).get("config"):  # not while parsing: that is quick
            args.config = str(importlib.import_module("opentad_bi.utils.config_files").find_config(args.config))
        with strictly(vars(args).get("strict", False)):
            return work(args)

    return run_command(run)


def overview() -> str:
    """The help of the command itself: all subcommands by what people want to do."""
    width = max(map(len, COMMANDS))
    parts = [USAGE, "A toolbox for untrimmed video: forward/backward temporal action detection and its relatives."]
    for title, group in GROUPS.items():
        lines = [f"  {name:<{width}}  {command.help}" for name, command in group.items()]
        parts.append("\n".join([f"{title}:", *lines]))
    return "\n\n".join(parts)


def _unknown(words: list[str]) -> str:
    """What is wrong with the name of a command, and what it could be."""
    kinds = [name for name in COMMANDS if name.startswith(f"{words[0]} ")]
    if kinds and not words[1:]:
        return f"{words[0]!r} is incomplete; choose {', '.join(kinds)}"
    if kinds:
        name = " ".join(words[:2])
        near = get_close_matches(name, kinds, n=1, cutoff=0.8)
        hint = f"did you mean {near[0]!r}?" if near else f"choose {', '.join(kinds)}"
        return f"unknown command {name!r}; {hint}"
    near = get_close_matches(words[0].replace("_", "-"), COMMANDS, n=1, cutoff=0.5)
    near += [name for name in COMMANDS if not near and words[0] in name][:1]
    hint = f"did you mean {near[0]!r}?" if near else "opentad-bi --help lists all"
    return f"unknown command {words[0]!r}; {hint}"


def load(place: str) -> Callable:
    """The function that "module:function" of this package names, or "module:function:first argument"."""
    module, function, *arguments = place.split(":")
    return partial(getattr(importlib.import_module(f".{module}", __package__), function), *arguments)


def refuse_joined_flags(words: list[str]) -> None:
    """Raise a ValueError with the corrected command if a comma joins a flag to what stands before it."""
    line = " ".join(words)
    fixed = _JOINED.sub(r" \1", line)
    if fixed != line:
        raise ValueError(
            "a comma joins two flags, which the shell passes on as one word; separate them by a space:\n  " + fixed
        )


def run_command(main: Callable[[], int]) -> int:
    """Run `main()` and return its exit code: 130 after Ctrl-C, 1 after a mistake, which one message says.

    Bugs keep their traceback, and OPENTAD_BI_TRACEBACK=1 shows that of mistakes too.
    """
    try:
        return main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        _note_in_file("interrupted")
        return 130
    except BrokenPipeError:  # whoever reads the output, such as `head`, has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        mistake = UserError.of(error)
        _note_in_file(f"{type(error).__name__}: {mistake or message_of(error)}")
        if mistake is None or os.environ.get("OPENTAD_BI_TRACEBACK"):
            raise
        print(f"error: {mistake}", file=sys.stderr)
        return 1


def _note_in_file(message: str) -> None:
    """Write an error to the log file of a run alone, as the console shows it in another way."""
    log = logging.getLogger("opentad_bi")
    record = log.makeRecord(log.name, logging.ERROR, __file__, 0, message, (), None)
    for handler in log.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)
