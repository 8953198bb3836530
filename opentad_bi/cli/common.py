"""What the commands share: words, messages, configs with a pair's initial weights, work folders."""

import argparse
import logging
import os
import re
import sys
import traceback
from pathlib import Path

from ..config import load_config, parse_overrides
from ..utils.config_files import find_config
from ..utils.files import list_folder
from ..utils.logging import strictly

PACKAGE = Path(__file__).resolve().parents[1]
_FROM_WORKER = re.compile(r"Caught \w+ in DataLoader worker process")
_FRAME = re.compile(r'  File "(.*?)", line')
_JOINED = re.compile(r"\s*,\s*(--(?:for|back)[-_]resume)")
_DEVICE = re.compile(r"cpu|cuda(:\d+)?")
_MISTAKES = (ValueError, KeyError, IndexError, ImportError, OSError, FloatingPointError)


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help that ends with the default, where there is one."""

    def _get_help_string(self, action):
        default = action.default
        if default is None or default is False or default in ([], argparse.SUPPRESS):
            return action.help
        text = " ".join(map(str, default)) if isinstance(default, (list, tuple)) else str(default)
        return f"{action.help} (default: {text.replace('%', '%%')})"


class Parser(argparse.ArgumentParser):
    """Arguments of a command: no abbreviations, and every option in both spellings, `--a_b` and `--a-b`."""

    def __init__(self, description, epilog=None):
        super().__init__(description=description, epilog=epilog, formatter_class=_Help, allow_abbrev=False)

    def parse_known_args(self, args=None, namespace=None):
        """As argparse does, with every option word brought to the spelling it was added in."""
        own = {name.replace("_", "-"): name for name in self._option_string_actions if name.startswith("--")}
        words = []
        for word in sys.argv[1:] if args is None else args:
            name, sep, value = str(word).partition("=")
            words.append(own.get(name.replace("_", "-"), name) + sep + value)
        return super().parse_known_args(words, namespace)


def command(parser, run, argv=None):
    """Parse `argv`, the words after the name of the command (None: as typed), `run(args)`, return the exit code."""
    words = sys.argv[1:] if argv is None else [str(word) for word in argv]
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    logging.getLogger("opentad_bi").setLevel(logging.INFO)

    def work():
        refuse_joined_flags(words)
        args = parser.parse_args(words)
        with strictly(getattr(args, "strict", False)):
            return run(args)

    return run_command(work)


def add_config_arguments(parser):
    """Arguments of every command that reads a config."""
    parser.add_argument(
        "config", type=_config, help="Python config file, or the name of a shipped one, such as demo/pair_exp1"
    )
    parser.add_argument(
        "--cfg-options", nargs="+", default=[], metavar="a.b=v", help="overrides of existing keys of the config"
    )


def _config(name):
    try:
        return str(find_config(name))
    except ValueError as error:
        raise argparse.ArgumentTypeError(error) from error


def add_strict_argument(parser):
    """The option of commands that read annotation, predictions or media; `command` runs them accordingly."""
    parser.add_argument("--strict", action="store_true", help="make every warning about the data an error")


def add_device_argument(parser):
    """Where to run, for commands whose seed is another matter."""
    parser.add_argument("--device", type=_device, help="cpu or cuda (default: cuda where there is one)")


def add_device_arguments(parser):
    """Arguments of every command that runs a network."""
    add_device_argument(parser)
    parser.add_argument("--seed", type=int, default=42, help="seed of all that is random")


def add_run_arguments(parser):
    """Arguments of every command that builds a run from a config."""
    add_config_arguments(parser)
    add_device_arguments(parser)
    parser.add_argument("--id", type=int, default=0, help="number of this run in its work folder's name")
    parser.add_argument("--work_dir", help="folder for runs (default: the config's work_dir)")
    add_weight_arguments(parser)


def add_weight_arguments(parser):
    """Arguments that give each network of a pair its own weights."""
    parser.add_argument("--for_resume", metavar="P", help="initial weights of the forward network (PATH or PATH:KEY)")
    parser.add_argument("--back_resume", metavar="P", help="initial weights of the backward network")


def _device(text):
    if not _DEVICE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no device; choose cpu or cuda")
    return text


def refuse_joined_flags(argv):
    """Raise a ValueError with the corrected command if a comma joins a flag to what stands before it."""
    line = " ".join(argv)
    fixed = _JOINED.sub(r" \1", line)
    if fixed != line:
        raise ValueError(
            "a comma joins two flags, which the shell passes on as one word; separate them by a space:\n"
            f"  python {sys.argv[0]} {fixed}"
        )


def config_of(args):
    """The config of parsed `args`, with overrides and the initial weights of a pair filled in."""
    overrides = parse_overrides(args.cfg_options)
    if getattr(args, "work_dir", None):
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


def overriding(keys):
    """{key of a config: value} as words after --cfg-options."""
    return [f"{key}={value!r}" for key, value in keys.items()]


def train_words(config, given, options):
    """Words for the commands `train` and `test`.

    Args:
        config: path of the config.
        given: {option: its value, or None: the option is left out}.
        options: words after --cfg-options; of one key, the last is the strongest.
    """
    words = [config, *(word for option, value in given.items() if value is not None for word in (option, value))]
    return [*map(str, words), *(["--cfg-options", *options] if options else [])]


def run_folder(cfg, processes, number):
    """Folder of one run: `<work_dir>/gpu{processes}_id{number}`."""
    return Path(cfg.work_dir) / f"gpu{processes}_id{number}"


def sibling_runs(folder):
    """Folders of the same run (of one --id) with another number of processes."""
    number = folder.name.rpartition("_")[2]
    return [path for path in list_folder(folder.parent, f"gpu*_{number}", absent=True) if path != folder]


def make_writable(folder, option):
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


def run_command(main):
    """Run `main()` and return its exit code: 130 after Ctrl-C, 1 after a mistake, which one message tells.

    Errors from inside other packages keep their traceback, unless the system names a file in them, and
    OPENTAD_BI_TRACEBACK=1 shows every one.
    """
    try:
        return main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        _note_in_file("interrupted")
        return 130
    except _MISTAKES as error:
        file, message = _origin(error)
        _note_in_file(f"{type(error).__name__}: {message}")
        ours = file.is_relative_to(PACKAGE) or (isinstance(error, OSError) and error.filename is not None)
        if not ours or os.environ.get("OPENTAD_BI_TRACEBACK"):
            raise
        print(f"error: {message}", file=sys.stderr)
        return 1


def _note_in_file(message):
    """Write an error to the log file of a run alone, as the console is told in another way."""
    log = logging.getLogger("opentad_bi")
    record = log.makeRecord(log.name, logging.ERROR, __file__, 0, message, (), None)
    for handler in log.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)


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
