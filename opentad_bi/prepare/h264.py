"""Write H.264 video frame by frame with exact timestamps."""

import logging
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from ..utils.files import atomic

if TYPE_CHECKING:  # PyAV is imported where it is used
    import av

log = logging.getLogger(__name__)

CONTAINERS = (".mp4", ".mov", ".m4v", ".mkv")  # those that keep a time for every frame


class H264Writer:
    """A video file that takes frames in display order; to be used in a `with` block.

    There are no B-frames: decoding order is display order, and every frame can be cut at.

    Args:
        path: file to write; its suffix is one of CONTAINERS.
        size: (width, height) in pixels.
        pix_fmt: pixel format of the frames that will come; the nearest one that H.264 has is written.
        rate: mean frames per second, a Fraction.
        time_base: seconds per tick of the timestamps, a Fraction.
        crf: quality, 0 to 51, smaller is better; 18 is visually lossless.
        lossless: keep every bit of every frame instead (`crf` has no effect).
        gop: most frames between two keyframes.
        preset: speed of the encoder, from `ultrafast` to `veryslow`.
        threads: encoder threads, 0 = as many as there are cores.
        like: a decoder's codec context, from which colour description and pixel shape are taken.
        comment: text that the file holds as metadata.
    Raises:
        ValueError: a suffix that is not one of CONTAINERS.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        size: tuple[int, int],
        rate: Fraction,
        time_base: Fraction,
        pix_fmt: str = "yuv420p",
        crf: int = 18,
        lossless: bool = False,
        gop: int = 60,
        preset: str = "veryfast",
        threads: int = 0,
        like: "av.VideoCodecContext | None" = None,
        comment: str = "",
    ) -> None:
        import av

        check_container(path)
        self.path = Path(path)
        self.size, self.time_base = size, time_base
        self.pix_fmt = nearest_pix_fmt(pix_fmt, size)
        if self.pix_fmt != pix_fmt:
            log.info("%s: pixels are converted from %s to %s, which H.264 can hold", path, pix_fmt, self.pix_fmt)
        flags = {} if Path(path).suffix.lower() == ".mkv" else {"movflags": "+faststart"}
        self.container = av.open(str(path), "w", container_options=flags)
        if comment:
            self.container.metadata["comment"] = comment
        self.stream = self.container.add_stream("libx264", rate=rate)
        self.stream.width, self.stream.height = size
        self.stream.pix_fmt = self.pix_fmt
        self.stream.time_base = time_base
        context = self.stream.codec_context
        context.time_base = time_base
        context.gop_size = gop
        context.thread_count = threads
        quality = {"qp": "0"} if lossless else {"crf": str(crf)}
        context.options = {"preset": preset, "bf": "0", **quality}
        if like is not None:
            self._describe(context, like)
        self._durations: dict[int, int] = {}

    @staticmethod
    def _describe(context, like):
        context.color_range = like.color_range
        context.color_primaries = like.color_primaries
        context.color_trc = like.color_trc
        context.colorspace = like.colorspace
        if like.sample_aspect_ratio:
            context.sample_aspect_ratio = like.sample_aspect_ratio

    def write(self, frame: "av.VideoFrame", pts: int, duration: int) -> None:
        """Append `frame`, shown from tick `pts` for `duration` ticks.

        Raises:
            ValueError: the container does not accept the time.
        """
        import av

        if (frame.width, frame.height, frame.format.name) != (*self.size, self.pix_fmt):
            frame = frame.reformat(*self.size, format=self.pix_fmt)
        frame.pts, frame.time_base = pts, self.time_base
        frame.pict_type = av.video.frame.PictureType.NONE  # else the encoder repeats the source's frame types
        self._durations[pts] = duration
        self._mux(self.stream.encode(frame))

    def _mux(self, packets):
        import av

        for packet in packets:
            packet.duration = self._durations.pop(packet.pts)
            try:
                self.container.mux(packet)
            except av.ArgumentError as error:
                raise ValueError(
                    f"the container {self.path.suffix} accepts no frame at tick {packet.pts} of {self.time_base} s "
                    f"({error.strerror}); the time stamps of the source may be damaged"
                ) from error

    def __enter__(self) -> "H264Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._mux(self.stream.encode())
        finally:
            self.container.close()


def write_pictures(
    path: Path | str,
    pictures: Iterable[np.ndarray],
    *,
    size: tuple[int, int],
    fps: int,
    form: str = "rgb24",
    crf: int = 18,
    gop: int = 60,
) -> None:
    """Write uint8 arrays as a video, atomically, by one thread: the file does not depend on the cores.

    Args:
        pictures: (H, W, 3) each, or what `form` has.
        size: (width, height) in pixels.
        form: pixel format of the arrays.
        crf, gop: see `H264Writer`.
    """
    import av

    rate = Fraction(fps)
    with (
        atomic(path) as temporary,
        H264Writer(temporary, size=size, rate=rate, time_base=1 / rate, crf=crf, gop=gop, threads=1) as writer,
    ):
        for n, picture in enumerate(pictures):
            writer.write(av.VideoFrame.from_ndarray(picture, format=form), n, 1)


def check_container(path: Path | str) -> None:
    """Raise ValueError unless `path` has the suffix of a container that keeps a time for every frame."""
    if Path(path).suffix.lower() not in CONTAINERS:
        raise ValueError(f"{path}: video can be written as {', '.join(CONTAINERS)} only")


def nearest_pix_fmt(pix_fmt: str, size: tuple[int, int]) -> str:
    """Return `pix_fmt` if H.264 can hold it at `size` (width, height), else the format nearest to it."""
    import av

    known = {f.name for f in av.codec.Codec("libx264", "w").video_formats or ()}
    odd_width, odd_height = size[0] % 2, size[1] % 2
    name = pix_fmt
    if name not in known:
        deep = any(c.bits > 8 for c in av.VideoFormat(pix_fmt).components)
        name = "yuv420p10le" if deep else "yuv420p"
    if odd_width or odd_height:  # chroma of half size needs even sides
        name = {"yuv420p10le": "yuv444p10le", "yuv422p10le": "yuv444p10le"}.get(name, "yuv444p")
    return name
