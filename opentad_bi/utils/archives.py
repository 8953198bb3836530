"""Whether a file is what its reader expects: checksums of zip archives, and downloads that brought something else."""

import re
import struct
import zipfile
from pathlib import Path

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
                        info.CRC = None
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
