"""The rotation flag of a video: players turn the picture by it, the stored pixels stay as they are.

The reversed copy keeps the flag rather than turning the pixels: then whatever a reader does with it (some apply it,
some do not), it does the same to both directions. The encoder library cannot write the flag, so it is put into the
finished MP4 file: nine integers in the track header (`tkhd`, ISO/IEC 14496-12, 8.3.2), the same numbers that decoders
report.
"""

import struct
from pathlib import Path

UPRIGHT = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


def display_matrix(frame):
    """Return the nine integers of a decoded frame's display matrix, or None if it is shown as stored."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            matrix = struct.unpack("=9i", bytes(data))
            return None if matrix == UPRIGHT else matrix
    return None


def write_display_matrix(path, matrix):
    """Set the display matrix of the only video track of the MP4 file `path`, in place."""
    if Path(path).suffix.lower() == ".mkv":
        raise ValueError(f"{path}: the video has a rotation flag, which can be kept in .mp4 but not in .mkv")
    with open(path, "r+b") as file:
        begin, end = 0, file.seek(0, 2)
        for kind in (b"moov", b"trak", b"tkhd"):
            begin, end = _find(file, kind, begin, end)
        file.seek(begin)
        long_times = file.read(1) == b"\x01"
        file.seek(begin + (52 if long_times else 40))
        file.write(struct.pack(">9i", *matrix))


def _find(file, kind, begin, end):
    """Return (begin, end) of the content of the first box of this `kind` between the two offsets."""
    while begin + 8 <= end:
        file.seek(begin)
        size, name = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", file.read(8))[0], 16
        size = size or end - begin
        if name == kind:
            return begin + head, begin + size
        begin += size
    raise ValueError(f"{file.name}: no {kind.decode()} box; not an MP4 file?")
