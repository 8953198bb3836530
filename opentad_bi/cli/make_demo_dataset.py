"""Make the demonstration set: small videos with six actions, three pairs that are each other's reversal in time."""

import argparse
import sys
from pathlib import Path

from ..prepare.demo import make_demo
from ..prepare.layout import summary


def parse_args(argv=None):
    """Arguments of the command."""
    parser = argparse.ArgumentParser(prog="make_demo_dataset.py", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/demo"), help="folder to write (default data/demo)")
    parser.add_argument("--videos", type=int, default=40, help="number of videos (default 40)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default 0)")
    parser.add_argument("--training", type=float, default=0.6, help="share of training videos (default 0.6)")
    parser.add_argument("--overwrite", action="store_true", help="make the set again if it exists")
    return parser.parse_args(argv)


def main(argv=None):
    """Return 0 if the set was written, 1 if not."""
    args = parse_args(argv)
    try:
        database = make_demo(
            args.out, videos=args.videos, seed=args.seed, training=args.training, overwrite=args.overwrite
        )
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(summary(args.out, database))
    return 0


if __name__ == "__main__":
    sys.exit(main())
