"""Rate, memory and preparation of one-second feature samples, against a plain dataset that opens a file per sample.

    python benchmarks/features.py [--videos 280] [--rows 300] [--workers 0 1 2]

The features are random, float16, 512 wide; every batch has 32 samples, shuffled. The plain dataset keeps a dict per
sample and calls `np.load(path, mmap_mode="r")` for each, as the recipe that this one replaces did.
"""

import argparse
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.datasets.feature_prompts.dataset import VideoFeatureDataset
from opentad_bi.engine.data import EpochSampler

CLASSES, WIDTH, BATCH, EPOCH = 14, 512, 32, 400_000


class PlainDataset(Dataset):
    """A dict per sample, a file opened per sample."""

    def __init__(self, folder):
        self.samples = []
        for label, own in enumerate(sorted(folder.iterdir())):
            for path in sorted(own.glob("*.npy")):
                rows = np.load(path, mmap_mode="r").shape[0]
                self.samples += [
                    {"path": path, "label": label, "start": start, "end": start + 1, "video": path.stem}
                    for start in range(rows)
                ]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, key):
        sample = self.samples[key[0] if isinstance(key, tuple) else key]
        rows = np.load(sample["path"], mmap_mode="r")[sample["start"] : sample["end"]]
        return torch.from_numpy(np.array(rows, dtype=np.float32)), sample["label"], sample["video"]


def write_features(folder, videos, rows):
    """Random float16 features of `videos` videos, in class folders."""
    rng = np.random.default_rng(0)
    for number in range(videos):
        own = folder / f"class_{number % CLASSES:02d}"
        own.mkdir(exist_ok=True)
        np.save(own / f"video_{number:04d}.npy", rng.standard_normal((rows, WIDTH), np.float32).astype(np.float16))


def rate(dataset, workers, seconds, collate=None):
    """Samples per second that leave a DataLoader, over at least `seconds`, after one epoch's start."""
    sampler = EpochSampler(len(dataset), BATCH, seed=0)
    loader = DataLoader(
        dataset,
        batch_size=BATCH,
        sampler=sampler,
        num_workers=workers,
        collate_fn=collate,
        persistent_workers=workers > 0,
    )
    count, begun = 0, None
    while True:
        for number, _ in enumerate(loader):
            now = time.perf_counter()
            if begun is None:
                begun = now if number >= 20 else None
                continue
            count += BATCH
            if now - begun > seconds:
                return count / (now - begun)


def same(ours, plain, picks=2000):
    """Do both give the same samples?"""
    order = np.random.default_rng(1).permutation(len(plain))[:picks].tolist()
    batch = ours.__getitems__(order)
    for i, index in enumerate(order):
        features, label, video = plain[index]
        equal = torch.equal(features, batch["inputs"][i]) and label == batch["labels"][i]
        if not equal or video != batch["meta"][i].video:
            return False
    return len(ours) == len(plain)


def memory(make):
    """(what `make()` returns, bytes that it keeps, seconds that it took without the measurement)."""
    start = time.perf_counter()
    make()
    took = time.perf_counter() - start
    tracemalloc.start()
    made = make()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return made, kept, took


def index_at_scale(folder):
    """Write 280 one-column files with 400,000 rows and measure their index."""
    for number in range(280):
        own = folder / f"class_{number % CLASSES:02d}"
        own.mkdir(parents=True, exist_ok=True)
        np.save(own / f"video_{number:04d}.npy", np.zeros((EPOCH // 280 + (number < EPOCH % 280), 1), np.float16))
    for name, make in (("ours", lambda: VideoFeatureDataset(folder)), ("plain", lambda: PlainDataset(folder))):
        made, kept, took = memory(make)
        text = f"{name:<6} {len(made)} samples: made in {took:.3f} s, {kept / len(made):.1f} bytes a sample in all"
        print(text + (f", {made.index_bytes / len(made):.1f} of them the index" if name == "ours" else ""))


def main():
    """Run all comparisons and print them."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--videos", type=int, default=280)
    cli.add_argument("--rows", type=int, default=300, help="rows of every video")
    cli.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    cli.add_argument("--seconds", type=float, default=4.0, help="length of every measurement")
    args = cli.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        index_at_scale(Path(folder) / "index")
        features = Path(folder) / "features"
        features.mkdir()
        write_features(features, args.videos, args.rows)
        ours, plain = VideoFeatureDataset(features), PlainDataset(features)
        print(f"{args.videos} videos x {args.rows} rows x {WIDTH} float16: same samples: {same(ours, plain)}")
        for workers in args.workers:
            slow = rate(plain, workers, args.seconds)
            quick = rate(ours, workers, args.seconds, ours.collate)
            print(
                f"{workers} workers: ours {quick:9.0f} samples/s, plain {slow:7.0f}, {quick / slow:.1f} x; "
                f"loading {EPOCH} samples: {EPOCH / quick:.1f} s against {EPOCH / slow:.1f} s"
            )


if __name__ == "__main__":
    main()
