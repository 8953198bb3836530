"""Mirror an annotation file in time: [s, e] of a video of D seconds becomes [D-e, D-s]."""

import argparse
import logging
import sys
from pathlib import Path

from ..prepare.reverse_annotations import reverse_annotation_file


def parse_args(argv=None):
    """Arguments of the command."""
    parser = argparse.ArgumentParser(prog="reverse_annotations.py", description=__doc__)
    parser.add_argument("src", type=Path, metavar="SRC.json")
    parser.add_argument("dst", type=Path, metavar="DST.json")
    parser.add_argument("--round", type=int, default=6, metavar="N", help="decimals kept (default 6)")
    parser.add_argument("--overwrite", action="store_true", help="replace DST if it exists")
    return parser.parse_args(argv)


def main(argv=None):
    """Return 0 if the file was written, 1 if not."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    args = parse_args(argv)
    try:
        videos, actions = reverse_annotation_file(args.src, args.dst, digits=args.round, overwrite=args.overwrite)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{args.dst}: {videos} videos, {actions} actions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
