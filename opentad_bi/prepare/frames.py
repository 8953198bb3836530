"""The frames of a video file: which there are (`index_frames`), any range of them (`FrameRanges`), its rotation flag.

The index comes from the packets alone, nothing is decoded; a range is decoded from the nearest keyframe before it.
"""

import bisect
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

if TYPE_CHECKING:  # PyAV is imported where it is used
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream


class DamagedVideoError(ValueError):
    """A video that cannot be read to its end; the message names the file and the frame reached."""


@dataclass(frozen=True)
class FrameIndex:
    """The frames of a video in the order they are shown.

    Args:
        pts: int64 (N,), when each frame appears, strictly increasing, in `time_base`.
        ends: int64 (N,), when each frame disappears: the next frame's `pts`, or its own duration for the last.
        key_pts: int64 (K,), ascending times of the frames from which decoding can start.
        time_base: seconds per tick.
        rate: mean frames per second.
        frame_bytes: memory of one decoded frame, roughly.
        has_audio: True if there are audio streams beside the video.
    """

    pts: np.ndarray
    ends: np.ndarray
    key_pts: np.ndarray
    time_base: Fraction
    rate: Fraction
    frame_bytes: int
    has_audio: bool

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def seconds(self) -> float:
        """Length of the video, from the first frame's start to the last one's end."""
        return float((self.ends[-1] - self.pts[0]) * self.time_base)


def open_video(path: Path | str) -> "tuple[InputContainer, VideoStream]":
    """Open `path` for reading; return (container, first video stream).  The caller closes the container.

    Frames are decoded by several threads.

    Raises:
        FileNotFoundError: no such file.
        DamagedVideoError: no container, or a stream whose header does not say its codec or picture format.
        ValueError: no video stream.
    """
    import av

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"video {path} does not exist")
    try:
        container = av.open(str(path), metadata_errors="replace")
    except av.FFmpegError as error:
        raise DamagedVideoError(
            f"{path} cannot be opened as a video ({error.strerror}); frame reached: none"
        ) from error
    stream = next((s for s in container.streams.video if not _is_cover(s)), None)
    if stream is None:
        container.close()
        raise ValueError(f"{path} has no video stream")
    if unknown := _unknown(stream):
        container.close()
        raise DamagedVideoError(f"{path}: {unknown} is not known from the file; frame reached: none")
    stream.thread_type = "AUTO"
    return container, stream


def frame_rate(stream: "VideoStream") -> Fraction:
    """Mean frames per second; 25 where the file says nothing."""
    return Fraction(stream.average_rate or stream.guessed_rate or 25)


def _unknown(stream):
    """What a stream does not say of itself although nothing can be decoded without it, or ""."""
    context = stream.codec_context
    if context is None:
        return "the codec of the video"
    if not (context.width and context.height):
        return "the size of the pictures"
    if context.format is None:
        return "the pixel format of the pictures"
    return "" if stream.time_base else "the unit of the time stamps"


def _is_cover(stream):
    """True for the still picture that some music files carry."""
    import av

    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def count_frames(path: Path | str) -> int:
    """How many frames `path` gives when it is decoded from beginning to end.

    Raises:
        DamagedVideoError: it cannot be decoded to its end, or has no frame.
    """
    import av

    container, stream = open_video(path)
    count = 0
    with container:
        try:
            for _ in container.decode(stream):
                count += 1
        except av.FFmpegError as error:
            raise DamagedVideoError(f"{path}: {error.strerror}; frame reached: {count}") from error
    if not count:
        raise DamagedVideoError(f"{path}: no frame can be decoded")
    return count


def index_frames(path: Path | str, *, keep_damaged: bool = False) -> FrameIndex | None:
    """Read the packets of `path`; return a FrameIndex, or None if they do not say when every frame is shown.

    None is usual for AVI with B-frames, whose packets carry no display times.

    Args:
        keep_damaged: index the frames that are there of a file that ends early.
    Raises:
        DamagedVideoError: the file ends before its own table of contents says, or has no frame.
    """
    import av

    container, stream = open_video(path)
    with container:
        # An MP4 edit list may drop frames that the header counts; the demuxer's own list is what it will deliver.
        entries = stream.index_entries if "mp4" in container.format.name else ()
        promised = len(entries) or stream.frames
        packets, broken = [], None
        try:
            for packet in container.demux(stream):
                if packet.size and not (keep_damaged and packet.is_corrupt):
                    packets.append(packet)
        except av.FFmpegError as error:
            broken = error.strerror
        if broken is None and (len(packets) < promised or any(p.is_corrupt for p in packets)):
            broken = "the file ends early"
        if not packets or (broken and not keep_damaged):
            total = f" of {promised}" if promised else ""
            raise DamagedVideoError(f"{path}: {broken or 'no frames'}; frame reached: {len(packets)}{total}")
        return _index(container, stream, packets)


