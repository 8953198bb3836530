"""What only a GPU shows: python benchmarks/gpu.py [--configs ...] [--batch 1] (docs/benchmarks.md).

For each config: seconds and peak memory of a training step and of a prediction on random frames of the real size, under
the config's own precision.
"""

import argparse
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.config import load_config
from opentad_bi.contracts import total_loss
from opentad_bi.engine.branch import Branch, train_mode
from opentad_bi.engine.optim import ExponentialMovingAverage
from opentad_bi.engine.runner import precision
from opentad_bi.ops.records import SampleMeta
from opentad_bi.registry import MODELS

FOLDER = "configs/adatad/thumos/e2e_thumos_videomae_"
CONFIGS = [f"{FOLDER}s_768x1_160_adapter.py", f"{FOLDER}h_768x1_160_adapter_bi_exp1.py"]


def random_batch(length, side, count, device):
    """A batch of `count` full windows with five actions each."""
    starts = torch.arange(5, device=device) * (length / 5)
    return {
        "inputs": torch.randint(0, 256, (count, 3, length, side, side), dtype=torch.uint8, device=device),
        "masks": torch.ones(count, length, dtype=torch.bool, device=device),
        "gt_segments": [torch.stack([starts, starts + length / 8], dim=1)] * count,
        "gt_labels": [torch.arange(5, device=device)] * count,
        "meta": [SampleMeta("random", 30.0, 100.0, 4, valid_length=length)] * count,
    }


def measure(step, repeats=5):
    """(best seconds, peak MiB) of `step` after two calls to warm up."""
    taken = []
    torch.cuda.reset_peak_memory_stats()
    for _ in range(repeats + 2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        step()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return min(taken[2:]), torch.cuda.max_memory_allocated() / 2**20


def measure_config(path, count, device):
    """Rows (what, seconds, MiB) of one config."""
    cfg = load_config(path)
    model = MODELS.build(cfg.model).to(device)
    branches = [Branch(n, module, cfg.branches[n], iters_per_epoch=100) for n, module in model.branches().items()]
    ema = ExponentialMovingAverage(model, warm_up=False)  # as the published schedules have it
    dtype = precision(cfg.solver.amp)
    scaler = torch.amp.GradScaler("cuda", enabled=dtype is torch.float16)
    batch = random_batch(cfg.dataset.test.window_size, 160, count, device)

    def train():
        train_mode(model)
        with torch.autocast("cuda", dtype=dtype, enabled=dtype is not None):
            total = total_loss(model(batch))
        scaler.scale(total).backward()
        for branch in branches:
            branch.clip(scaler)
        for branch in branches:
            branch.step(scaler)
        scaler.update()
        ema.update()

    def predict():
        ema.module.eval()
        with torch.no_grad(), torch.autocast("cuda", dtype=dtype, enabled=dtype is not None):
            ema.module.predict(batch)

    return [("training step", *measure(train)), ("prediction", *measure(predict))]


def main():
    """Print the table; exit code 2 without a GPU."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configs", nargs="+", default=CONFIGS)
    parser.add_argument("--batch", type=int, default=1, help="windows in a batch (1)")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("benchmarks/gpu.py: no CUDA device is available here")
    device = torch.device("cuda")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, batch {args.batch}")
    for path in args.configs:
        for what, seconds, peak in measure_config(path, args.batch, device):
            print(f"{Path(path).stem:>60} {what:>14} {seconds * 1000:9.1f} ms {peak:9.0f} MiB", flush=True)
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
