"""Do the sets to learn from and to test on have videos in common?"""

import contextlib
import logging
import os

from ..config import dataset_config
from ..ops.names import overlap
from ..registry import DATASETS
from .base import AnnotationDataset
from .check import Finding, unwrap


def check_splits(splits) -> list:
    """Compare the sets of a config's `dataset`: "train" with each of the others.

    Videos that both have are an error where the sets can list them (`drawn`), unless one of both has `allow_overlap`.
    Of sets over annotation files, a subset that is both is a warning.

    Args:
        splits: the `dataset` of a config.
    Returns:
        list of `Finding`.
    Raises:
        FileNotFoundError, KeyError, ValueError: a set cannot be built.
    """
    others = [name for name in splits if name not in ("train", "wrap")]
    if "train" not in splits or not others:
        return []
    inner = {name: unwrap(dataset_config(splits, name))[0] for name in ("train", *others)}
    kind = DATASETS.find(inner["train"]["type"])
    if issubclass(kind, AnnotationDataset):
        return [found for name in others if (found := _same_subset(inner["train"], inner[name], name))]
    if not hasattr(kind, "drawn"):
        return []
    with _quiet():
        sets = {
            name: DATASETS.build(cfg) for name, cfg in inner.items() if hasattr(DATASETS.find(cfg["type"]), "drawn")
        }
    train, findings = sets.pop("train"), []
    trained = train.drawn()
    for name, other in sets.items():
        allowed = any(getattr(own, "allow_overlap", False) for own in (train, other))
        if not allowed and (text := overlap(trained, other.drawn())):
            cure = "give other videos, or allow_overlap=True for the config to test all the same"
            findings.append(Finding("error", "", f"dataset.{name}: {text}; {cure}"))
    return findings


def _same_subset(train, other, name):
    """A `Finding` if both are one subset of one file, else None."""
    files = [os.path.realpath(cfg["ann_file"]) for cfg in (train, other) if "ann_file" in cfg]
    subset = train.get("subset_name")
    if len(files) < 2 or files[0] != files[1] or subset is None or subset != other.get("subset_name"):
        return None
    text = (
        f"dataset.{name} is the subset {subset!r} of {other['ann_file']}, as dataset.train is: the numbers are those "
    )
    return Finding("warning", "", f"{text}of training")


@contextlib.contextmanager
def _quiet():
    """What building the sets logs is logged again when the run builds them."""
    logger = logging.getLogger("opentad_bi")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
