"""Trainings and evaluations that are parts of a greater command: each is the command `train` or `test` itself."""

import os
from pathlib import Path

from ..config import load_config, parse_overrides, raw_config
from ..engine.checkpoint import checkpoint_files
from ..engine.data import build_dataset
from ..engine.hooks.artifacts import CONFIG, ArtifactsHook
from ..engine.warm_start import FILE, ROOT
from ..errors import some
from ..ops.names import SINGLE
from ..registry import nearest
from ..utils.files import list_folder, match_files, read_json
from ..utils.logging import LOGGER
from . import test, train
from ._made_of import RECORD, changes_since, flat, made_of, other_config, record_of
from .common import overriding, train_words


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
        self.options = [*args.cfg_options, *overriding(keys)]
        self.numbers = self.folder / "test.json"

    def config(self, keys=None):
        """Its config, with other `keys`."""
        overrides = {**parse_overrides(self.options), "work_dir": str(self.folder), **(keys or {})}
        return load_config(self.args.config, overrides)

    def dataset(self, split, keys=None):
        """The dataset `split` of its config, with other `keys`."""
        return build_dataset(self.config(keys).dataset, split)

    def refuse_another(self):
        """ValueError if its folder holds a run of another config, or that of its artifacts what another run left."""
        cfg = self.config()
        for path in match_files(self.folder, f"gpu*_id0/{train.RESOLVED}"):
            here, there = flat(cfg.to_dict()), flat(raw_config(path).to_dict())
            key = other_config(there, here)
            if key:
                raise ValueError(
                    f"{path.parent} holds a run of another config: {key} was {there.get(key)!r}, and is "
                    f"{here.get(key)!r} now; choose another --work_dir, or move the folder away"
                )
            self._refuse_other_sources(cfg, path.with_name(RECORD))
        for hook in cfg.get("hooks", []):
            if hook.type == ArtifactsHook.__name__ and not self.numbers.is_file():
                self._refuse_artifacts(Path(hook.get("root", ROOT)), hook)

    def _refuse_other_sources(self, cfg, path):
        """ValueError if a training that began, or ended, was of other videos, labels or weights; see `_made_of`."""
        changes = changes_since(path, made_of(cfg, [split for split in ("train", "val") if split in cfg.dataset]))
        if changes is None:
            LOGGER.warning("%s: nothing tells which videos and weights it was trained on", path.parent)
        elif changes:
            raise ValueError(
                f"{path.parent} holds a run of other data or weights: {some(changes)}; choose another --work_dir, or "
                "move the folder away"
            )

    def outdated(self):
        """What its numbers were made of that has changed since, as lines of text; [] if they are there and stand."""
        if not self.numbers.is_file():
            return ["there are no numbers"]
        kept = [path / "checkpoint" for path in list_folder(self.folder, "gpu*_id0", absent=True)]
        best = next((path / "best.pth" for path in kept if (path / "best.pth").is_file()), None)
        changes = changes_since(record_of(self.numbers), made_of(self.config(), ["test"], best))
        if changes is None and not best:
            LOGGER.warning("%s: nothing tells what these numbers were made of, nor is there a checkpoint", self.numbers)
        return (["nothing tells what they were made of"] if best else []) if changes is None else changes

    def _refuse_artifacts(self, root, hook):
        """As the hook does before it trains, but told before the trainings that come first."""
        folder = root / hook.folder / str(hook.get("run_id") or "id0")
        if not folder.is_dir() or not list_folder(folder):
            return
        owner = read_json(folder / CONFIG, "config").get("run") if (folder / CONFIG).is_file() else None
        ours = os.path.relpath(self.folder.resolve(), root.resolve().parent)
        goes_on = any(
            checkpoint_files(path / "checkpoint") for path in list_folder(self.folder, "gpu*_id0", absent=True)
        )
        if owner and os.path.dirname(owner) == ours and (goes_on or not (folder / FILE).is_file()):
            return
        raise ValueError(
            f"{folder} holds the artifacts of another run ({owner or 'one that is not known'}); give the runs of this "
            "command a name of their own by --cfg-options run_id=NAME, or move the folder away"
        )

    def train(self):
        """Train, or go on with it; returns the exit code."""
        return train.main(self._words({"--resume": "auto"}, self.options))

    def test(self, numbers=None, *, keys=None, checkpoint=None):
        """Evaluate its best weights, or a `checkpoint`, and write the numbers to a file; returns the exit code."""
        numbers = Path(numbers or self.numbers)
        given = {"--out": numbers, "--save_dir": numbers.with_suffix(""), "--checkpoint": checkpoint}
        return test.main(self._words(given, [*self.options, *overriding(keys or {})]))

    def _words(self, given, options):
        own = {"--work_dir": self.folder, "--seed": self.seed, "--device": self.args.device}
        return train_words(self.args.config, own | given, options)


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
    """The numbers that `Run.test` wrote: those of the one network, or of all results as "result/number"."""
    told = read_json(path, "numbers")
    if SINGLE in told or len(told) == 1:
        return told.get(SINGLE) or next(iter(told.values()))
    return {f"{name}/{number}": value for name, numbers in told.items() for number, value in numbers.items()}


def refuse_many_processes(instead):
    """ValueError under `torchrun`, whose processes meet once, and not once for every run; `instead` says what to do."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(f"this command runs several trainings or evaluations, in one process each; {instead}")
