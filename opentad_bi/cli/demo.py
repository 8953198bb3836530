"""The demonstration: make the data, train a pair (experiment 1), print its mAP, draw what it finds."""

import argparse
from pathlib import Path

from ..config import load_config
from ..evaluation.ground_truth import load_ground_truth
from ..evaluation.predictions import load_predictions
from ..evaluation.timeline import draw_timeline
from ..prepare.demo import make_demo
from ..utils.files import read_json
from . import test, train

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "demo" / "pair_exp1.py"


def parse(argv):
    """Arguments of the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "exps" / "demo", help="folder of results (exps/demo)")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "demo", help="folder of the set (data/demo)")
    parser.add_argument("--seed", type=int, default=42, help="seed of the training (42)")
    return parser.parse_args(argv)


def main(argv=None):
    """Run all steps; a second call goes on where the first one ended. Returns the exit code."""
    args = parse(argv)
    if not (args.data / "annotations" / "thumos_14_anno.json").is_file():
        make_demo(args.data)
    run = ["--work_dir", str(args.out / "pair_exp1"), "--seed", str(args.seed), "--id", str(args.seed)]
    options = ["--cfg-options", f"data_root={args.data}"]
    code = train.main([str(CONFIG), *run, "--resume", "auto", *options])
    if code:
        return code
    summary = args.out / "summary.json"
    code = test.main([str(CONFIG), *run, "--out", str(summary), "--save_dir", str(args.out), *options])
    if code:
        return code
    numbers = read_json(summary)
    draw(args)
    line = ", ".join(f"{direction} {values['average_mAP']:.3f}" for direction, values in numbers.items())
    print(f"average mAP: {line}")
    print(f"{summary}\n{args.out / 'timeline.png'}")
    return 0


def draw(args):
    """Picture of the merged and single detections against the ground truth."""
    evaluation = load_config(CONFIG, {"data_root": str(args.data)}).evaluation
    truth = load_ground_truth(evaluation.ground_truth_filename, evaluation.subset)
    found = {
        direction: load_predictions(args.out / f"result_detection_{direction}.json").to_results()
        for direction in ("for", "back", "merged")
    }
    draw_timeline(args.out / "timeline.png", found, truth)
