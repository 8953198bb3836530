"""Trainings and evaluations that are parts of a greater command: each is the command `train` or `test` itself."""

import os
from pathlib import Path

from mmengine.config import Config

from ..config import load_config, parse_overrides
from ..engine.loaders import build_dataset
from ..registry import nearest
from ..utils.files import read_json
from . import test, train

UNCOMPARED = ("num_workers", "cache")  # keys that change no number


class Run:
    """One training and its evaluations.

    Args:
        args: parsed arguments with `config`, `cfg_options` and `device`.
        folder: for its work folder.
        keys: {key of the config: value} of this run.
        seed: of all that is random.
    """

    def __init__(self, args, folder, keys, seed):
        self.args, self.folder, self.seed = args, Path(folder), seed
        self.options = [*args.cfg_options, *(f"{key}={value!r}" for key, value in keys.items())]
        self.numbers = self.folder / "test.json"

    def config(self, keys=None):
        """Its config, with other `keys`."""
        overrides = {**parse_overrides(self.options), "work_dir": str(self.folder), **(keys or {})}
        return load_config(self.args.config, overrides)

    def dataset(self, split, keys=None):
        """The dataset `split` of its config, with other `keys`."""
        return build_dataset(self.config(keys).dataset, split)

    def refuse_another(self):
        """ValueError if its folder holds a run of another config."""
        for path in sorted(self.folder.glob(f"gpu*_id0/{train.RESOLVED}")):
            here, there = (_flat(_compared(cfg.to_dict())) for cfg in (self.config(), raw_config(path)))
            key = next((key for key in sorted({*here, *there}) if here.get(key) != there.get(key)), None)
            if key:
                raise ValueError(
                    f"{path.parent} holds a run of another config: {key} was {there.get(key)!r}, and is "
                    f"{here.get(key)!r} now; choose another --work_dir, or move the folder away"
                )

    def train(self):
        """Train, or go on with it; returns the exit code."""
        return train.main([*self._words(self.options), "--resume", "auto"])

    def test(self, numbers=None, *, keys=None, checkpoint=None):
        """Evaluate its best weights, or a `checkpoint`, and write the numbers to a file; returns the exit code."""
        numbers = Path(numbers or self.numbers)
        options = [*self.options, *(f"{key}={value!r}" for key, value in (keys or {}).items())]
        words = ["--out", numbers, "--save_dir", numbers.with_suffix("")]
        return test.main([*self._words(options), *words, *(["--checkpoint", checkpoint] if checkpoint else [])])

    def _words(self, options):
        words = [self.args.config, "--work_dir", self.folder, "--seed", self.seed]
        words += ["--device", self.args.device] if self.args.device else []
        return [*words, *(["--cfg-options", *options] if options else [])]


def raw_config(path):
    """A config file as it is written, with all its top-level keys; FileNotFoundError if it is not there."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"config {path} does not exist")
    return Config.fromfile(str(path))


def needs_keys(config, keys, what):
    """KeyError if the config file lacks one of the top-level keys by which `what` is told; returns all of it."""
    present = raw_config(config)
    for key in keys:
        if key not in present:
            raise KeyError(f"{config} has no key {key!r}, by which {what} is told; {nearest(key, present)}")
    return present


def run_name(args, name):
    """Value of the key `run_id` for a part called `name` of what `args` ask for."""
    former = parse_overrides(args.cfg_options).get("run_id")
    return f"{former}_{name}" if former else name


def read_numbers(path):
    """The numbers of the network that `Run.test` wrote."""
    (numbers,) = read_json(path, "numbers").values()
    return numbers


def refuse_many_processes(instead):
    """ValueError under `torchrun`, whose processes meet once, and not once for every run; `instead` says what to do."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(f"this command runs several trainings or evaluations, in one process each; {instead}")


def _compared(tree):
    """A config without the keys that change no number."""
    if isinstance(tree, dict):
        return {key: _compared(value) for key, value in tree.items() if key not in UNCOMPARED}
    return [_compared(value) for value in tree] if isinstance(tree, (list, tuple)) else tree


def _flat(tree, prefix=""):
    """{"a.b.0": value}"""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else None
    if not pairs:
        return {prefix.removesuffix("."): tree}
    return {key: value for name, inner in pairs for key, value in _flat(inner, f"{prefix}{name}.").items()}
