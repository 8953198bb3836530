"""Arrays of numbers from files: opened through one function, and never read as other numbers than the file holds.

T rows, C columns
"""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from .archives import failed_download

NUMBERS = "biuf"  # kinds of dtype that can be read as float32: truth values, whole numbers, floats
FLOAT16_MAX = 65504.0


def open_array(path: str | Path, what: str = "features") -> np.ndarray:
    """Map a .npy file into memory, read-only, without reading its numbers.

    Args:
        path: the file.
        what: it holds, for messages.
    Returns:
        array of any shape and dtype but of objects.
    Raises:
        FileNotFoundError: no such file.
        ValueError: it is not one whole .npy file; whatever NumPy raises about a damaged one becomes this error.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{what} {path} do not exist")
    try:
        with np.errstate(over="ignore"):  # of a shape that is larger than any file
            array = np.lib.format.open_memmap(path, mode="r")
        behind = path.stat().st_size - array.offset - array.nbytes
    except Exception as error:  # TokenError, SyntaxError, OverflowError, MemoryError ... of a damaged header
        found = failed_download(path)
        reason = f"it is {found}" if found else _reason(error)
        raise ValueError(f"{what} {path} cannot be read as .npy: {reason}") from error
    if behind > 0 and array.size:
        raise ValueError(
            f"{what} {path} cannot be read as .npy: the header says {array.dtype} {array.shape}, but the file is "
            f"{behind} bytes longer"
        )
    return array


def float32_table(value: ArrayLike, source: str) -> np.ndarray:
    """An array as float32, all of whose numbers are finite.

    Args:
        value: of any shape.
        source: where it comes from, for messages, such as "features a.npy".
    Returns:
        C-contiguous array of the same shape; the same memory where it is float32 already.
    Raises:
        ValueError: complex numbers, text or objects; a number that is NaN, infinite or that float32 cannot hold.
    """
    array = np.asarray(value)
    refuse_other_kinds(array.dtype, source)
    with np.errstate(over="ignore", invalid="ignore"):
        table = np.ascontiguousarray(array, dtype=np.float32).reshape(array.shape)
        # the quick test also fails on a sum that overflows
        sound = bool(np.isfinite(table.sum()))
    if not sound and (problem := not_finite(table, array)):
        raise ValueError(f"{source} hold {problem}; extract this file again")
    return table


def refuse_other_kinds(dtype: np.dtype, source: str) -> None:
    """Raise a ValueError that names `source` if a dtype is not of real numbers: complex, text, objects, records."""
    if dtype.kind not in NUMBERS:
        names = {"c": "complex numbers", "O": "objects", "U": "text", "S": "text", "M": "dates", "m": "durations"}
        kind = names.get(dtype.kind, "records")
        raise ValueError(f"{source} cannot be read: numbers are expected, not {kind} ({dtype})")


def not_finite(table: np.ndarray, source: np.ndarray | None = None) -> str:
    """How many numbers of an array are not finite and where the first stands, in words; "" if all are.

    Args:
        table: floats (T, ...).
        source: the numbers that `table` was made of, if others: those that were finite are told apart.
    """
    wrong = ~np.isfinite(np.atleast_1d(table))
    count = int(wrong.sum())
    if not count:
        return ""
    row = int(np.argmax(wrong.reshape(len(wrong), -1).any(1)))
    plural = "s" if count > 1 else ""
    what = f"NaN or infinite number{plural}"
    if source is not None and np.isfinite(np.atleast_1d(source)[wrong]).all():
        what = f"number{plural} too large for float32"
    return f"{count} {what}, first in row {row} (of {len(wrong)}, from 0)"


def huge(table: np.ndarray) -> str:
    """The largest number beyond the range of float16 in an array of finite ones, in words; "" if there is none."""
    largest = float(np.abs(table).max(initial=0.0))
    if largest <= FLOAT16_MAX:
        return ""
    return f"numbers as large as {largest:.4g}, beyond float16 ({FLOAT16_MAX:g})"


def _reason(error):
    return str(error).strip() or type(error).__name__
