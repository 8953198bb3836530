"""Studies of several trainings and evaluations: K videos per class, and classes that were never trained on."""

import os
from argparse import Namespace
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from mmengine.config import Config

from ..config import load_config, parse_overrides, raw_config
from ..contracts import Network
from ..engine.checkpoint import checkpoint_files
from ..engine.data import build_dataset
from ..engine.hooks.artifacts import CONFIG, ArtifactsHook
from ..engine.warm_start import FILE, ROOT, file_classes
from ..errors import some
from ..evaluation.common.tables import numbers_table
from ..ops.names import SINGLE
from ..registry import MODELS, RENAMED, nearest
from ..utils.files import atomic, list_folder, match_files, read_json, write_json, write_text
from ..utils.logging import LOGGER
from ..utils.weight_files import load_checkpoint
from ._made_of import RECORD, changes_since, flat, made_of, other_config, record_of
from .common import make_writable
from .main import call, overriding, train_words
from .train import RESOLVED

BASE, NEW = "base", "new"


def few_shot(args: Namespace) -> int:
    """Train and evaluate every pair, and write the tables; returns 0, or the exit code of what ended early."""
    refuse_many_processes("start it several times side by side, each with other --shots, and whole for the table")
    check_numbers("--shots", args.shots, lowest=1)
    check_numbers("--seeds", args.seeds, lowest=0)
    check_numbers("--val-shots", [] if args.val_shots is None else [args.val_shots], lowest=1)
    present = needs_keys(args.config, ("K_train", "K_val", "sampling_seed"), "random sampling of videos")
    folder = Path(args.work_dir or load_config(args.config, parse_overrides(args.cfg_options)).work_dir) / "few_shot"
    make_writable(folder, "--work-dir")
    runs = {(shots, seed): make_run(args, present, folder, shots, seed) for shots in args.shots for seed in args.seeds}
    for planned in runs.values():  # what is wrong with one shows before hours of training
        planned.refuse_another()
        for split in ("train", "val"):
            planned.dataset(split)
    for (shots, seed), planned in runs.items():
        changes = planned.outdated()
        if not changes:
            LOGGER.info("K=%d, seed %d: finished, %s", shots, seed, planned.numbers)
            continue
        if planned.numbers.is_file():
            LOGGER.warning("K=%d, seed %d: %s is made anew: %s", shots, seed, planned.numbers, some(changes))
        if code := planned.train() or planned.test():
            return code
    write_tables(folder, args.config, runs)
    return 0


def check_numbers(option: str, values: Sequence[int], *, lowest: int) -> None:
    """ValueError for a number that is too low or stands there twice."""
    for value in values:
        if value < lowest:
            raise ValueError(f"{option} {value} must be at least {lowest}")
        if values.count(value) > 1:
            raise ValueError(f"{option} has {value} twice")


def make_run(args: Namespace, present: Collection[str], folder: Path, shots: int, seed: int) -> "Run":
    """The `Run` of one pair; `present` are the top-level keys of the config."""
    name = f"K{shots}_seed{seed}"
    val_shots = min(shots, 4) if args.val_shots is None else args.val_shots
    keys = {"K_train": shots, "K_val": val_shots, "sampling_seed": seed}
    keys |= {"val_ratio": 0.0, "run_id": run_name(args, name)}
    keys = {key: value for key, value in keys.items() if key in present}
    return Run(args, folder / name, keys, seed)


def write_tables(folder: Path, config: str, runs: Mapping[tuple[int, int], "Run"]) -> None:
    """Write few_shot.txt, few_shot.csv and few_shot.json, and show the first."""
    rows = [{"shots": k, "seed": seed} | read_numbers(planned.numbers) for (k, seed), planned in runs.items()]
    frame = pd.DataFrame(rows)
    summary = summarise(frame)
    with atomic(folder / "few_shot.csv") as temporary:
        summary.to_csv(temporary, index=False)
    plain = [{k: None if pd.isna(v) else v for k, v in row.items()} for row in summary.to_dict("records")]
    write_json(folder / "few_shot.json", {"config": config, "runs": rows, "summary": plain})
    text = table(summary)
    write_text(folder / "few_shot.txt", text + "\n")
    LOGGER.info("%s\n%s", folder / "few_shot.txt", text)


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation (n - 1) over the seeds, one row per K, of runs with `shots`, `seed` and numbers.

    Columns: shots, seeds (how many), <number>_mean, <number>_std (NaN of a single seed).
    """
    grouped = frame.drop(columns="seed").groupby("shots")
    told = grouped.agg(["mean", "std"])
    told.columns = [f"{name}_{what}" for name, what in told.columns]
    told.insert(0, "seeds", grouped.size())
    return told.reset_index()


def table(summary: pd.DataFrame) -> str:
    """Text of `summarise`'s rows, in percent."""
    names = [name.removesuffix("_mean") for name in summary if name.endswith("_mean")]
    rows = [
        ((row["shots"], row["seeds"]), {name: (row[f"{name}_mean"], row[f"{name}_std"]) for name in names})
        for row in summary.to_dict("records")
    ]
    return numbers_table(("shots", "seeds"), rows, _spread)


