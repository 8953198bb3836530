"""A copy of any video that every browser plays: H.264 in MP4, of moderate size."""

import logging
import os
import tempfile
from pathlib import Path

from .frames import DamagedVideoError, display_matrix, frame_rate, open_video, write_display_matrix
from .h264 import H264Writer

log = logging.getLogger(__name__)

PLAYED = {  # by suffix: the family of containers, and the codecs that browsers decode there
    ".mp4": ("mp4", ("h264", "av1", "vp9")),
    ".m4v": ("mp4", ("h264", "av1", "vp9")),
    ".webm": ("webm", ("vp8", "vp9", "av1")),
}
PIXELS = ("yuv420p", "yuvj420p")
MEGABYTE = 1 << 20
CRF = 26  # compression that one does not notice in a small picture


def playable(
    path: Path | str, *, folder: Path | str, max_mb: float = 64, height: int = 480
) -> Path | tuple[str, bytes]:
    """Return a form of the video `path` that browsers play: the path itself where they do.

    Otherwise the pictures are encoded again, at most `height` lines of them, at the times they had counted from the
    first one; audio is left out. One frame is in memory at a time. Up to `max_mb` the copy is returned as
    ("video/mp4", bytes) and leaves no file; a larger one is kept as `folder`/<name of the video>.mp4, and its path is
    returned.

    Args:
        folder: where the copy is written.
        max_mb: largest copy to return as bytes, in units of 2**20 bytes.
        height: most lines of the copy.
    Raises:
        FileNotFoundError: there is no such video.
        DamagedVideoError: it cannot be opened, or no frame of it can be decoded.
    """
    path, folder = Path(path), Path(folder)
    if is_playable(path):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{path.stem}.") as place:
        copy = Path(place) / "copy.mp4"
        encode(path, copy, height=height)
        if copy.stat().st_size <= max_mb * MEGABYTE:
            return "video/mp4", copy.read_bytes()
        kept = folder / f"{path.name}.mp4"
        os.replace(copy, kept)
        return kept


def is_playable(path: Path | str) -> bool:
    """Do all current browsers play the pictures of `path`, going by its suffix, container, codec and pixel format?"""
    container, stream = open_video(path)
    with container:
        family, codecs = PLAYED.get(Path(path).suffix.lower(), ("", ()))
        context = stream.codec_context
        return family in container.format.name and context.name in codecs and context.pix_fmt in PIXELS


def encode(src: Path | str, dst: Path | str, *, height: int = 480) -> None:
    """Write the pictures of `src` to the MP4 `dst`: H.264 yuv420p, at most `height` lines, the first one at time 0."""
    container, stream = open_video(src)
    with container:
        context, rate = stream.codec_context, frame_rate(stream)
        # AVI knows frames by their order only
        counted = container.format.name == "avi"
        time_base = 1 / rate if counted or not stream.time_base else stream.time_base
        matrix, n = None, 0
        size = _fit(context.width, context.height, height)
        with H264Writer(dst, size=size, rate=rate, time_base=time_base, crf=CRF, like=context) as writer:
            frames = _timed(_frames(container, stream, src), rate, time_base, counted)
            for n, (frame, pts, ticks) in enumerate(frames, 1):
                if n == 1:
                    matrix = display_matrix(frame)
                writer.write(frame, pts, ticks)
        if not n:
            raise DamagedVideoError(f"{src}: no frame can be decoded")
    if matrix:
        write_display_matrix(dst, matrix)


def _fit(width, height, most):
    """(width, height) of a picture of at most `most` lines in the same shape, both even as 4:2:0 chroma needs."""
    scale = min(1, most / height)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _frames(container, stream, src):
    """Frames in the order shown; what cannot be decoded is left out."""
    import av

    lost = 0
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.FFmpegError:
            lost += 1
    if lost:
        log.warning("%s: %d packets cannot be decoded; what they show is missing in the copy", src, lost)


def _timed(frames, rate, time_base, counted):
    """(frame, time from the first one, how long it is shown), both in ticks of `time_base`; times rise strictly."""
    usual = max(1, round(1 / (rate * time_base)))
    held, begin, last = None, None, -usual
    for frame in frames:
        pts = None if counted else frame.pts
        if pts is None:
            pts = last + usual
        else:
            begin = pts if begin is None else begin
            pts -= begin
        if pts <= last:
            continue
        if held is not None:
            yield held, last, pts - last
        held, last = frame, pts
    if held is not None:
        yield held, last, usual