def _index(container, stream, packets):
    guessed = container.format.name == "avi" and stream.codec_context.has_b_frames
    if guessed or any(p.pts is None for p in packets):
        return None
    shown = sorted((p.pts, p.duration or 0) for p in packets if not p.is_discard)
    pts = np.array([t for t, _ in shown], np.int64)
    if not len(pts) or (np.diff(pts) <= 0).any():
        return None
    rate = frame_rate(stream)
    last = shown[-1][1] or (int(pts[-1] - pts[-2]) if len(pts) > 1 else round(1 / (rate * stream.time_base)))
    keys = np.array(sorted(p.pts for p in packets if p.is_keyframe), np.int64)
    bits = sum(c.bits for c in stream.codec_context.format.components)
    return FrameIndex(
        pts=pts,
        ends=np.append(pts[1:], pts[-1] + last),
        key_pts=keys,
        time_base=stream.time_base,
        rate=rate,
        frame_bytes=stream.codec_context.width * stream.codec_context.height * bits // 8,
        has_audio=bool(container.streams.audio),
    )


class UnindexedFrameError(Exception):
    """The packets promised a frame that the decoder does not give; the index of this video is of no use."""


class FrameRanges:
    """Decoded frames of one video by their place in display order.

    Leading pictures of an open GOP come before their keyframe in display order but after it in the file: a range is
    therefore asked for by display times, decoding begins at the last keyframe shown at or before it and goes on until
    every frame is there. Where frames are missing still (intra refresh, coarse seeking), it begins a keyframe earlier.

    Args:
        path: the video.
        index: its FrameIndex.
        threads: decoder threads, 0 = as many as there are cores.
        keep_damaged: accept frames that the decoder had to conceal.
    """

    def __init__(self, path: Path | str, index: FrameIndex, *, threads: int = 0, keep_damaged: bool = False) -> None:
        self.path, self.index, self.threads, self.keep_damaged = path, index, threads, keep_damaged
        self._open()

    def __enter__(self) -> "FrameRanges":
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    def _open(self):
        self.container, self.stream = open_video(self.path)
        self.stream.codec_context.thread_count = self.threads

    def __call__(self, first: int, stop: int) -> "list[av.VideoFrame]":
        """The frames [first, stop) in display order, in the video's own pixel format.

        Raises:
            DamagedVideoError: one of them cannot be decoded.
            UnindexedFrameError: the decoder does not give a frame that the index has.
        """
        wanted = self.index.pts[first:stop].tolist()
        key = bisect.bisect_right(self.index.key_pts, wanted[0]) - 1
        while True:
            if key > 0:
                self.container.seek(int(self.index.key_pts[key]), stream=self.stream)
            else:
                self.container.close()
                self._open()
            frames = self._decode(wanted, first)
            if len(frames) == len(wanted):
                return frames
            if key <= 0:
                self._missing(first + len(frames))
            key -= 1

    def _decode(self, wanted, first):
        """Decode from here; return the `wanted` frames up to the first one that is missing."""
        import av

        frames, pending = [], iter(wanted)
        target = next(pending)
        try:
            for frame in self.container.decode(self.stream):
                if frame.pts is None or frame.pts < target:
                    continue
                if frame.pts > target:
                    break
                if frame.is_corrupt and not self.keep_damaged:
                    self._damaged(first + len(frames), "it is damaged")
                frames.append(frame)
                target = next(pending, None)
                if target is None:
                    break
        except av.FFmpegError as error:
            self._damaged(first + len(frames), error.strerror)
        return frames

    def _missing(self, number: int) -> NoReturn:
        # One packet is one frame in these codecs; others have packets that show nothing.
        if self.stream.codec_context.name in {"h264", "hevc"}:
            self._damaged(number, "it is missing")
        raise UnindexedFrameError(f"{self.path}: frame {number}")

    def _damaged(self, number: int, why: str) -> NoReturn:
        if self.keep_damaged:
            raise UnindexedFrameError(f"{self.path}: frame {number}")
        raise DamagedVideoError(f"{self.path}: frame {number} of {len(self.index)} cannot be decoded ({why})")


# The rotation flag of a video, nine integers: players turn the picture by it, the stored pixels stay as they are. The
# encoder library cannot write it, so it is put into the finished MP4 file: `tkhd`, ISO/IEC 14496-12, 8.3.2.
UPRIGHT = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


def display_matrix(frame: "av.VideoFrame") -> tuple[int, ...] | None:
    """The nine integers of a decoded frame's display matrix, or None if it is shown as stored."""
    if "DISPLAYMATRIX" not in frame.side_data:
        return None
    data = frame.side_data["DISPLAYMATRIX"]  # type: ignore[typeddict-item]  # stubs list motion vectors alone
    matrix = struct.unpack("=9i", bytes(data))
    return None if matrix == UPRIGHT else matrix


def write_display_matrix(path: Path | str, matrix: Sequence[int]) -> None:
    """Set the display matrix of the only video track of the MP4 file `path`, in place.

    Raises:
        ValueError: a file that is not an MP4.
    """
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
    """(begin, end) of the content of the first box of this `kind` between the two offsets."""
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