def _spread(told: tuple[float, float]) -> str:
    mean, std = told
    return f"{100 * mean:.2f}" + ("" if pd.isna(std) else f" +- {100 * std:.2f}")


def base_to_new(args: Namespace) -> int:
    """Train if need be, evaluate twice, write the numbers; returns 0, or the exit code of what ended early."""
    refuse_many_processes("train by opentad-bi train with protocol=base, and give its weights as --checkpoint")
    present = needs_keys(args.config, ("protocol", "protocol_count"), "a choice of classes")
    folder = Path(args.work_dir or load_config(args.config, parse_overrides(args.cfg_options)).work_dir)
    folder = folder / "base_to_new" / f"seed{args.seed}"
    out = Path(args.out or folder / "base_to_new.json")
    for place, option in ((folder, "--work-dir"), (out.parent, "--out")):
        make_writable(place, option)
    named = {"run_id": run_name(args, f"{BASE}_seed{args.seed}")} if "run_id" in present else {}
    both = Run(args, folder, {**named, **protocol(BASE)}, args.seed)
    check_classes(both, args.checkpoint)
    if args.checkpoint is None:
        both.refuse_another()
        if code := both.train():
            return code
    for name in (BASE, NEW):
        if code := both.test(folder / f"{name}.json", keys=protocol(name), checkpoint=args.checkpoint):
            return code
    tell(out, {name: read_numbers(folder / f"{name}.json") for name in (BASE, NEW)})
    return 0


def protocol(name: str) -> dict[str, Any]:
    """Keys of the config for the base classes or the new ones."""
    return {"protocol": name, "protocol_count": None}


def check_classes(both: "Run", checkpoint: str | None = None) -> None:
    """Make sure that what is learned of the base classes may serve the new ones, and was learned of them alone.

    Raises:
        ValueError: learned vectors belong to classes; the checkpoint was learned on other classes.
    """
    base, new = (both.dataset("test", protocol(name)).classes for name in (BASE, NEW))
    model = MODELS.build(both.config(protocol(NEW)).model, classes=new)
    if not Network.of(model).open_vocabulary:
        raise ValueError(
            f"{both.args.config}: what this model learns belongs to the classes it is trained on and cannot "
            "be used for others; share the context among the classes (csc=False, no class_init)"
        )
    names = file_classes(load_checkpoint(checkpoint)) if checkpoint else None
    if names and names != list(map(str, base)):
        seen = [name for name in names if name in new]
        why = f"{seen[0]!r}, for one, is a new one here" if seen else f"they begin with {names[0]!r}, not {base[0]!r}"
        raise ValueError(
            f"{checkpoint} was learned on {len(names)} classes that are not the {len(base)} base ones: {why}"
        )


def harmonic_mean(base: float, new: float) -> float:
    """2bn / (b + n) of two shares; 0 where both are 0."""
    return 2 * base * new / (base + new) if base + new else 0.0


def tell(out: Path, numbers: Mapping[str, dict]) -> None:
    """Write {"base", "new", "harmonic_mean"} of {name: numbers}, and show them as a table."""
    both = [own["top1"] for own in numbers.values() if "top1" in own]
    mean = harmonic_mean(*both) if len(both) == len(numbers) else None
    write_json(out, {**numbers, "harmonic_mean": mean})
    rows = [((which,), own) for which, own in numbers.items()]
    LOGGER.info("%s\n%s", out, numbers_table(("classes",), [*rows, (("harmonic mean",), {"top1": mean})]))


