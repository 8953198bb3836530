"""Time and memory of reversing a two-minute 320x240 video, for short and long GOPs.

    python benchmarks/reverse.py [--seconds 120] [--threads 0]

The reversal runs in a process of its own; memory is that process's peak, the decoder and encoder included.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from opentad_bi.prepare.h264 import H264Writer
from opentad_bi.prepare.reverse.video import reverse_video

FPS = 30
WIDTH, HEIGHT = 320, 240
CASES = (  # name, GOP of the source, arguments of reverse_video
    ("GOP 12", 12, {}),
    ("GOP 250", 250, {}),
    ("one GOP", 10**6, {}),
    ("GOP 250, lossless", 250, {"lossless": True}),
    ("GOP 250, preset medium", 250, {"preset": "medium"}),
)


def write_source(path, frames, gop):
    """Moving smooth texture with some noise, coded like an ordinary video."""
    rng = np.random.default_rng(0)
    coarse = av.VideoFrame.from_ndarray(rng.integers(0, 255, (24, 32, 3), np.uint8), format="rgb24")
    texture = coarse.reformat(2 * WIDTH, 2 * HEIGHT, interpolation="BICUBIC").to_ndarray()
    noise = rng.integers(0, 12, (8, HEIGHT, WIDTH, 3), np.uint8)
    rate = Fraction(FPS)
    with H264Writer(path, size=(WIDTH, HEIGHT), rate=rate, time_base=1 / rate, gop=gop, crf=23) as writer:
        for n in range(frames):
            x, y = (int(size / 2 * (1 + np.sin(n / period))) for size, period in ((WIDTH, 60), (HEIGHT, 85)))
            picture = texture[y : y + HEIGHT, x : x + WIDTH] // 2 + noise[n % 8]
            writer.write(av.VideoFrame.from_ndarray(picture, format="rgb24"), n, 1)


def measure(queue, src, dst, how):
    """Reverse in this process; put (seconds, peak memory in MB, memory before in MB) in the queue."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    begin = time.perf_counter()
    reverse_video(src, dst, **how)
    seconds = time.perf_counter() - begin
    queue.put((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, before))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=120, help="length of the video (default 120)")
    parser.add_argument("--threads", type=int, default=0, help="codec threads, 0 = one per core (default)")
    args = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    frames = args.seconds * FPS
    print(f"{frames} frames of {WIDTH}x{HEIGHT}, {args.seconds} s")
    print(f"{'source':<26}{'seconds':>9}{'frames/s':>10}{'peak MB':>9}{'of it start':>13}{'MB out/in':>12}")
    with tempfile.TemporaryDirectory() as folder:
        for name, gop, how in CASES:
            src, dst = Path(folder) / f"{gop}.mp4", Path(folder) / "back.mp4"
            if not src.exists():
                write_source(src, frames, gop)
            queue = context.Queue()
            how = {**how, "threads": args.threads, "overwrite": True}
            process = context.Process(target=measure, args=(queue, src, dst, how))
            process.start()
            seconds, peak, before = queue.get()
            process.join()
            sizes = f"{dst.stat().st_size / 1e6:.1f}/{src.stat().st_size / 1e6:.1f}"
            print(f"{name:<26}{seconds:>9.1f}{frames / seconds:>10.0f}{peak:>9.0f}{before:>13.0f}{sizes:>12}")


if __name__ == "__main__":
    main()
