"""Join trimmed clips (a folder per class) into untrimmed videos with exact annotations."""

import argparse
from pathlib import Path

from ..prepare.join_clips import FITS, Format, make_untrimmed
from ..prepare.layout import summary
from .common import Parser, command


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__)
    cli.add_argument("src", type=Path, metavar="SRC", help="folder with one folder of clips per class")
    cli.add_argument("dst", type=Path, metavar="DST", help="folder to write")
    cli.add_argument("--actions", type=_names, required=True, metavar="CLASS[,CLASS]", help="classes to detect")
    cli.add_argument("--background", type=_names, required=True, metavar="CLASS[,CLASS]", help="what is between")
    cli.add_argument("--videos", type=int, default=20, help="videos to make")
    cli.add_argument("--split", type=float, default=0.6, help="share of clips and videos for training")
    cli.add_argument("--passes", type=int, default=1, help="how often each clip is used")
    cli.add_argument("--seed", type=int, default=0, help="seed of the orders")
    cli.add_argument("--fps", type=int, default=25, help="frames per second")
    cli.add_argument("--size", type=_size, default="320x240", metavar="WxH", help="pixels")
    cli.add_argument("--fit", choices=FITS, default="crop", help="what to do with another aspect")
    cli.add_argument("--overwrite", action="store_true", help="make the set again if it exists")
    return cli


def _names(text):
    return [name for name in text.split(",") if name]


def _size(text):
    try:
        width, height = map(int, text.lower().split("x"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"a size is WIDTHxHEIGHT, for example 320x240; got {text!r}") from error
    return width, height


def run(args):
    """Write the set and print what is in it; returns 0."""
    keys = ("actions", "background", "videos", "split", "passes", "seed", "overwrite")
    target = Format(*args.size, args.fps, args.fit)
    database = make_untrimmed(args.src, args.dst, target=target, **{k: getattr(args, k) for k in keys})
    print(summary(args.dst, database))
    return 0


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)
