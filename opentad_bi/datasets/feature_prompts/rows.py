"""Rows of many .npy feature files through memory maps that are opened once and hold no file descriptor.

T rows of a file, D width, B samples, U rows of a snippet
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from ...utils.arrays import open_array

MOST_CROPS = 10  # of a row: corners and centre, and all of these mirrored


@dataclass(frozen=True, slots=True)
class FeatureFile:
    """One .npy file of features.

    Args:
        path: the file.
        video: name of the video; crops of one video share it.
        label: class of the video.
        rows, width: T and D.
        dtype: type of a number in the file.
        offset: bytes before the first number.
        fortran: True if the numbers lie column by column.
        crops: crops of a row, each with D numbers, 0 where a row is D numbers alone.
    """

    path: Path
    video: str
    label: int
    rows: int
    width: int
    dtype: np.dtype
    offset: int
    fortran: bool
    crops: int = 0


def describe_file(path: Path, video: str, label: int) -> FeatureFile:
    """Read the header of a feature file.

    Raises:
        ValueError: naming the file: not a whole .npy file of floats (T, D) or of crops (T, 10, D) with T >= 1.
    """
    table = cast(np.memmap, open_array(path))
    if table.ndim == 3 and not 1 <= table.shape[1] <= MOST_CROPS:
        raise ValueError(
            f"features {path} have the shape {table.shape}; expected are rows (T, D), or crops of rows (T, 10, D) with "
            f"at most {MOST_CROPS} crops; crops that come first are brought there by transpose(1, 0, 2)"
        )
    if table.ndim not in (2, 3) or table.dtype.kind != "f" or table.dtype.itemsize > 8:
        raise ValueError(
            f"features {path}: a table (rows, width) or (rows, crops, width) of float16, float32 or float64 is "
            f"expected, not {table.dtype} of shape {table.shape}"
        )
    if not table.size:
        raise ValueError(f"features {path} hold no rows: their shape is {table.shape}")
    fortran = table.flags.f_contiguous and not table.flags.c_contiguous
    rows, *crops, width = table.shape
    return FeatureFile(path, video, label, rows, width, table.dtype, int(table.offset), fortran, *crops)


def check_crop(files: Sequence[FeatureFile], crop: int | None) -> None:
    """ValueError if a file has crops of its rows, but not that of the number `crop`."""
    for file in files:
        if crop is not None and file.crops and crop >= file.crops:
            raise ValueError(f"crop {crop} is not one of the {file.crops} crops, from 0, of features {file.path}")


def map_file(file: FeatureFile) -> np.ndarray:
    """Map a file into memory, read-only.  Returns (T, D), or (T, crops, D), in the type of the file."""
    shape = (file.rows, file.crops, file.width) if file.crops else (file.rows, file.width)
    size = file.offset + math.prod(shape) * file.dtype.itemsize
    if not file.path.is_file():
        raise FileNotFoundError(f"features {file.path} are gone; they were there when the dataset was made")
    if file.path.stat().st_size < size:
        raise ValueError(f"features {file.path} have become shorter since the dataset was made")
    # unlike np.memmap this keeps no descriptor open, of which a process may have about a thousand
    storage = cast(torch.UntypedStorage, torch.UntypedStorage.from_file(str(file.path), False, size))
    numbers = torch.empty(0, dtype=torch.uint8).set_(storage).numpy()[file.offset :].view(file.dtype)
    table = numbers.reshape(shape[::-1]).T if file.fortran else numbers.reshape(shape)
    table.flags.writeable = False
    return table


class FeatureTables:
    """The rows of many files; a process maps each file at most once, at its first use.

    Args:
        files: list of FeatureFile of one width. `half` is True if all are float16.
        crop: of files with crops of each row: which one is a row, or None: their mean.
    """

    def __init__(self, files: Sequence[FeatureFile], crop: int | None = None) -> None:
        self.files, self.crop = files, crop
        self.width = files[0].width
        # a mean of float16 numbers is none
        self.half = all(file.dtype == np.float16 and (crop is not None or not file.crops) for file in files)
        self._tables: list[np.ndarray | None] = [None] * len(files)
        self._means: dict[int, torch.Tensor] = {}

    def __getstate__(self):
        return self.__dict__ | {"_tables": [None] * len(self.files), "_means": {}}

    def __getitem__(self, number: int) -> np.ndarray:
        """The (T, D) rows of file `number`, read-only."""
        table = self._tables[number]
        if table is None:
            table = self._tables[number] = map_file(self.files[number])
        return self._of_crops(table)

    def _of_crops(self, block):
        """Some rows: (U, D) as they are, (U, crops, D) -> (U, D)"""
        if block.ndim == 2:
            return block
        return block.mean(axis=1, dtype=np.float32) if self.crop is None else block[:, self.crop]

    def units(self, numbers: Sequence[int], starts: Sequence[int], unit: int) -> tuple[torch.Tensor, np.ndarray]:
        """Snippets of `unit` rows; where a file ends earlier, its last row is repeated.

        Args:
            numbers, starts: lists of B files and first rows.
        Returns:
            float32 tensor (B, U, D), and the array it was made of, float16 if all files are.
        Raises:
            ValueError: naming the file and the row of a number that is not finite.
        """
        tables: list[Any] = self._tables
        for number in numbers:
            if tables[number] is None:
                self[number]
        pairs = zip(numbers, starts, strict=True)
        blocks = [self._of_crops(tables[number][start : start + unit]) for number, start in pairs]
        if unit > 1:
            blocks = [_fill(block, unit) if len(block) < unit else block for block in blocks]
        rows = np.concatenate(blocks, dtype=np.float16 if self.half else np.float32, casting="same_kind")
        rows = rows.reshape(len(numbers), unit, self.width)
        features = torch.from_numpy(rows).float()
        if not np.isfinite(float(features.sum())):  # the quick test also fails on a sum that overflows
            self._check(features, numbers, starts)
        return features, rows

    def means(self, numbers: Sequence[int]) -> torch.Tensor:
        """Means over all rows of B files, kept once computed.  Returns a float32 tensor (B, 1, D)."""
        for number in numbers:
            if number not in self._means:
                mean = torch.from_numpy(self[number].mean(axis=0, dtype=np.float64)).float()
                if not mean.isfinite().all():
                    with np.errstate(over="ignore"):
                        rows = torch.from_numpy(self[number].astype(np.float32))
                    self._check(rows[None], [number], [0])
                self._means[number] = mean
        return torch.stack([self._means[number] for number in numbers])[:, None]

    def _check(self, features, numbers, starts):
        """Raise a ValueError if there is a number that is not finite, saying where it stands."""
        bad = ~torch.isfinite(features).all(-1)  # (B, U)
        if bad.any():
            sample, row = bad.nonzero()[0].tolist()
            file = self.files[numbers[sample]]
            row = min(starts[sample] + row, file.rows - 1)
            raise ValueError(
                f"features {file.path}: row {row} (of {file.rows}, from 0) holds NaN, an infinity, or a number that "
                "float32 cannot hold; extract this file again"
            )


def _fill(block, unit):
    """Repeat the last row of a block up to `unit` rows."""
    return np.concatenate([block, np.repeat(block[-1:], unit - len(block), axis=0)])
