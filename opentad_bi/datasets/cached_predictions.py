"""Raw maps of a trained pair, kept in files: what a fusion needs to train while the detectors are frozen.

T grid positions, V of them valid, K classes, P points of all levels, N segments
"""

import re
from pathlib import Path

import torch
from torch.utils.data import Dataset

from ..ops.directions import PAIR
from ..ops.sample import SampleMeta
from ..registry import DATASETS
from ..utils.files import atomic, read_json, write_json
from ..utils.folders import list_folder
from .collate import collate

PATTERN = "epoch{epoch:03d}_{index:06d}.pt"
RECORD = "cache.json"
_NAME = re.compile(r"epoch\d{3,}_\d{6,}\.pt")


@DATASETS.register_module()
class CachedPredictions(Dataset):
    """Training windows as the maps of both detectors, one file each (tools/cache_predictions.py writes them).

    A sample has `raw` {"for": (K + 2, P) float32, "back": ...}, `masks` (T,) bool, `gt_segments`, `gt_labels` and
    `meta`, in forward time. The draws were made when the files were: a sample does not depend on the seed.

    Args:
        folder: where the files lie.
    Raises:
        FileNotFoundError: no files there.
        ValueError: not as many files as were to be written.
    """

    collate = staticmethod(collate)

    def __init__(self, folder):
        folder = Path(folder)
        self.files = [path for path in list_folder(folder, absent=True) if _NAME.fullmatch(path.name)]
        if not self.files:
            raise FileNotFoundError(f"{folder} holds no cached predictions; make them with tools/cache_predictions.py")
        record = read_json(folder / RECORD, "record of cached predictions")
        if record["windows"] != len(self.files):
            raise ValueError(
                f"{folder} holds {len(self.files)} cached predictions, but {record['windows']} were to be written; "
                "make them again with tools/cache_predictions.py"
            )
        self.classes = record["classes"]

    def __len__(self):
        return len(self.files)

    def __getitem__(self, key):
        index, seed = key if isinstance(key, tuple) else (key, key)
        return self.sample(index, seed)

    def sample(self, index, seed, back_data_path=None):
        """Sample `index`; the backward side is in it, so there is nothing to read from `back_data_path`."""
        stored = torch.load(self.files[index], weights_only=True)
        valid, length = stored.pop("valid"), stored.pop("length")
        meta = SampleMeta(stored.pop("video"), 1.0, float(length), 1, valid_length=valid)
        return stored | {"masks": torch.arange(length) < valid, "meta": meta}


def write_record(folder, *, windows, classes, **more):
    """Say beside the files how many there are, the names of the classes (or None), and what made them."""
    write_json(Path(folder) / RECORD, {"windows": windows, "classes": classes, **more})


def write_cached(folder, epoch, index, batch, maps):
    """Write the samples of a batch, counted from `index`.

    Args:
        folder: where to.
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
