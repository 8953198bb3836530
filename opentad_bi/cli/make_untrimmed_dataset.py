"""Join trimmed clips (a folder per class) into untrimmed videos with exact annotations."""

import argparse
import logging
import sys
from pathlib import Path

from ..prepare.clips import FITS, Format
from ..prepare.layout import summary
from ..prepare.untrimmed import make_untrimmed


def parse_args(argv=None):
    """Arguments of the command."""
    parser = argparse.ArgumentParser(prog="make_untrimmed_dataset.py", description=__doc__)
    parser.add_argument("src", type=Path, metavar="SRC", help="folder with one folder of clips per class")
    parser.add_argument("dst", type=Path, metavar="DST", help="folder to write")
    parser.add_argument("--actions", type=_names, required=True, metavar="CLASS[,CLASS]", help="classes to detect")
    parser.add_argument("--background", type=_names, required=True, metavar="CLASS[,CLASS]", help="what is between")
    parser.add_argument("--videos", type=int, default=20, help="videos to make (default 20)")
    parser.add_argument("--split", type=float, default=0.6, help="share of clips and videos for training (default 0.6)")
    parser.add_argument("--passes", type=int, default=1, help="how often each clip is used (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the orders (default 0)")
    parser.add_argument("--fps", type=int, default=25, help="frames per second (default 25)")
    parser.add_argument("--size", type=_size, default=(320, 240), metavar="WxH", help="pixels (default 320x240)")
    parser.add_argument("--fit", choices=FITS, default="crop", help="what to do with another aspect (default crop)")
    parser.add_argument("--overwrite", action="store_true", help="make the set again if it exists")
    return parser.parse_args(argv)


def _names(text):
    return [name for name in text.split(",") if name]


def _size(text):
    try:
        width, height = map(int, text.lower().split("x"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"a size is WIDTHxHEIGHT, for example 320x240; got {text!r}") from error
    return width, height


def main(argv=None):
    """Return 0 if the set was written, 1 if not."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    args = parse_args(argv)
    keys = ("actions", "background", "videos", "split", "passes", "seed", "overwrite")
    try:
        target = Format(*args.size, args.fps, args.fit)
        database = make_untrimmed(args.src, args.dst, target=target, **{k: getattr(args, k) for k in keys})
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(summary(args.dst, database))
    return 0


if __name__ == "__main__":
    sys.exit(main())
