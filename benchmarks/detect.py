"""Detection on a ten-minute video: peak memory, and what both directions cost beside one.

    python benchmarks/detect.py [--video FILE | --clip FILE] [--seconds 600] [--size 320 240] [--threads 1]

Without a video, a clip (of data/real-mini or data/demo, else drawn) is looped. Every detection runs in a process of
its own, whose peak memory counts all that it imports. The networks are those of configs/real_mini/pair_frames.py with
random weights. "compute" is the time of `predict` on batches that are decoded already: of the pair, against the sum of
its two networks alone on the same batches.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from itertools import cycle
from pathlib import Path

import av
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.reverse import write_source
from opentad_bi.apis import detect_all, init_detector
from opentad_bi.apis.common import batches
from opentad_bi.config import load_config
from opentad_bi.datasets.detection.stream import VideoWindows
from opentad_bi.prepare.h264 import H264Writer
from opentad_bi.registry import MODELS

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "configs" / "real_mini" / "pair_frames.py"
RATE = Fraction(25)
MEMORY_GOAL_MB, COMPUTE_GOAL = 1500, 1.15
NETWORKS = ("pair", "for_model", "back_model")


def in_process(work, *args):
    """What `work(*args)` returns, from a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *args).result()


def make_video(path, clip, seconds, size):
    """Write the frames of `clip` over and over, in the given size, until the video is long enough."""
    with av.open(str(clip)) as container:
        frames = [frame.reformat(*size, format="yuv420p") for frame in container.decode(video=0)]
    with H264Writer(path, size=size, rate=RATE, time_base=1 / RATE, gop=250, crf=23) as writer:
        for number, frame in zip(range(int(seconds * RATE)), cycle(frames), strict=False):
            writer.write(frame, number, 1)


def find_clip(folder):
    """A clip of one of the data sets that are here, or a drawn one."""
    for name in ("real-mini", "demo"):
        if found := sorted((ROOT / "data" / name / "raw_data").glob("*.mp4")):
            return found[0]
    write_source(folder / "drawn.mp4", 250, 250)
    return folder / "drawn.mp4"


def detector(name, folder):
    """The pair with random weights, or one of its networks with the same weights, as a single one."""
    cfg = load_config(CONFIG)
    weights = folder / "pair.pth"
    if not weights.exists():
        torch.manual_seed(0)
        torch.save({"state_dict": MODELS.build(cfg.model).state_dict(), "classes": ["action"]}, weights)
    if name == "pair":
        return init_detector(cfg, weights, "cpu")
    states = torch.load(weights)["state_dict"]
    alone = {key.removeprefix(f"{name}."): t for key, t in states.items() if key.startswith(f"{name}.")}
    torch.save({"state_dict": alone, "classes": ["action"]}, folder / f"{name}.pth")
    cfg.model = cfg.model[name]
    cfg.branches = {"model": cfg.branches[name]}
    del cfg.dataset["wrap"]
    return init_detector(cfg, folder / f"{name}.pth", "cpu")


def whole(name, folder, video, threads):
    """Detect in this process: seconds, CPU seconds, peak memory in MB, memory before in MB, number of detections."""
    torch.set_num_threads(threads)
    model = detector(name, folder)
    before = peak_mb()
    begin = time.perf_counter(), time.process_time()
    found = detect_all(model, video)
    spent = time.perf_counter() - begin[0], time.process_time() - begin[1]
    return *spent, peak_mb(), before, len(found.chief)


def peak_mb():
    """Most memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compute(folder, video, repeats, most=8):
    """{network: least CPU seconds of `predict` on the same decoded batches}."""
    models = {name: detector(name, folder) for name in NETWORKS}
    pair = models["pair"]
    with VideoWindows(pair.data, video, pair.classes) as windows:
        loaded = [
            batch for batch, _ in zip(batches(windows, pair.cfg.solver.test.batch_size), range(most), strict=False)
        ]
    times = {name: [] for name in models}
    for _ in range(repeats + 1):
        for name, model in models.items():
            start = time.process_time()
            for batch in loaded:
                model.predict(batch)
            times[name].append(time.process_time() - start)
    return {name: min(spent[1:]) for name, spent in times.items()}


def main():
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--video", type=Path, help="a long video, used as it is")
    cli.add_argument("--clip", type=Path, help="a short video to be looped")
    cli.add_argument("--seconds", type=int, default=600)
    cli.add_argument("--size", type=int, nargs=2, default=(320, 240), metavar=("WIDTH", "HEIGHT"))
    cli.add_argument("--threads", type=int, default=1, help="threads of the networks")
    cli.add_argument("--repeats", type=int, default=3)
    args = cli.parse_args()
    torch.set_num_threads(args.threads)
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        video = args.video
        if video is None:
            video = folder / "long.mp4"
            in_process(make_video, video, args.clip or find_clip(folder), args.seconds, tuple(args.size))
        print(f"{video.name}: {args.seconds} s of {'x'.join(map(str, args.size))}" if not args.video else video)
        print(f"{'whole detection':<18}{'seconds':>9}{'CPU s':>8}{'peak MB':>9}{'of it before':>14}{'detections':>12}")
        times = {}
        for name in NETWORKS:
            wall, cpu, peak, before, found = in_process(whole, name, folder, video, args.threads)
            times[name] = wall, cpu
            print(f"{name:<18}{wall:>9.1f}{cpu:>8.1f}{peak:>9.0f}{before:>14.0f}{found:>12}")
            missed += [f"peak memory of {name}"] if peak > MEMORY_GOAL_MB else []
        wall, cpu = (times["pair"][i] / (times["for_model"][i] + times["back_model"][i]) for i in (0, 1))
        print(f"pair / two alone: {wall:.2f} of the time, {cpu:.2f} of the CPU time")
        spent = compute(folder, video, args.repeats)
        ratio = spent["pair"] / (spent["for_model"] + spent["back_model"])
        print("compute, CPU s: " + ", ".join(f"{name} {value:.2f}" for name, value in spent.items()))
        print(f"pair / two alone: {ratio:.2f}")
        missed += ["compute of both directions"] if ratio > COMPUTE_GOAL else []
    if missed:
        sys.exit(f"goals missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
