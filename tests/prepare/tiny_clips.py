"""Small videos of many kinds, written for the tests, and a plain decoder to compare with."""

import itertools
from fractions import Fraction

import av
import numpy as np

SIZE = (48, 32)  # width, height


def picture(n, seed=0):
    """Frame n: a bar that moves, over a texture; no two frames are alike.  uint8 (H, W, 3)"""
    rng = np.random.default_rng([seed, n])
    rgb = rng.integers(0, 40, (SIZE[1], SIZE[0], 3), np.uint8)
    rgb[:, (3 * n) % SIZE[0] :][:, :6] += 180
    return rgb


def write_clip(path, count, *, options=None, times=None, time_base=Fraction(1, 25), audio=False, pix_fmt="yuv420p"):
    """Encode `count` pictures shown at `times` (ticks of `time_base`; default 0, 1, 2, ...) and return `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, pix_fmt
        stream.codec_context.time_base = time_base
        stream.codec_context.options = {"preset": "ultrafast", "crf": "20", **(options or {})}
        sound = container.add_stream("aac", rate=16000, layout="mono") if audio else None
        for n, pts in zip(range(count), times if times is not None else itertools.count(), strict=False):
            frame = av.VideoFrame.from_ndarray(picture(n), format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = int(pts), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound:
            beep = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
            beep.rate = 16000
            container.mux(sound.encode(beep))
            container.mux(sound.encode())
    return path


def decode(path):
    """All frames of a video in the order shown: uint8 (N, H * 3/2, W) of the stored planes, and their times (N,)."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return np.stack([f.to_ndarray() for f in frames]), np.array([float(f.pts * f.time_base) for f in frames])