class Run:
    """One training and its evaluations.

    Args:
        args: parsed arguments with `config`, `cfg_options` and `device`.
        folder: for its work folder.
        keys: {key of the config: value} of this run.
        seed: of all that is random.
    """

    def __init__(self, args: Namespace, folder: Path, keys: Mapping[str, Any], seed: int) -> None:
        self.args, self.folder, self.seed = args, Path(folder), seed
        self.options = [*args.cfg_options, *overriding(keys)]
        self.numbers = self.folder / "test.json"

    def config(self, keys: Mapping[str, Any] | None = None) -> Config:
        """Its config, with other `keys`."""
        overrides = {**parse_overrides(self.options), "work_dir": str(self.folder), **(keys or {})}
        return load_config(self.args.config, overrides)

    def dataset(self, split: str, keys: Mapping[str, Any] | None = None) -> Any:
        """The dataset `split` of its config, with other `keys`."""
        return build_dataset(self.config(keys).dataset, split)

    def refuse_another(self) -> None:
        """ValueError if its folder holds a run of another config, or that of its artifacts what another run left."""
        cfg = self.config()
        for path in match_files(self.folder, f"gpu*_id0/{RESOLVED}"):
            here, there = flat(cfg.to_dict()), flat(raw_config(path).to_dict())
            key = other_config(there, here)
            if key:
                raise ValueError(
                    f"{path.parent} holds a run of another config: {key} was {there.get(key)!r}, and is "
                    f"{here.get(key)!r} now; choose another --work-dir, or move the folder away"
                )
            self._refuse_other_sources(cfg, path.with_name(RECORD))
        for hook in cfg.get("hooks", []):
            if hook.type == ArtifactsHook.__name__ and not self.numbers.is_file():
                self._refuse_artifacts(Path(hook.get("root", ROOT)), hook)

    def _refuse_other_sources(self, cfg, path):
        """ValueError if a training that began, or ended, was of other videos, labels or weights; see `_made_of`."""
        changes = changes_since(path, made_of(cfg, [split for split in ("train", "val") if split in cfg.dataset]))
        if changes is None:
            LOGGER.warning("%s: nothing says which videos and weights it was trained on", path.parent)
        elif changes:
            raise ValueError(
                f"{path.parent} holds a run of other data or weights: {some(changes)}; choose another --work-dir, or "
                "move the folder away"
            )

    def outdated(self) -> list[str]:
        """What its numbers were made of that has changed since, as lines of text; [] if they are there and stand."""
        if not self.numbers.is_file():
            return ["there are no numbers"]
        kept = [path / "checkpoint" for path in list_folder(self.folder, "gpu*_id0", absent=True)]
        best = next((path / "best.pth" for path in kept if (path / "best.pth").is_file()), None)
        changes = changes_since(record_of(self.numbers), made_of(self.config(), ["test"], best))
        if changes is None and not best:
            LOGGER.warning("%s: nothing says what these numbers were made of, nor is there a checkpoint", self.numbers)
        return (["nothing says what they were made of"] if best else []) if changes is None else changes

    def _refuse_artifacts(self, root, hook):
        """As the hook does before it trains, but before the trainings that come first."""
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
            f"{folder} holds the artifacts of another run ({owner or 'an unknown one'}); give the runs of this "
            "command a name of their own by --cfg-options run_id=NAME, or move the folder away"
        )

    def train(self) -> int:
        """Train, or resume it; returns the exit code."""
        return call("train", self._words({"--resume": "auto"}, self.options))

    def test(
        self, numbers: Path | None = None, *, keys: Mapping[str, Any] | None = None, checkpoint: str | None = None
    ) -> int:
        """Evaluate its best weights, or a `checkpoint`, and write the numbers to a file; returns the exit code."""
        numbers = Path(numbers or self.numbers)
        given = {"--out": numbers, "--save-dir": numbers.with_suffix(""), "--checkpoint": checkpoint}
        return call("test", self._words(given, [*self.options, *overriding(keys or {})]))

    def _words(self, given: dict[str, Any], options: Sequence[str]) -> list[str]:
        own = {"--work-dir": self.folder, "--seed": self.seed, "--device": self.args.device}
        return train_words(self.args.config, own | given, options)


def needs_keys(config: str, keys: Sequence[str], what: str) -> dict[str, Any]:
    """KeyError if the config file lacks one of the top-level keys that `what` needs; returns all of it."""
    present = {RENAMED.get(key, (key,))[0]: value for key, value in raw_config(config).items()}
    for key in keys:
        if key not in present:
            raise KeyError(f"{config} has no key {key!r}, which {what} needs; {nearest(key, present)}")
    return present


def run_name(args: Namespace, name: str) -> str:
    """Value of the key `run_id` for a part called `name` of what `args` ask for."""
    former = parse_overrides(args.cfg_options).get("run_id")
    return f"{former}_{name}" if former else name


def read_numbers(path: Path) -> dict[str, float]:
    """The numbers that `Run.test` wrote: those of the one network, or of all results as "result/number"."""
    told = read_json(path, "numbers")
    if SINGLE in told or len(told) == 1:
        return told.get(SINGLE) or next(iter(told.values()))
    return {f"{name}/{number}": value for name, numbers in told.items() for number, value in numbers.items()}


def refuse_many_processes(instead: str) -> None:
    """ValueError under `torchrun`, whose processes meet once, and not once for every run; `instead` says what to do."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(f"this command runs several trainings or evaluations, in one process each; {instead}")
