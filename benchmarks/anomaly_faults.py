"""Fine-grained CLIP on generated surveillance videos, as it should be and with one fault of an earlier program each.

    python -m benchmarks.anomaly_faults [--rows recipe batch_of_one ...] [--seeds 0 1 2] [--out DIR] [--at_once 2]

Every seed has a generated set and a random tower of its own (`opentad-bi demo-data surveillance --seed S`). A row is
`opentad-bi train CONFIG --seed S`, then `opentad-bi test CONFIG` and the same with the retrieval config, each of the
last epoch. All rows are tested alike: frames of whole test videos, and regions with the boxes as annotated; "cropped"
sees the middle of frames there too. Losses are means over the last epoch, beside those of guessing. What DIR holds
already is not run again.
"""

import argparse
import json
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from benchmarks.demo_methods import ROOT, tool

DEMO = ROOT / "configs" / "fgclip" / "demo"
FAULTS = ROOT / "benchmarks" / "faults"
ROWS = ("recipe", "batch_of_one", "duplicates", "duplicates_met", "enabled_ignored", "enabled_dropped", "cropped",
        "first_frames")  # fmt: skip
PARTS = ("global", "region")


def configs(row):
    """Config files of a row: to train and to score frames, and to retrieve captions."""
    own = DEMO / "surveillance.py" if row == "recipe" else FAULTS / f"{row}.py"
    return own, FAULTS / "cropped_retrieval.py" if row == "cropped" else DEMO / "retrieval.py"


def measure(seed, row, out):
    """Train and test one row on one set: {name: number}."""
    folder, data = out / row / f"seed{seed}", out / f"set{seed}"
    kept = folder / "numbers.json"
    if kept.is_file():
        return json.loads(kept.read_text())
    train, retrieve = configs(row)
    options = ["--cfg-options", f"data_root={data}", f"frame_cache={data / 'frames'}", "workflow.tensorboard=False"]
    tool("train", train, "--seed", seed, "--work-dir", folder, "--resume", "auto", *options, "workflow.keep_last=1")
    last = max((folder / "gpu1_id0" / "checkpoint").glob("epoch_*.pth"), key=lambda path: int(path.stem[6:]))
    found = last_losses(folder / "gpu1_id0" / "log.jsonl")
    for config in (train, retrieve):
        file = folder / f"{config.parent.name}_{config.stem}.json"
        words = ["--checkpoint", last, "--out", file, "--work-dir", folder / "test", *options]
        tool("test", config, *words)
        found |= json.loads(file.read_text())["model"]
    kept.write_text(json.dumps(found))
    return found


def last_losses(log):
    """Means over the last epoch of losses and of what guessing would have."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [line for line in lines if "loss/global_loss" in line]
    steps = [line for line in steps if line["epoch"] == steps[-1]["epoch"]]
    loss = {"global": "loss/global_loss", "region": "logged/region_contrast"}
    names = {f"{part}_loss": loss[part] for part in PARTS} | {
        f"{part}_chance": f"logged/{part}_chance" for part in PARTS
    }
    return {name: statistics.mean(line[key] for line in steps) for name, key in names.items()}


def shown(values, digits):
    """Mean and standard deviation."""
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"


def line(row, found):
    """A row of the table, of the numbers of all seeds."""
    cells = []
    for part in PARTS:
        loss, chance = ([own[f"{part}_{what}"] for own in found] for what in ("loss", "chance"))
        cells.append(f"{statistics.mean(loss):.2f} / {statistics.mean(chance):.2f}")
    recall = [50 * (own["region_to_text_r1"] + own["text_to_region_r1"]) for own in found]
    times = [value / 100 / own["guess_region_r1"] for value, own in zip(recall, found, strict=True)]
    scores = [[100 * own[name] for own in found] for name in ("auc", "abnormal_auc")]
    cells += [shown(recall, 1), f"{statistics.mean(times):.1f}", *(shown(values, 1) for values in scores)]
    config = configs(row)[0].relative_to(ROOT)
    return f"| {row.replace('_', ' ')} | `{config}` | {' | '.join(cells)} |"


def main():
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=ROOT / "exps" / "anomaly_faults")
    parser.add_argument("--at_once", type=int, default=2, help="runs at the same time, of one thread each")
    args = parser.parse_args()
    out = args.out.resolve()
    for seed in args.seeds:
        if not (out / f"set{seed}" / "tower.safetensors").is_file():
            tool("demo-data", "surveillance", "--out", out / f"set{seed}", "--seed", seed)
    jobs = list(product(args.seeds, args.rows))
    with ThreadPoolExecutor(args.at_once) as pool:
        numbers = dict(zip(jobs, pool.map(lambda job: measure(*job, out), jobs), strict=True))
    print(
        "| row | config | global loss / chance | region loss / chance | region R@1 | x guessing | AUC | AUC, abnormal |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for row in args.rows:
        print(line(row, [numbers[seed, row] for seed in args.seeds]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
