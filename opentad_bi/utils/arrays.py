"""Arrays from files, never read as other numbers than the file holds.

Checked are the checksums of zip archives, downloads that brought something else, the form of arrays and their numbers.

T rows, C columns
"""

import re
import struct
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ..errors import message_of

_CHUNK = 1 << 20  # bytes
_ZIP_START = b"PK\x03\x04"
_END = struct.Struct("<4s6xH10x")  # signature and number of members in the last record of an archive without a comment
_LFS_START = b"version https://git-lfs.github.com/spec/"
_PAGE = re.compile(rb"\s*<(!doctype\s+html|html|head|body|\?xml)\b", re.IGNORECASE)


def failed_download(path: str | Path) -> str:
    """What a failed download left in place of data, in words: a Git LFS pointer, an HTML page; "" for anything else."""
    with open(path, "rb") as file:
        head = file.read(512)
    if head.startswith(_LFS_START):
        return "a Git LFS pointer, not the file itself: run git lfs pull in its folder, or download it again"
    if _PAGE.match(head.removeprefix(b"\xef\xbb\xbf")):
        return "an HTML page, not data: download it again, in a browser if a login is asked for"
    return ""


def check_archive(path: str | Path) -> None:
    """Compare every member of a zip archive with its checksum (CRC-32); any other file passes.

    torch and NumPy keep such archives (.pth, .pt, .npz), but torch does not compare the checksums when it reads. An
    archive that was written without them (`torch.serialization.set_crc32_options(False)`) passes. Read in chunks, at
    about 1 GB per second.

    Raises:
        ValueError: cut short, or a member is not as it was written; names the file and the member.
    """
    with open(path, "rb") as file:
        starts = file.read(len(_ZIP_START)) == _ZIP_START
        if not starts and not zipfile.is_zipfile(file):
            return
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                _check_count(file, members)
                if not any(info.CRC for info in members):  # written without
                    for info in members:
                        info.CRC = None  # type: ignore[assignment]  # what zipfile checks where it is a number
                changed = next((info.filename for info in members if not _has_checksum(archive, info)), None)
        except Exception as error:  # names, sizes and offsets that are wrong fail in any way
            reason = str(error) or type(error).__name__
            raise ValueError(f"{path} is damaged or not a whole zip archive: {reason}") from error
    if changed is not None:
        raise ValueError(
            f"{path} is damaged: {changed!r} in it differs from its checksum (CRC-32), so the file has changed since "
            "it was written; take another copy"
        )


def _check_count(file, members):
    """The archive lists as many members as its last record, which no checksum covers, says."""
    file.seek(-_END.size, 2)
    start, count = _END.unpack(file.read(_END.size))
    if start == b"PK\x05\x06" and count not in (len(members), 0xFFFF):  # the last: counted in another record
        raise ValueError(f"it lists {len(members)} members, not {count}")


def _has_checksum(archive, info):
    """Read a member to its end, where zipfile compares the checksum."""
    try:
        with archive.open(info) as member:
            while member.read(_CHUNK):
                pass
    except zipfile.BadZipFile as error:
        if "CRC-32" not in str(error):
            raise
        return False
    return True


NUMBERS = "biuf"  # kinds of dtype that can be read as float32: truth values, whole numbers, floats
FLOAT16_MAX = 65504.0


def open_array(path: str | Path, what: str = "features") -> np.ndarray:
    """Map a .npy file into memory, read-only, without reading its numbers.

    Args:
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
        reason = f"it is {found}" if found else message_of(error)
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
