"""CPU time to make a sample of a classifier of videos: every step, and samples per second of one core.

    python benchmarks/clips.py [--videos FOLDER] [--clips 5] [--repeat 3] [--frames 8] [--views 4 3] [--size 224]

The videos are those below FOLDER; without it those of $OPENTAD_SHARED, else two of drawn frames (320 x 180, 10 s).
"""

import argparse
import itertools
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.data import draw_frames, encode
from opentad_bi.datasets.transforms.compose import Compose
from opentad_bi.datasets.transforms.geometry import picture_rows
from opentad_bi.ops.names import VIDEO_SUFFIXES
from opentad_bi.registry import TRANSFORMS

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("OPENTAD_SHARED", ROOT.parent / "shared")) / "data" / "videos"
AUGMENTATIONS = {
    "mirror": {"type": "Flip", "flip_ratio": 1.0},
    "upside down": {"type": "Flip", "flip_ratio": 1.0, "vertical": True},
    "colour": {"type": "ColorJitter"},
    "blur": {"type": "GaussianBlur", "probability": 1.0},
    "salt and pepper": {"type": "SaltAndPepper", "probability": 0.02},
    "cutout": {"type": "Cutout", "probability": 1.0},
}


def find_videos(args, folder):
    """At most `--clips` files of each folder of videos."""
    root = args.videos or (SHARED if SHARED.is_dir() else None)
    if root is None:
        for number in range(2):
            encode(folder / f"{number}.mp4", itertools.islice(draw_frames(), 300))
        root = folder
    files = sorted(path for path in root.rglob("*") if path.suffix in VIDEO_SUFFIXES)
    groups = itertools.groupby(files, key=lambda path: path.parent)
    return {parent.relative_to(root): list(own)[: args.clips] for parent, own in groups}


def describe(path):
    """What the dataset gives the pipeline."""
    return {"path": path, "video": path.stem, "label": 0, "rng": random.Random(0)}


def milliseconds(work, repeat):
    """Least CPU time of `repeat` runs, which other work on the machine changes little, and what the work returned."""
    best = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        value = work()
        best = min(best, time.process_time() - start)
    return 1000 * best, value


def step(steps, results):
    """A pipeline that leaves its input as it was, ready to be timed."""
    pipeline = Compose(steps)
    return lambda: pipeline(dict(results))


def time_steps(files, args):
    """Mean time of each step over the files."""
    (temporal, spatial), spent = args.views, {}
    load = TRANSFORMS.build({"type": "LoadClips", "frames": args.frames, "views": temporal, "size": args.size})
    crop = {"type": "SpatialViews", "size": args.size, "views": spatial}
    for path in files:
        times = {}
        times["decode"], imgs = milliseconds(lambda path=path: load.decode(path), args.repeat)
        times["trim"], _ = milliseconds(lambda imgs=imgs: picture_rows(imgs), args.repeat)
        times["resize"], small = milliseconds(lambda imgs=imgs: load.resize(imgs), args.repeat)
        results = describe(path) | {"imgs": small, "clips": load.clips}
        times["crops"], results = milliseconds(step([crop], results), args.repeat)
        for name, cfg in AUGMENTATIONS.items():
            times[name], _ = milliseconds(step([{"type": "Augment", "steps": [cfg]}], results), args.repeat)
        times["collect"], _ = milliseconds(step([{"type": "CollectClip"}], results), args.repeat)
        for name, value in times.items():
            spent[name] = spent.get(name, 0) + value / len(files)
    return spent


def rate(files, args, augmented, **loading):
    """Samples per second of the whole pipeline."""
    temporal, spatial = args.views
    pipeline = Compose(
        [
            {"type": "LoadClips", "frames": args.frames, "views": temporal, "size": args.size, **loading},
            {"type": "SpatialViews", "size": args.size, "views": spatial},
            {"type": "Augment", "steps": list(AUGMENTATIONS.values()), "enabled": augmented},
            {"type": "CollectClip"},
        ]
    )

    def run():
        return [pipeline(describe(path)) for path in files]

    if "cache" in loading:
        run()
    return 1000 * len(files) / milliseconds(run, args.repeat)[0]


def main():
    """Time every folder of videos and print it."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--videos", type=Path, help="a folder of videos")
    cli.add_argument("--clips", type=int, default=5, help="of each folder")
    cli.add_argument("--repeat", type=int, default=3)
    cli.add_argument("--frames", type=int, default=8, help="of a view")
    cli.add_argument("--views", type=int, nargs=2, default=(4, 3), help="temporal and spatial")
    cli.add_argument("--size", type=int, default=224)
    args = cli.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as folder:
        for name, files in find_videos(args, Path(folder)).items():
            cache = Path(folder) / "cache" / name
            print(f"{name}: {len(files)} videos; ms per sample")
            print("  " + "  ".join(f"{key} {value:.1f}" for key, value in time_steps(files, args).items()))
            plain, kept = rate(files, args, False), rate(files, args, False, cache=cache)
            print(f"  samples per second of a core: {plain:.1f}, from cached frames {kept:.1f}; all augmentations: "
                  f"{rate(files, args, True):.1f}, {rate(files, args, True, cache=cache):.1f}")  # fmt: skip
            size = np.mean([path.stat().st_size for path in cache.iterdir()])
            print(f"  {size / 2**20:.1f} MiB of cache per video", flush=True)


if __name__ == "__main__":
    main()
