"""Raw maps of a trained pair, kept in files: what a fusion needs to train while the detectors are frozen.

T grid positions, V of them valid, K classes, P points of all levels, N segments
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ...contracts import Dataset
from ...errors import some
from ...ops.names import PAIR
from ...ops.records import SampleMeta
from ...registry import DATASETS
from ...utils.arrays import float32_table
from ...utils.checks import CheckResult, judge
from ...utils.files import atomic, list_folder, read_json, write_json
from ...utils.logging import LOGGER
from ...utils.provenance import changed_files, is_stamp, named
from ...utils.weight_files import load_checkpoint
from ..common.check import SEVERAL, problems_of, spread, try_build
from ..transforms.compose import Sample
from .paired import collate


def check_cached(
    build: Callable, arguments: Mapping[str, Any], *, full: bool = True, workers: int = 4
) -> list[CheckResult]:
    """Check `CachedPredictions`: the record and the files, all of them in the full check.

    Args: see `check_features`.
    """
    data, failed = try_build("cached predictions", build, arguments)
    if failed:
        return failed
    looked = range(len(data)) if full else spread(len(data), SEVERAL)
    problems = problems_of([lambda n=n: _finite_maps(data, n) for n in looked], workers)
    bad = f"{len(problems)} of {len(looked)} are damaged: {some(problems)}" if problems else ""
    summary = f"{len(looked)} of {len(data)} files were read"
    return [judge("cached predictions", summary, error=bad, hint="make them again with opentad-bi cache-predictions")]


def _finite_maps(data, number):
    """Raise unless a kept sample holds finite maps of both directions."""
    sample = data[number]
    for direction, maps in sample["raw"].items():
        float32_table(maps.numpy(), f"cached predictions {data.files[number]}, {direction},")


PATTERN = "epoch{epoch:03d}_{index:06d}.pt"
RECORD = "cache.json"
_AGAIN = "make them again with opentad-bi cache-predictions"
_NAME = re.compile(r"epoch\d{3,}_\d{6,}\.pt")


@DATASETS.register_module()
class CachedPredictions(Dataset):
    """Training windows as the maps of both detectors, one file each (opentad-bi cache-predictions writes them).

    A sample has `raw` {"for": (K + 2, P) float32, "back": ...}, `masks` (T,) bool, `gt_segments`, `gt_labels` and
    `meta`, in forward time. The random numbers were taken when the files were: a sample does not depend on the seed.

    Attributes: `classes`, and `networks`, {direction: digest of the weights that made the maps} (None: not known).

    Args:
        folder: where the files lie.
    Raises:
        FileNotFoundError: no files there.
        ValueError: not as many files as were to be written, their record is damaged, or a file that they were made of
            was replaced. A damaged file, or one of something else, is one when it is read, as every file is compared
            with its checksum.
    """

    collate = staticmethod(collate)

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        self.files = [path for path in list_folder(folder, absent=True) if _NAME.fullmatch(path.name)]
        if not self.files:
            raise FileNotFoundError(
                f"{folder} holds no cached predictions; make them with opentad-bi cache-predictions"
            )
        record = read_json(folder / RECORD, "record of cached predictions")
        _check_record(record, folder / RECORD)
        if record["windows"] != len(self.files):
            raise ValueError(
                f"{folder} holds {len(self.files)} cached predictions, but {record['windows']} were to be written; "
                f"{_AGAIN}"
            )
        self.classes, self.networks = record["classes"], record.get("networks")
        if self.networks is None:
            LOGGER.warning("%s does not say which networks made it, as an older version made it", folder / RECORD)
        if changes := changed_files(record.get("sources") or {}):
            raise ValueError(
                f"the predictions in {folder} are of {len(changes)} files that were replaced since: {named(changes)}; "
                f"{_AGAIN}, into another folder"
            )

    @classmethod
    def verdicts(cls, arguments: Mapping[str, Any], *, full: bool = True, workers: int = 4) -> list[CheckResult]:
        """What is wrong with such a set, as a list of `CheckResult`; see `check.check_cached`."""
        return check_cached(cls, arguments, full=full, workers=workers)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, key: int | tuple[int, int]) -> Sample:
        index, seed = key if isinstance(key, tuple) else (key, key)
        return self.sample(index, seed)

    def sample(self, index: int, seed: int, back_data_path: str | Path | Sequence[str | Path] | None = None) -> Sample:
        """Sample `index`; the backward side is in it, so there is nothing to read from `back_data_path`."""
        stored = load_checkpoint(self.files[index])
        if wrong := _wrong_entry(stored, self.classes):
            raise ValueError(f"cached predictions {self.files[index]} are damaged: {wrong}; {_AGAIN}")
        valid, length = stored.pop("valid"), stored.pop("length")
        meta = SampleMeta(stored.pop("video"), 1.0, float(length), 1, valid_length=valid)
        return stored | {"masks": torch.arange(length) < valid, "meta": meta}


def _check_record(record, path):
    """ValueError unless the record holds what `write_record` writes."""
    record = record if isinstance(record, dict) else {}
    windows, classes = record.get("windows"), record.get("classes", "none")
    named = isinstance(classes, list) and classes and all(isinstance(name, str) for name in classes)
    sources = record.get("sources") or {}
    stamped = isinstance(sources, dict) and all(map(is_stamp, sources.values()))
    if type(windows) is not int or not (classes is None or named) or not stamped:
        raise ValueError(
            f"record of cached predictions {path} must hold 'windows', a number, 'classes', a list of names or null, "
            f"and 'sources', stamps of files, if any; {_AGAIN}"
        )


def _wrong_entry(sample, classes):
    """What in a file is not as `write_cached` writes it, in words; "" if all is."""
    if not isinstance(sample, dict):
        return f"a {type(sample).__name__} instead of a sample"
    raw, segments, labels, length, valid = (
        sample.get(key) for key in ("raw", "gt_segments", "gt_labels", "length", "valid")
    )
    maps = [raw.get(direction) for direction in PAIR] if isinstance(raw, dict) else []
    if not maps or not all(_is_map(value) for value in maps) or maps[0].shape != maps[1].shape:
        return f"raw[{'], raw['.join(map(repr, PAIR))}] must be finite maps (K + 2, P) of one shape"
    rows = len(maps[0])
    if classes is not None and rows != len(classes) + 2:
        return f"maps of {rows} rows, but {RECORD} names {len(classes)} classes, which make {len(classes) + 2}"
    if type(length) is not int or type(valid) is not int or not 0 < valid <= length:
        return f"valid={valid!r} and length={length!r} must be whole numbers, 0 < valid <= length"
    if not isinstance(segments, torch.Tensor) or not segments.is_floating_point() or segments.shape[1:] != (2,):
        return "gt_segments must be a table (N, 2) of numbers"
    whole = isinstance(labels, torch.Tensor) and labels.dtype is torch.int64
    if not whole or labels.shape != segments.shape[:1] or not ((labels >= 0) & (labels < rows - 2)).all():
        return f"gt_labels must be {len(segments)} whole numbers from 0 to {rows - 3}"
    if not segments.isfinite().all():
        return "gt_segments are not finite"
    return "" if isinstance(sample.get("video"), str) else "there is no name of the video"


def _is_map(value):
    return (
        isinstance(value, torch.Tensor)
        and value.layout is torch.strided
        and value.is_floating_point()
        and not value.is_meta
        and value.dim() == 2
        and len(value) > 2
        and bool(value.isfinite().all())
    )


def write_record(folder: str | Path, *, windows: int, classes: Sequence[str] | None, **more: Any) -> None:
    """Say beside the files how many there are, the names of the classes (or None), and what made them."""
    write_json(Path(folder) / RECORD, {"windows": windows, "classes": classes, **more})


def write_cached(
    folder: str | Path, epoch: int, index: int, batch: Mapping[str, Any], maps: Mapping[str, torch.Tensor]
) -> None:
    """Write the samples of a batch, counted from `index`.

    Args:
        epoch: pass over the training set.
        index: number of the first sample in it.
        batch: forward side: `masks`, `gt_segments`, `gt_labels`, `meta`.
        maps: {"for": (B, K + 2, P), "back": ...}.
    """
    for row, meta in enumerate(batch["meta"]):
        sample = {
            "raw": {direction: maps[direction][row].cpu().clone() for direction in PAIR},
            "gt_segments": batch["gt_segments"][row].cpu().clone(),
            "gt_labels": batch["gt_labels"][row].cpu().clone(),
            "valid": int(batch["masks"][row].sum()),
            "length": batch["masks"].shape[1],
            "video": meta.video,
        }
        with atomic(Path(folder) / PATTERN.format(epoch=epoch, index=index + row)) as temporary:
            torch.save(sample, temporary)
