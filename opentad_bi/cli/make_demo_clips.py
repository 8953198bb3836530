"""Make a generated set of short clips of four classes, and a tiny random CLIP model.

Below --out: videos/ with a folder per class, annotations/train.txt and annotations/test.txt with a file and a label per
line, tower.json and tower.safetensors.
"""

from pathlib import Path

from ..prepare.demo.clips import make_demo_clips
from ..utils.logging import LOGGER, setup_logging
from .common import Parser, command
from .make_demo_features import ROOT, write_tower

LAYERS, PATCH, GAIN = 4, 8, 2.0  # with a larger gain, random features of frames differ enough to be told apart


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__)
    cli.add_argument("--out", type=Path, default=ROOT / "data" / "demo_clips", help="folder of the set")
    cli.add_argument("--train_videos", type=int, default=12, help="clips of each class to learn from and validate on")
    cli.add_argument("--test_videos", type=int, default=8, help="clips of each class to test on")
    cli.add_argument("--seed", type=int, default=0, help="seed of clips and model")
    cli.add_argument("--overwrite", action="store_true", help="make a generated set again")
    return cli


def run(args):
    """Make the set; returns 0."""
    setup_logging()
    sizes = {"train": args.train_videos, "test": args.test_videos}
    counts = make_demo_clips(args.out, seed=args.seed, overwrite=args.overwrite, **sizes)
    model, weights = args.out / "tower.json", args.out / "tower.safetensors"
    write_tower(model, weights, args.seed, layers=LAYERS, patch_size=PATCH, gain=GAIN)
    LOGGER.info("%s: %d clips to learn from, %d to test on", args.out, *counts.values())
    return 0


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)
