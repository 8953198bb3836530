"""Reverse a video file in time: the same frames, each shown for as long as before, in the opposite order.

The reversed copy keeps a rotation flag rather than turning the pixels: then whatever a reader does with it (some apply
it, some do not), it does the same to both directions.
"""

import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...utils.files import atomic
from ...utils.provenance import source_stamp
from ..frames import (
    DamagedVideoError,
    FrameIndex,
    FrameRanges,
    UnindexedFrameError,
    display_matrix,
    frame_rate,
    index_frames,
    open_video,
    write_display_matrix,
)
from ..h264 import H264Writer, check_container

log = logging.getLogger(__name__)

REVERSED = "opentad_bi.reversed"  # key of the record in the comment of a reversed video
CHUNK_BYTES = 256 << 20  # decoded frames held at once, whatever `chunk` says


@dataclass(frozen=True)
class ReversedVideo:
    """What was written: `frames`, `seconds` of video, mean `fps`, and whether audio was left out."""

    frames: int
    seconds: float
    fps: float
    dropped_audio: bool


def reverse_video(
    src: Path | str,
    dst: Path | str,
    *,
    crf: int = 18,
    lossless: bool = False,
    gop: int = 60,
    preset: str = "veryfast",
    chunk: int = 600,
    threads: int = 0,
    overwrite: bool = False,
    keep_damaged: bool = False,
) -> ReversedVideo:
    """Write `src` played backwards to `dst` and return a ReversedVideo.

    Frame n of N becomes frame N-1-n with its own duration; a frame shown in [a, b) of a video that ends at E is shown
    in [E-b, E-a). Number of frames, frame rate (constant or not) and duration stay; pixels stay in the video's own YUV
    format, and bit by bit if `lossless`. A rotation flag is kept. Audio is left out, which the log says.
    At most `chunk` decoded frames are in memory (fewer for large pictures), never the video.
    `dst` appears only when it is complete, and its comment holds the stamp of `src` and the settings, see `made_of`.

    Args:
        src, dst: files; `dst` ends in .mp4, .mov, .m4v or .mkv.
        crf, lossless, gop, preset, threads: see H264Writer.
        chunk: most decoded frames in memory.
        keep_damaged: reverse what can be decoded of a damaged file.
    Raises:
        FileExistsError: `dst` is there and may not be replaced.
        DamagedVideoError: `src` cannot be decoded to its end.
        ValueError: settings that are invalid, or `src` and `dst` are one file.
    """
    src, dst = Path(src), Path(dst)
    check_container(dst)
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1 frame, got {chunk}")
    if dst.exists():
        if src.exists() and dst.samefile(src):
            raise ValueError(f"{src} cannot be reversed onto itself")
        if not overwrite:
            raise FileExistsError(f"{dst} exists; overwrite=True (--overwrite) replaces it")
    if not 0 <= crf <= 51:
        raise ValueError(f"invalid crf {crf}: H.264 has 0 (largest file) to 51")
    writing = {"crf": crf, "lossless": lossless, "gop": gop, "preset": preset}
    record = {"source": source_stamp(src), "settings": writing | {"keep_damaged": keep_damaged}}
    options = {
        "chunk": chunk,
        "threads": threads,
        "keep_damaged": keep_damaged,
        "comment": json.dumps({REVERSED: record}),
    }
    index = index_frames(src, keep_damaged=keep_damaged)
    if index is not None:
        try:
            return _reverse(src, dst, index, **options, **writing)
        except UnindexedFrameError as error:
            log.info("%s is not where the packets say; the video is decoded to a lossless copy first", error)
    return _reverse_by_copy(src, dst, **options, **writing)


def made_of(dst: Path | str) -> dict | None:
    """What a reversed video was made of, by its comment: {"source": stamp, "settings": dict}, or None without one."""
    container, _ = open_video(dst)
    with container:
        tags = {name.lower(): text for name, text in container.metadata.items()}
    try:
        return json.loads(tags.get("comment", ""))[REVERSED]
    except (ValueError, KeyError, TypeError):  # a comment of somebody else
        return None


