"""The demonstration: make the data, train a pair (experiment 1) and a fusion from it (3-3), show what they find.

A second call goes on where the first one ended.
"""

import os
from pathlib import Path

import torch

from ..config import load_config
from ..evaluation.detection.io import load_ground_truth, load_predictions
from ..evaluation.viz.timeline import draw_timeline
from ..ops.names import FUSED, MERGED, PAIR
from ..prepare.demo.detection import make_demo
from ..utils.files import read_json, write_json
from . import detect, test, train
from .common import Parser, command

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs" / "demo"
EXPERIMENTS = ("pair_exp1", "pair_exp3_3")
SHOWN = (*PAIR, MERGED, FUSED)


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__)
    cli.add_argument("--out", type=Path, default=ROOT / "exps" / "demo", help="folder of results")
    cli.add_argument("--data", type=Path, default=ROOT / "data" / "demo", help="folder of the set")
    cli.add_argument("--seed", type=int, default=42, help="seed of the training")
    return cli


def run(args):
    """Run all steps; returns the exit code of the first that fails, else 0."""
    # half of the cores for the network, half for the loader: on small tensors more threads are slower, not faster
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    if not (args.data / "annotations" / "thumos_14_anno.json").is_file():
        make_demo(args.data)
    pair, fused = EXPERIMENTS
    best = checkpoint(args, pair)
    code = train_and_test(args, pair) or train_and_test(args, fused, "--for_resume", best, "--back_resume", best)
    if code:
        return code
    numbers = {name: read_json(args.out / name / "metrics.json") for name in EXPERIMENTS}
    write_json(args.out / "summary.json", numbers)
    evaluation = load_config(CONFIGS / f"{fused}.py", {"data_root": str(args.data)}).evaluation
    truth = load_ground_truth(evaluation.ground_truth_filename, evaluation.subset)
    draw(args.out, args.out / fused, truth)
    page, code = show_one(args, checkpoint(args, fused), truth.videos[0])
    for name, found in numbers.items():
        line = ", ".join(f"{d} {found[d]['average_mAP']:.3f}" for d in SHOWN if d in found)
        print(f"average mAP, {name}: {line}")
    print(f"{args.out / 'summary.json'}\n{args.out / 'timeline.png'}\n{page}   (open it in a browser)")
    return code


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)


def checkpoint(args, name):
    """Path of the best checkpoint of one experiment."""
    return args.out / name / f"gpu1_id{args.seed}" / "checkpoint" / "best.pth"


def train_and_test(args, name, *words):
    """Train one experiment (or go on with it) and write its numbers and results; returns an exit code."""
    folder = args.out / name
    common = [CONFIGS / f"{name}.py", "--work_dir", folder, "--seed", args.seed, "--id", args.seed]
    options = ["--cfg-options", f"data_root={args.data}"]
    code = train.main([*common, *words, "--resume", "auto", *options])
    return code or test.main([*common, "--out", folder / "metrics.json", "--save_dir", folder, *options])


def draw(out, results, truth):
    """Picture of what each direction finds, against the ground truth."""
    found = {d: load_predictions(results / f"result_detection_{d}.json").to_results() for d in SHOWN}
    draw_timeline(out / "timeline.png", found, truth)


def show_one(args, weights, video):
    """The page of one validation video; returns its path and an exit code."""
    out = args.out / "pages"
    words = [CONFIGS / f"{EXPERIMENTS[1]}.py", weights, args.data / "raw_data" / f"{video}.mp4", "--out", out]
    truth = ["--ground_truth", args.data / "annotations" / "thumos_14_anno.json"]
    return out / f"{video}.html", detect.main([*words, *truth])
