"""The demonstration: make the data, train a pair (experiment 1), print its mAP, draw what it finds.

A second call goes on where the first one ended.
"""

import os
from pathlib import Path

import torch

from ..config import load_config
from ..evaluation.ground_truth import load_ground_truth
from ..evaluation.predictions import load_predictions
from ..evaluation.timeline import draw_timeline
from ..ops.directions import BACKWARD, FORWARD, MERGED
from ..prepare.demo import make_demo
from ..utils.files import read_json
from . import test, train
from .common import Parser, command

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "demo" / "pair_exp1.py"


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
    words = [CONFIG, "--work_dir", args.out / "pair_exp1", "--seed", args.seed, "--id", args.seed]
    options = ["--cfg-options", f"data_root={args.data}"]
    code = train.main([*words, "--resume", "auto", *options])
    if code:
        return code
    summary = args.out / "summary.json"
    code = test.main([*words, "--out", summary, "--save_dir", args.out, *options])
    if code:
        return code
    numbers = read_json(summary)
    draw(args)
    line = ", ".join(f"{direction} {values['average_mAP']:.3f}" for direction, values in numbers.items())
    print(f"average mAP: {line}")
    print(f"{summary}\n{args.out / 'timeline.png'}")
    return 0


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)


def draw(args):
    """Picture of the merged and single detections against the ground truth."""
    evaluation = load_config(CONFIG, {"data_root": str(args.data)}).evaluation
    truth = load_ground_truth(evaluation.ground_truth_filename, evaluation.subset)
    found = {
        direction: load_predictions(args.out / f"result_detection_{direction}.json").to_results()
        for direction in (FORWARD, BACKWARD, MERGED)
    }
    draw_timeline(args.out / "timeline.png", found, truth)
