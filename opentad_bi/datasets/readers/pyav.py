"""Frames by PyAV, found through an index of the packets, and what the header of a file says.

The index pass reads packet headers, decodes nothing, and gives the time stamp of every frame. A run of frames is then
decoded from the last keyframe before it; frames to which no other refers and for which nobody asked are not decoded.
AVI has no time stamps of its own (frames are known by their order only), so there one decoding pass counts the frames,
and every request takes those of that pass or, where they were too many to keep, decodes from the start. In MPEG program
streams every request decodes from the start too, as their packets get other time stamps after a seek. Transport streams
have no index: a seek may end behind the keyframe, and is then begun further back.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import require
from ...registry import READERS
from .base import Images, VideoError, VideoReader, refuse_incomplete


@dataclass(frozen=True)
class VideoHeader:
    """Length of a video by its container; containers may be wrong by a few frames.

    Args:
        fps: average frames per second; 0 if not known.
        frames: possible numbers of frames: as the container counts them, and seconds * fps; empty if neither is known.
        seconds: possible durations likewise.
    """

    fps: float
    frames: tuple[int, ...]
    seconds: tuple[float, ...]


def read_header(path: str | Path) -> VideoHeader:
    """Read the header of a video file.

    Raises:
        FileNotFoundError: no such file.
        VideoError: it is empty, cut short or no video.
        ImportError: PyAV is not installed.
    """
    path = Path(path)
    refuse_incomplete(path)
    av = require("av")
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            cover = av.stream.Disposition.attached_pic
            stream = next((s for s in container.streams.video if not s.disposition & cover), None)
            if stream is None:
                raise VideoError(f"video {path} has no video stream")
            fps = float(stream.average_rate or stream.guessed_rate or 0)
            shown = stream.duration * stream.time_base if stream.duration else (container.duration or 0) / av.time_base
            return _header(fps, stream.frames, float(shown))
    except av.FFmpegError as error:
        raise VideoError(f"video {path} cannot be opened: {error.strerror}") from error


def _header(fps, frames, seconds):
    """The possible lengths, from what a container says; 0 is not known."""
    counts = [frames] if frames > 0 else []
    lasts = [seconds] if seconds > 0 else []
    if fps > 0:
        counts, lasts = counts + [round(s * fps) for s in lasts], lasts + [count / fps for count in counts]
    return VideoHeader(fps, tuple(counts), tuple(lasts))


CAPTURED = ("mpegts", "mpeg")  # formats in which broadcasts and cameras are recorded
KEPT = 64 * 2**20  # bytes of decoded frames of a file without times that are kept instead of decoded again


@READERS.register_module(name="pyav")
class PyAVReader(VideoReader):
    """Decode with PyAV.

    Args:
        path: the video file.
        num_threads: decoding threads; 0 lets FFmpeg choose.
    """

    def __init__(self, path: str | Path, num_threads: int = 1) -> None:
        super().__init__(path)
        self._av = require("av")
        self._threads = num_threads
        self._container = self._kept = None
        try:
            self._open()
            self._index()
        except VideoError:
            self.close()
            raise
        except self._av.FFmpegError as error:
            self.close()
            raise VideoError(f"video {self.path} cannot be opened: {error.strerror}") from error
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.fps = float(rate) if rate else 0.0

    def __len__(self) -> int:
        return self._length

    def close(self) -> None:
        self._kept = None
        if self._container is not None:
            self._container.close()
            self._container = None

    def _open(self):
        self.close()
        # tags in odd encodings are no reason to refuse a video
        self._container = self._av.open(str(self.path), metadata_errors="ignore")
        cover = self._av.stream.Disposition.attached_pic
        streams = [stream for stream in self._container.streams.video if not stream.disposition & cover]
        if not streams:
            raise VideoError(f"video {self.path} has no video stream")
        self._stream = streams[0]
        self._codec = self._stream.codec_context
        if self._codec is None:
            raise VideoError(f"video {self.path}: its codec is not known from the file, so nothing can be decoded")
        self._codec.thread_type = "AUTO"
        self._codec.thread_count = self._threads
        self._to_rgb = self._av.video.reformatter.VideoReformatter()
        # from PyAV 17 on the conversion would start a thread per core by default
        self._conversion = {"threads": 1} if int(self._av.__version__.split(".")[0]) >= 17 else {}

    def times(self) -> np.ndarray | None:
        if self._times is None:
            return None
        return (self._times - self._times[0]) * float(self._stream.time_base)

    def _index(self):
        """Time stamps of the shown frames, rising, and of the keyframes; None where the file has none to trust."""
        times, keys = [], []
        form = self._container.format.name
        trusted = form != "avi"
        for packet in self._container.demux(self._stream):
            if packet.size == 0 or packet.is_discard:
                continue
            trusted = trusted and packet.pts is not None
            times.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
        self._times = np.unique(np.asarray(times, dtype=np.int64)) if trusted else None
        if trusted:
            self._keys = np.unique(np.asarray(keys or times[:1], dtype=np.int64))
            if form in CAPTURED:
                # a recording may begin within a group of pictures, whose frames nobody can decode
                first = next((time for time, _ in self._frames_from(None)), None)
                self._times = self._times if first is None else self._times[self._times >= first]
            if form == "mpeg":
                self._keys = self._keys[:0]
            self._length = len(self._times)
        else:
            self._length = self._count()
        if not self._length:
            raise VideoError(f"video {self.path} holds no frames")

    def _count(self):
        """Number of frames of a file without times, found by decoding it; those of a short one are kept."""
        self._open()
        kept, size, count = [], 0, 0
        for frame in self._container.decode(self._stream):
            count += 1
            size += sum(plane.buffer_size for plane in frame.planes)
            if size <= KEPT:
                kept.append(frame)
            else:
                kept.clear()
        self._kept = kept if size <= KEPT else None
        return count

    def _from_start(self):
        """All frames in order, decoded anew unless they were kept."""
        if self._kept is not None:
            return iter(self._kept)
        self._open()
        return self._container.decode(self._stream)

    def _decode(self, images):
        if self._times is None:
            self._decode_in_order(images)
            return
        times = self._times[images.wanted]
        todo = {int(time): position for position, time in enumerate(times)}
        behind = np.searchsorted(self._keys, times, side="right")
        for place in np.unique(behind):
            # frames of one run share the keyframe behind them
            run = {int(time): todo[int(time)] for time in times[behind == place]}
            self._run(self._start(place), run, images, skip=True)
            if run:
                # a wrong index or a frame that something does refer to: the slow way, from the start
                self._run(None, run, images, skip=False)
            if run:
                raise self.damaged(images.wanted[min(run.values())])

    def _start(self, place):
        """Time of the last of the first `place` keyframes; None, the start of the file, where that is none of them."""
        return int(self._keys[place - 1]) if place else None

    def _run(self, start, todo, images, skip):
        """Decode on from the keyframe at `start` until `todo` (time -> position) is empty or the run ends."""
        last = max(todo)
        for time, frame in self._frames_from(start, todo if skip else None):
            if time in todo:
                images.put(todo.pop(time), self._pixels(frame))
            if not todo or time > last:
                return

    def _frames_from(self, start, wanted=None):
        """(time, frame) of the sound frames from the keyframe at `start` on, up to damage or the end.

        With `wanted` (times), frames to which no other refers are left out where they are none of these.
        """
        try:
            for packet in self._packets_from(start):
                useless = wanted is not None and packet.is_disposable and packet.pts not in wanted
                self._codec.skip_frame = "NONREF" if useless else "DEFAULT"
                yield from ((frame.pts, frame) for frame in packet.decode() if not frame.is_corrupt)
        except self._av.FFmpegError:
            # what is missing is named by the caller
            return

    def _packets_from(self, start):
        """Packets from the keyframe at time `start` on; None: from the start of the file, which is not sought."""
        if start is None:
            self._open()
            yield from self._container.demux(self._stream)
            return
        at = np.searchsorted(self._keys, start)
        # to the keyframe; where that ends behind it, to the one before; else through the packets from the start
        for landing in (*self._keys[max(at - 1, 0) : at + 1][::-1], None):
            if landing is None:
                self._open()
            else:
                self._container.seek(int(landing), stream=self._stream, backward=True)
            packets = self._container.demux(self._stream)
            for packet in packets:
                if packet.is_keyframe and packet.pts == start:
                    yield packet
                    yield from packets
                    return
                if packet.is_keyframe and packet.pts > start:
                    break

    def _in_order(self, parts):
        decoded = None
        for number, part in enumerate(parts):
            keys = part if self._times is None else self._times[part]
            if decoded is None:
                decoded = self._onward(parts[number:])
            images = Images(part, self)
            for position, key in enumerate(keys):
                time, frame = next((pair for pair in decoded if pair[0] >= key), (None, None))
                if time != key:
                    break
                images.put(position, self._pixels(frame))
            else:
                yield images.array
                continue
            # a frame is not where it should be: as if this part alone were asked for, with the error if there is one
            decoded = None
            yield self.frames(part)

    def _onward(self, parts):
        """(time or number, frame) of a decoding that goes on to the end of `parts`; other frames may be left out."""
        if self._times is None:
            return self._numbered()
        times = self._times[np.concatenate(parts)]
        behind = np.searchsorted(self._keys, times[0], side="right")
        return self._frames_from(self._start(behind), set(times.tolist()))

    def _numbered(self):
        """(number, frame) of all frames, from the start, up to damage or the end."""
        try:
            yield from enumerate(self._from_start())
        except self._av.FFmpegError:
            # what is missing is named by the caller
            return

    def _decode_in_order(self, images):
        """Decode the whole file from its start up to the last wanted frame."""
        at, wanted = 0, images.wanted
        try:
            for number, frame in enumerate(self._from_start()):
                if number == wanted[at]:
                    images.put(at, self._pixels(frame))
                    at += 1
                    if at == len(wanted):
                        return
        except self._av.FFmpegError as error:
            raise self.damaged(wanted[at], error.strerror) from error
        raise self.damaged(wanted[at])

    def _pixels(self, frame):
        """RGB of a decoded frame, (H, W, 3) uint8, without a copy."""
        rgb = self._to_rgb.reformat(frame, format="rgb24", **self._conversion)
        plane = rgb.planes[0]
        rows = np.frombuffer(plane, dtype=np.uint8).reshape(rgb.height, plane.line_size)
        return rows[:, : rgb.width * 3].reshape(rgb.height, rgb.width, 3)
