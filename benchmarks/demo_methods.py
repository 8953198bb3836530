"""Six methods of video prompts on the generated clips: accuracy, trained parameters, time per step, peak memory.

    python benchmarks/demo_methods.py [--methods video_coop ...] [--out DIR]     # after opentad-bi demo-data clips

Every row is a run of `opentad-bi run_METHOD --dataset demo_clips --temporal-pooling POOLING` in a process of its own,
its last epoch evaluated on the clips it learned from, neither mixed nor augmented, and on the test clips. One thread; a
step is the median over the run, data loading included; peak is resident memory of the training process.
"""

import argparse
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
METHODS = ("video_coop", "dual_coop", "vidop", "vilt", "vita", "stt")
POOLINGS = ("mean", "attention")
PLAIN = ("dataset.train.mix=None", "dataset.train.pipeline.2.enabled=False")


def tool(name, *words):
    """Run a command of the toolbox; returns its peak resident memory in MiB."""
    line = [sys.executable, "-m", "opentad_bi", name, *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(line, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(line)}\n{errors[-2000:]}")
    return usage.ru_maxrss / 2**10


def seconds_per_step(folder):
    """Median time from one iteration to the next one of its epoch."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    steps = [line for line in lines if any(name.startswith("loss/") for name in line)]
    pairs = itertools.pairwise(steps)
    return statistics.median(b["time"] - a["time"] for a, b in pairs if a["epoch"] == b["epoch"])


def accuracy(folder, split):
    """Top-1 in percent of the last epoch."""
    last = max((folder / "checkpoint").glob("epoch_*.pth"), key=lambda path: int(path.stem[6:]))
    out = folder / f"{split}.json"
    words = ["--checkpoint", last, "--split", split, "--out", out, "--work-dir", folder / split]
    tool("test", folder / "resolved_config.py", *words, "--cfg-options", *PLAIN)
    return 100 * json.loads(out.read_text())["model"]["top1"]


def main():
    """Train and evaluate all; print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--out", type=Path, default=ROOT / "exps" / "demo_methods")
    args = parser.parse_args()
    print("| command | trained | train top-1 | test top-1 | s per step | peak MiB |\n|---|---|---|---|---|---|")
    for method in args.methods:
        for pooling in POOLINGS:
            folder = args.out.resolve() / f"{method}_{pooling}"
            words = ["--dataset", "demo_clips", "--temporal-pooling", pooling]
            own = ["--output-dir", folder, "--cfg-options", f"artifacts={folder / 'models'}"]
            peak = tool(f"run_{method}", *words, *own)
            run = folder / "gpu1_id0"
            count = re.search(r"([\d,]+) of [\d,]+ parameters are trainable", (run / "log.txt").read_text())[1]
            shares = " | ".join(f"{accuracy(run, split):.1f}" for split in ("train", "test"))
            command = f"`opentad-bi run_{method} {' '.join(words)}`"
            print(f"| {command} | {count} | {shares} | {seconds_per_step(run):.3f} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
