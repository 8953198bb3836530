"""The record of what a training or its numbers were made of, beside them, and what has changed since.

It holds the config, the stamps of the files that the model is built from, and of every split names and labels of the
samples and the stamps of their files.
"""

import os
from fnmatch import fnmatch
from pathlib import Path

from ..config import dataset_config
from ..contracts import HasSources, innermost
from ..engine.data import build_dataset
from ..registry import RENAMED
from ..utils.files import read_json
from ..utils.provenance import differences, digest, source_stamp, source_stamps
from ..utils.weight_files import split_spec

RECORD = "made_of.json"  # of a training, in its folder
# keys that change no number
UNCOMPARED = (
    *("*.num_workers", "*.cache", "work_dir", "workflow.logging_interval", "workflow.tensorboard"),
    *("workflow.wandb", "workflow.wandb.*", "hooks.*.root"),
)


def made_of(cfg, splits, checkpoint=None, *, with_config=True) -> dict:
    """The record of what a run depends on.

    Args:
        cfg: the config as it was asked for.
        splits: {name: dataset}, or names, of the splits that the run reads.
        checkpoint: weights that it evaluates, "PATH" or "PATH:KEY".
        with_config: keep the config too.
    """
    splits = splits if isinstance(splits, dict) else {name: build_dataset(cfg.dataset, name) for name in splits}
    plain = cfg.to_dict()
    config = {key: _whole(value) for key, value in flat(plain).items() if not _free(key)}
    record = {"config": config} if with_config else {}
    record |= {"files": _files({"model": plain["model"], "branches": plain.get("branches", {})})}
    record["data"] = {name: _data(dataset, dataset_config(cfg.dataset, name)) for name, dataset in splits.items()}
    if checkpoint is not None:
        record["files"]["checkpoint"] = source_stamp(split_spec(str(checkpoint))[0])
    return record


def record_of(numbers) -> Path:
    """The path of the record beside a file of numbers."""
    numbers = Path(numbers)
    return numbers.with_name(f"{numbers.stem}.{RECORD}")


def changes_since(path, record) -> list | None:
    """What differs between the record at `path` and another, as lines of text; None where there is none."""
    if not Path(path).is_file():
        return None
    kept = read_json(path, "record of what a run was made of")
    if not isinstance(kept, dict) or not all(isinstance(part, dict) for part in kept.values()):
        raise ValueError(f"record {path} is not one of what a run was made of; move it away to continue without it")
    one, other = kept.get("config", {}), record.get("config", {})
    key = other_config(one, other) if one and other else None
    found = [f"{key} was {one.get(key)!r} and is {other.get(key)!r}"] if key else []
    return found + [line for part in ("files", "data") for line in differences(kept.get(part, {}), record[part])]


def other_config(kept, now):
    """The first key in which two flat configs differ so that it counts, or None."""
    kept, now = _with_current_names(kept), _with_current_names(now)
    differ = [key for key in sorted({*kept, *now}) if not _same(kept.get(key), now.get(key))]
    return next((key for key in differ if not _free(key)), None)


def _with_current_names(config):
    """A flat config, of which an earlier version may have written names that have changed since."""
    keys = {key: ".".join(RENAMED.get(part, (part,))[0] for part in key.split(".")) for key in config}
    return {
        keys[key]: RENAMED.get(value, (value,))[-1] if isinstance(value, str) else value
        for key, value in config.items()
    }


def flat(tree, prefix="") -> dict:
    """{"a.b.0": value} of dicts and lists in each other."""
    several = isinstance(tree, (list, tuple))
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if several else None
    if not pairs:
        return {prefix.removesuffix("."): tree}
    return {key: value for name, inner in pairs for key, value in flat(inner, f"{prefix}{name}.").items()}


def _data(dataset, cfg):
    """Names and labels of the samples of a dataset and the files that they come from, or else those of its config."""
    if not isinstance(dataset, HasSources):
        dataset = innermost(dataset)
    if not isinstance(dataset, HasSources):
        return _files(cfg)
    named = [list(map(str, dataset.classes)), dataset.videos, [int(label) for label in dataset.labels]]
    stamps = source_stamps({name: path for name, path in dataset.sources().items() if Path(path).is_file()})
    return {"videos": len(dataset.videos), "names_and_labels": digest(named), "sources": stamps}


def _files(tree):
    """{key: stamp} of the values of a config that name a file, perhaps with the key of its weights."""
    texts = {key: value for key, value in flat(tree).items() if isinstance(value, (str, os.PathLike))}
    paths = {key: _file(str(value)) for key, value in texts.items()}
    return {key: source_stamp(path) for key, path in paths.items() if path}


def _file(text):
    """The file that a value of a config names, or None."""
    try:
        return next((path for path in (text, split_spec(text)[0]) if os.path.isfile(path)), None)
    except ValueError:  # a text that no path can be
        return None


def _whole(value):
    """A value of a config as JSON has it; a path that is there as the same from everywhere."""
    if isinstance(value, (str, os.PathLike)):
        return os.path.realpath(value) if os.path.exists(value) else str(value)
    return value if isinstance(value, (int, float, type(None))) else repr(value)


def _free(key):
    return any(fnmatch(key, free) for free in UNCOMPARED)


def _same(one, other):
    """Are two values of a config equal, two spellings of one path, or that of a folder or file that was moved?"""
    texts = isinstance(one, str) and isinstance(other, str)
    return one == other or (texts and (os.path.realpath(one) == os.path.realpath(other) or _moved(one, other)))


def _moved(one, other):
    """Is the absolute path `one` gone, and one of the same name there?  Other parts of a record report its content."""
    gone = os.path.isabs(one) and not os.path.exists(one)
    return gone and os.path.exists(other) and os.path.basename(one) == os.path.basename(os.path.realpath(other))
