"""Make the demonstration set: small videos with six actions, three pairs that are each other's reversal in time."""

from pathlib import Path

from ..prepare.demo.detection import make_demo
from ..prepare.layout import summary
from .common import Parser, command


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__)
    cli.add_argument("--out", type=Path, default=Path("data/demo"), help="folder to write")
    cli.add_argument("--videos", type=int, default=40, help="number of videos")
    cli.add_argument("--seed", type=int, default=0, help="seed of everything random")
    cli.add_argument("--training", type=float, default=0.6, help="share of training videos")
    cli.add_argument("--overwrite", action="store_true", help="make the set again if it exists")
    return cli


def run(args):
    """Write the set and print what is in it; returns 0."""
    database = make_demo(args.out, videos=args.videos, seed=args.seed, training=args.training, overwrite=args.overwrite)
    print(summary(args.out, database))
    return 0


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)
