"""Is an MP4 file whole?  ISO/IEC 14496-12, section 4.2: a file is a row of boxes, each with its size in front."""

import struct
from pathlib import Path


def missing_bytes(path):
    """How many bytes the last top-level box of an MP4 or MOV file claims beyond the end of the file; 0 if whole.

    A file that does not begin with an `ftyp` box (another container) counts as whole.
    """
    size = Path(path).stat().st_size
    at = 0
    with open(path, "rb") as file:
        while at + 8 <= size:
            file.seek(at)
            length, kind = struct.unpack(">I4s", file.read(8))
            if at == 0 and kind != b"ftyp":
                return 0
            if length == 1:
                wide = file.read(8)
                length = struct.unpack(">Q", wide)[0] if len(wide) == 8 else 16
            if length == 0:
                return 0
            if length < 8:
                return 0
            at += length
    return max(0, at - size)
