"""Decode any range of a video's frames, always starting at the nearest keyframe before it."""

import bisect

from .frame_index import DamagedVideoError, open_video


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

    def __init__(self, path, index, *, threads=0, keep_damaged=False):
        self.path, self.index, self.threads, self.keep_damaged = path, index, threads, keep_damaged
        self.container = None
        self._open()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.container.close()

    def _open(self):
        if self.container:
            self.container.close()
        self.container, self.stream = open_video(self.path)
        self.stream.thread_type = "AUTO"
        self.stream.codec_context.thread_count = self.threads

    def __call__(self, first, stop):
        """Return the frames [first, stop) in display order, as PyAV frames in the video's own pixel format."""
        wanted = self.index.pts[first:stop].tolist()
        key = bisect.bisect_right(self.index.key_pts, wanted[0]) - 1
        while True:
            if key > 0:
                self.container.seek(int(self.index.key_pts[key]), stream=self.stream)
            else:
                self._open()
            frames = self._decode(wanted, first)
            if len(frames) == len(wanted):
                return frames
            if key <= 0:
                return self._missing(first + len(frames))
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

    def _missing(self, number):
        # One packet is one frame in these codecs; others have packets that show nothing.
        if self.stream.codec_context.name in {"h264", "hevc"}:
            self._damaged(number, "it is missing")
        raise UnindexedFrameError(f"{self.path}: frame {number}")

    def _damaged(self, number, why):
        if self.keep_damaged:
            raise UnindexedFrameError(f"{self.path}: frame {number}")
        raise DamagedVideoError(f"{self.path}: frame {number} of {len(self.index)} cannot be decoded ({why})")
