"""Make a generated set of surveillance videos with captions, moving boxes and events, and a tiny random CLIP model.

Below --out: Videos/ with a folder per class, train.json and test.json with captions and keyframed boxes, the lists and
the temporal annotation of the test videos as UCF-Crime has them, tower.json and tower.safetensors.
"""

from pathlib import Path

from ..prepare.demo.surveillance import FORMS, make_demo_surveillance
from ..utils.logging import LOGGER, setup_logging
from .common import Parser, command
from .make_demo_features import ROOT, write_tower

LAYERS, PATCH = 3, 4


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__)
    cli.add_argument("--out", type=Path, default=ROOT / "data" / "demo_surveillance", help="folder of the set")
    cli.add_argument("--train_videos", type=int, default=48, help="videos of each class of anomaly to learn from")
    cli.add_argument("--test_videos", type=int, default=12, help="videos of each class of anomaly to test on")
    cli.add_argument("--forms", nargs="+", choices=FORMS, default=["list"], help="forms of the annotation")
    cli.add_argument("--seed", type=int, default=0, help="seed of videos and model")
    cli.add_argument("--overwrite", action="store_true", help="make a generated set again")
    return cli


def run(args):
    """Make the set; returns 0."""
    setup_logging()
    sizes = {"train_videos": args.train_videos, "test_videos": args.test_videos}
    counts = make_demo_surveillance(args.out, seed=args.seed, forms=args.forms, overwrite=args.overwrite, **sizes)
    model, weights = args.out / "tower.json", args.out / "tower.safetensors"
    write_tower(model, weights, args.seed, layers=LAYERS, patch_size=PATCH)
    LOGGER.info("%s: %d videos to learn from, %d to test on", args.out, *counts.values())
    return 0


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)
