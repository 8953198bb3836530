"""One training iteration of every experiment on the demonstration set, without data loading.

    python benchmarks/experiments.py        # needs data/demo (opentad-bi demo-data detection); networks start at random

One thread; the shorter of two rounds over six batches of two windows.
"""

import itertools
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from opentad_bi.config import load_config
from opentad_bi.engine import Runner
from opentad_bi.engine.branch import train_mode

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("exp1_1", "exp2", "exp2_detector", "exp3_1", "exp3_1_point", "exp3_2", "exp3_3", "gated", "naive")


def build(name, folder):
    """The runner of one experiment, from random weights."""
    overrides = {"data_root": str(ROOT / "data" / "demo"), "solver.train.num_workers": 0}
    cfg = load_config(ROOT / "configs" / "demo" / f"pair_{name}.py", overrides)
    for branch in cfg.branches.values():
        branch.load_required = False
    return Runner(cfg, work_dir=Path(folder), device=torch.device("cpu"))


def main():
    """Print seconds per iteration and trained parameters."""
    torch.set_num_threads(1)
    batches, best, sizes = None, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES * 2:
            runner = build(name, folder)
            batches = batches or list(itertools.islice(runner.loader, 6))
            sizes[name] = sum(p.numel() for p in runner.model.parameters() if p.requires_grad)
            train_mode(runner.model)
            runner.train_step(batches[:1])
            start = time.perf_counter()
            for batch in batches:
                runner.train_step([batch])
            best[name] = min(best.get(name, 1e9), (time.perf_counter() - start) / len(batches))
    for name in NAMES:
        print(f"{name:16s} {best[name]:.3f} s per iteration  {sizes[name]:>10,} trained parameters")


if __name__ == "__main__":
    main()
