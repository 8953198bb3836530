"""Check a reversed video against its source, frame by frame, without the index that made it."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .frame_index import count_frames, open_video

log = logging.getLogger(__name__)

LEAST_PSNR_DB = 24.0  # crf 18 gives 35 to 50 dB; two different frames of one video are mostly below 20


@dataclass(frozen=True)
class Verification:
    """What was found: frame counts and rates of both files, the worst sampled frame, and `problems` in words."""

    frames: tuple
    fps: tuple
    psnr_db: float
    problems: list = field(default_factory=list)

    @property
    def ok(self):
        return not self.problems


def verify_reversed(src, dst, *, lossless=False, samples=16):
    """Compare `dst` with `src` played backwards and return a Verification.

    Both are decoded from first to last frame. The frame counts must be equal, the frame rates within 0.1 % or a frame,
    the times for which frames are shown within 2 ms, and `samples` frames spread over the video must be the same: bit
    by bit if `lossless`, else with a PSNR of at least LEAST_PSNR_DB.
    """
    src, dst = Path(src), Path(dst)
    count = count_frames(src)
    picks = np.unique(np.linspace(0, count - 1, min(samples, count)).round().astype(int))
    own_times, own_fps, own = _decode(src, set(picks.tolist()))
    times, fps, mirrored = _decode(dst, set((count - 1 - picks).tolist()))
    problems = []
    if len(times) != len(own_times):
        problems.append(f"{len(times)} frames, the source has {len(own_times)}")
        return Verification((len(own_times), len(times)), (own_fps, fps), float("nan"), problems)
    # Headers may count a frame that an edit list hides, so a difference of one frame is no problem.
    if abs(fps - own_fps) > max(1e-3, 1.5 / len(times)) * own_fps:
        problems.append(f"{fps:.3f} fps, the source has {own_fps:.3f}")
    # Frame n is the reversed frame N-1-n: both gaps are how long it is shown, for all but the two ends.
    drift = np.abs(np.diff(times)[:0:-1] - np.diff(own_times)[1:]).max(initial=0)
    if drift > 2e-3:
        problems.append(f"a frame is shown {drift:.3f} s longer or shorter than in the source")
    errors = [_mean_square(own[n], mirrored[count - 1 - n]) for n in picks.tolist()]
    psnr = float(10 * np.log10(255**2 / max(max(errors), 1e-10)))
    if lossless and max(errors) > 0:
        problems.append(f"frame {picks[int(np.argmax(errors))]} of the source is not bit for bit the same")
    elif psnr < LEAST_PSNR_DB:
        problems.append(f"frame {picks[int(np.argmax(errors))]} of the source is another picture ({psnr:.1f} dB)")
    return Verification((len(own_times), len(times)), (own_fps, fps), psnr, problems)


def _decode(path, picks):
    """Return display times in seconds (N,), mean frames per second, and {number: luma and chroma} of `picks`."""
    container, stream = open_video(path)
    with container:
        stream.thread_type = "AUTO"
        times, kept = [], {}
        rate = float(stream.average_rate or stream.guessed_rate)
        for n, frame in enumerate(container.decode(stream)):
            times.append(frame.time if frame.time is not None else n / rate)
            if n in picks:
                kept[n] = frame.to_ndarray(format=_comparable(frame.format.name)).astype(np.float32)
        if container.format.name == "avi":  # it counts frames; what times a decoder makes of that is a guess
            times = np.arange(len(times)) / rate
    return np.array(times), rate, kept


def _comparable(pix_fmt):
    """The frame's own format where numpy knows it, else RGB."""
    return pix_fmt if pix_fmt in {"yuv420p", "yuvj420p", "yuv444p", "yuvj444p", "yuv422p", "gray"} else "rgb24"


def _mean_square(a, b):
    return float(np.square(a - b).mean()) if a.shape == b.shape else float("inf")
