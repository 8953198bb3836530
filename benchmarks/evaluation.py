"""Time of suppression and of mean average precision on synthetic data, one thread; the best of several runs."""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.evaluation.common.tables import aligned
from opentad_bi.evaluation.detection.io import GroundTruth, parse_results
from opentad_bi.evaluation.detection.mean_ap import evaluate
from opentad_bi.ops.average_precision import Segments
from opentad_bi.ops.nms import batched_nms

CLASSES = 20
VIDEO_SEC = 200.0


def segments_of(rng, count):
    """(count, 2) random segments of a few seconds."""
    start = rng.uniform(0, VIDEO_SEC, count)
    return np.stack([start, start + rng.gamma(2, 3, count)], axis=1)


def suppression(count):
    """A call of soft-NMS over `count` segments of 20 classes, at most 2000 kept."""
    rng = np.random.default_rng(0)
    inputs = (
        segments_of(rng, count).astype(np.float32),
        rng.uniform(0.001, 1, count).astype(np.float32),
        rng.integers(0, CLASSES, count),
    )
    return lambda: batched_nms(*inputs, sigma=0.7, max_seg_num=2000)


def mean_precision(videos, count):
    """A call that evaluates a loaded result dict of `count` predictions in each of `videos`."""
    rng = np.random.default_rng(0)
    names = [f"video_{i:04d}" for i in range(videos)]
    classes = [f"class_{i}" for i in range(CLASSES)]
    total = 16 * videos
    rows = Segments(segments_of(rng, total), rng.integers(0, CLASSES, total), rng.integers(0, videos, total))
    truth = GroundTruth(rows, classes, names, frozenset(), {}, "synthetic")
    results = {
        name: [
            {"segment": segment, "label": classes[label], "score": score}
            for segment, label, score in zip(
                segments_of(rng, count).round(2).tolist(),
                rng.integers(0, CLASSES, count),
                rng.uniform(0, 1, count).round(4).tolist(),
                strict=True,
            )
        ]
        for name in names
    }
    return lambda: evaluate(parse_results(results), truth)


def best_ms(call, repeats):
    """Milliseconds of the fastest run after one that is not counted."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main():
    """Measure and print the table."""
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--repeats", type=int, default=5)
    args = cli.parse_args()
    cases = {
        "soft-NMS, 2,000 segments": (suppression(2000), 2),
        "soft-NMS, 20,000 segments": (suppression(20000), 50),
        "mAP, 210 videos x 2,000 predictions": (mean_precision(210, 2000), 2000),
    }
    rows = [["case", "ms", "target ms"]]
    for name, (call, target) in cases.items():
        rows.append([name, f"{best_ms(call, args.repeats):.2f}", str(target)])
    print(aligned(rows))


if __name__ == "__main__":
    main()