def _reverse(src, dst, index, *, chunk, keep_damaged, threads, **writing):
    chunk = min(chunk, max(1, CHUNK_BYTES // index.frame_bytes))
    ranges = FrameRanges(src, index, threads=threads, keep_damaged=keep_damaged)
    with atomic(dst) as temporary, ranges:
        context = ranges.stream.codec_context
        matrix = None
        with _writer(temporary, context, index.rate, index.time_base, threads=threads, **writing) as writer:
            for first, stop in chunks_from_end(index, chunk):
                frames = ranges(first, stop)
                if first == 0:
                    matrix = display_matrix(frames[0])
                for n in range(stop - 1, first - 1, -1):
                    pts, end = int(index.pts[n]), int(index.ends[n])
                    writer.write(frames.pop(), int(index.ends[-1]) - end, end - pts)
        if matrix:
            write_display_matrix(temporary, matrix)
    if index.has_audio:
        log.info("%s: audio was left out of %s", src, dst)
    return ReversedVideo(len(index), index.seconds, float(index.rate), index.has_audio)


def _writer(path, context, rate, time_base, **writing):
    """A writer of frames as the decoder `context` gives them."""
    shape = {"size": (context.width, context.height), "pix_fmt": context.pix_fmt}
    return H264Writer(path, **shape, rate=rate, time_base=time_base, like=context, **writing)


def chunks_from_end(index: FrameIndex, chunk: int) -> Iterator[tuple[int, int]]:
    """Yield (first, stop) frame ranges of at most `chunk` frames from the end of the video to its beginning.

    A range begins at a keyframe where one is near enough, so that nothing is decoded twice; a longer GOP is taken in
    several ranges, each decoded from its keyframe again.
    """
    keys = index.pts.searchsorted(index.key_pts)
    stop = len(index)
    while stop > 0:
        near = keys[(keys >= stop - chunk) & (keys < stop)]
        first = int(near[0]) if len(near) else max(0, stop - chunk)
        yield first, stop
        stop = first


def _reverse_by_copy(src, dst, **options):
    """Reverse a video whose packets do not say when frames are shown, through a lossless copy that does."""
    dst.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=dst.parent, prefix=f".{dst.stem}.") as folder:
        copy = Path(folder) / "copy.mp4"
        copy_lossless(src, copy, threads=options["threads"], keep_damaged=options["keep_damaged"])
        return _reverse(copy, dst, index_frames(copy), **options)


def copy_lossless(src: Path, dst: Path, *, threads: int = 0, keep_damaged: bool = False) -> None:
    """Decode `src` from first to last frame and write the same frames to `dst`, at a constant rate.

    Raises:
        DamagedVideoError: a frame cannot be decoded and `keep_damaged` is False, or none can.
    """
    import av

    container, stream = open_video(src)
    with container:
        context, rate = stream.codec_context, frame_rate(stream)
        context.thread_count = threads
        fast = {"lossless": True, "preset": "ultrafast", "threads": threads, "gop": 30}
        n = 0
        with _writer(dst, context, rate, 1 / rate, **fast) as writer:
            for packet in _packets(container, stream, src, keep_damaged):
                try:
                    frames = packet.decode()
                except av.FFmpegError as error:
                    _report_damage(f"{src}: frame {n} cannot be decoded ({error.strerror})", keep_damaged)
                    continue
                for frame in frames:
                    if frame.is_corrupt:
                        _report_damage(f"{src}: frame {n} is damaged", keep_damaged)
                    writer.write(frame, n, 1)
                    n += 1
    if n == 0:
        raise DamagedVideoError(f"{src}: no frame can be decoded")


def _packets(container, stream, src, keep_damaged):
    """The packets of a file, up to where it can be read."""
    import av

    try:
        yield from container.demux(stream)
    except av.FFmpegError as error:
        _report_damage(f"{src}: the file cannot be read to its end ({error.strerror})", keep_damaged)


def _report_damage(what, keep_damaged):
    if not keep_damaged:
        raise DamagedVideoError(what)
    log.warning(what)
