"""Time to make training samples: readers on our access patterns, each step, and a pair against a single sample.

    python benchmarks/data.py [--video FILE] [--repeat 3]

Without a file, 3600 frames of drawn video (320 x 180, H.264, default keyframes) are encoded first.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.datasets.readers.base import open_video
from opentad_bi.ops.reverse import reverse_batch
from opentad_bi.registry import DATASETS

FRAMES, WIDTH, HEIGHT, FPS = 3600, 320, 180, 30


def draw_frames():
    """Smooth moving texture with grain, so that the encoder has something to do."""
    rng = np.random.default_rng(0)
    grain = rng.integers(-12, 12, (8, HEIGHT, WIDTH, 3))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for i in range(FRAMES):
        wave = np.stack([np.sin((x * k + i * 3) / 23 + y / (7 + k)) for k in (1, 2, 3)], axis=-1)
        yield np.clip(127 + 100 * wave + grain[i % 8], 0, 255).astype(np.uint8)


def encode(path, frames):
    """Write an H.264 video."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def seconds(work, repeat):
    """Shortest of `repeat` runs, in seconds of the clock and of all CPU threads together."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return tuple(map(min, zip(*times, strict=True)))


def compare_readers(path, repeat):
    """Open and read 768 frames, as windows are read in training, in order and in reverse, and 64 scattered ones."""
    with open_video(path) as reader:
        total = len(reader)
    start = max(0, total - 768 * 4) // 2
    window = np.arange(start, total, 4)[:768]
    scattered = np.random.default_rng(0).permutation(total)[:64]
    patterns = {"window": window, "window reversed": window[::-1], "64 scattered": scattered}
    for threads in (1, 2):
        for name in ("pyav", "decord"):
            row = []
            for indices in patterns.values():

                def work(name=name, indices=indices, threads=threads):
                    with open_video(path, name, threads) as reader:
                        reader.frames(indices)

                row.append(seconds(work, repeat))
            text = "  ".join(
                f"{key} {wall:.3f} s (CPU {cpu:.3f})" for key, (wall, cpu) in zip(patterns, row, strict=True)
            )
            print(f"{name:<7} {threads} threads  {text}")


def dataset_config(folder, video, frames):
    """The training dataset of a 768-frame window at 160 pixels over one video."""
    entry = {"subset": "training", "duration": frames / FPS, "frame": frames}
    entry["annotations"] = [{"segment": [frames / FPS * 0.45, frames / FPS * 0.55], "label": "act"}]
    (folder / "annotation.json").write_text(json.dumps({"database": {video.stem: entry}}))
    (folder / "classes.txt").write_text("act\n")
    return {
        "type": "ThumosPaddingDataset",
        "ann_file": folder / "annotation.json",
        "subset_name": "training",
        "class_map": folder / "classes.txt",
        "data_path": video.parent,
        "pipeline": [
            {"type": "LoadFrames", "method": "random_trunc", "trunc_len": 768, "crop_ratio": [0.9, 1.0]},
            {"type": "DecodeFrames"},
            {"type": "Resize", "scale": (-1, 182)},
            {"type": "RandomResizedCrop"},
            {"type": "Resize", "scale": (160, 160), "keep_ratio": False},
            {"type": "Flip"},
            {"type": "ImgAug"},
            {"type": "ColorJitter"},
            {"type": "Collect"},
        ],
    }


def time_steps(dataset, draws):
    """Mean CPU time of each step over some draws."""
    spent = {}
    for seed in range(draws):
        results = dataset._results(0) | {"rng": random.Random(seed)}
        for i, step in enumerate(dataset._transforms.steps):
            start = time.process_time()
            results = step(results)
            key = f"{i} {type(step).__name__}"
            spent[key] = spent.get(key, 0) + time.process_time() - start
    for key, value in spent.items():
        print(f"  {key:<22} {value / draws:.3f} s")


def compare_pairs(cfg, back, repeat, draws=4):
    """A single sample against both sources of a pair, with the collated batch reversed for "device"."""
    single = DATASETS.build(cfg)
    device = DATASETS.build({"type": "PairedDataset", "dataset": cfg})
    files = DATASETS.build({"type": "PairedDataset", "dataset": cfg, "source": "files", "back_data_path": back})
    print("steps of one sample, CPU:")
    time_steps(single, draws)
    works = {
        "single": lambda: [single[0, seed] for seed in range(draws)],
        "pair, device": lambda: [device[0, seed] for seed in range(draws)],
        "pair, files": lambda: [files[0, seed] for seed in range(draws)],
    }
    base = None
    for name, work in works.items():
        wall, cpu = (value / draws for value in seconds(work, repeat))
        base = base or cpu
        print(f"{name:<14} {wall:.3f} s (CPU {cpu:.3f}) per sample, {cpu / base:.2f} x the CPU time of single")
    batch = single.collate([single[0, 0]])
    print(f"reversing a batch of 1 on the CPU: {seconds(lambda: reverse_batch(batch), repeat)[1]:.3f} s")


def main():
    """Run all comparisons and print them."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--video", type=Path, help="an MP4 file to use instead of drawn frames")
    cli.add_argument("--repeat", type=int, default=3)
    args = cli.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        video = args.video
        if video is None:
            video = folder / "for" / "clip.mp4"
            video.parent.mkdir()
            encode(video, draw_frames())
        with open_video(video) as reader:
            total = len(reader)
            (folder / "back").mkdir()
            encode(folder / "back" / f"{video.stem}.mp4", reader.frames(np.arange(total))[::-1])
        compare_readers(video, args.repeat)
        compare_pairs(dataset_config(folder, video, total), folder / "back", args.repeat)


if __name__ == "__main__":
    main()
