"""Memory of weights, averages, gradients and optimizer states of a config's run, computed: python -m benchmarks.memory.

Built on the meta device, so the largest config needs no memory. Activations are not in it: see benchmarks/gpu.py.
"""

import argparse

import torch

from opentad_bi.config import load_config
from opentad_bi.engine.branch import Branch
from opentad_bi.engine.optim import ExponentialMovingAverage
from opentad_bi.registry import MODELS

FOLDER = "configs/adatad/thumos/e2e_thumos_videomae_"
CONFIGS = [f"{FOLDER}{size}_768x1_160_adapter{kind}.py" for size, kind in (
    ("s", ""), ("h", ""), ("h", "_bi_exp1"), ("h", "_bi_exp2"), ("h", "_bi_exp2_detector"),
)]  # fmt: skip


def mebibytes(path):
    """(weights, second copies of the average, gradients, AdamW states) of the run at `path`, in MiB of float32."""
    cfg = load_config(path)
    with torch.device("meta"):
        model = MODELS.build(cfg.model)
    for name, module in model.branches().items():
        Branch(name, module, cfg.branches[name])
    ema = ExponentialMovingAverage(model, warm_up=False)  # as the published schedules have it
    own = {id(p) for p in model.parameters()}
    weights = sum(p.numel() for p in model.parameters())
    copies = sum(p.numel() for p in ema.module.parameters() if id(p) not in own)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return [4 * n / 2**20 for n in (weights, copies, trained, 2 * trained)]


def main():
    """Print one row per config."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configs", nargs="*", default=CONFIGS)
    print(f"{'MiB':>62}{'weights':>9}{'average':>9}{'grads':>9}{'AdamW':>9}{'sum':>9}")
    for path in parser.parse_args().configs:
        row = mebibytes(path)
        name = path.rsplit("/", 1)[-1].removesuffix(".py")
        print(f"{name:>62}" + "".join(f"{x:9.0f}" for x in [*row, sum(row)]))


if __name__ == "__main__":
    main()
