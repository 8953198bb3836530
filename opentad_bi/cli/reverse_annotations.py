"""Mirror an annotation file in time: [s, e] of a video of D seconds becomes [D-e, D-s].

A class map, category_idx.txt, that lies beside SRC goes along if there is none beside DST.
"""

from pathlib import Path

from ..prepare.reverse.annotations import reverse_annotation_file
from ..utils.files import read_text, write_text
from .common import Parser, command

CLASS_MAP = "category_idx.txt"


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__)
    cli.add_argument("src", type=Path, metavar="SRC.json")
    cli.add_argument("dst", type=Path, metavar="DST.json")
    cli.add_argument("--round", type=int, default=6, metavar="N", help="decimals kept")
    cli.add_argument("--overwrite", action="store_true", help="replace DST if it exists")
    return cli


def run(args):
    """Write the file and say what is in it; returns 0."""
    videos, actions = reverse_annotation_file(args.src, args.dst, digits=args.round, overwrite=args.overwrite)
    print(f"{args.dst}: {videos} videos, {actions} actions")
    src, dst = (path.parent / CLASS_MAP for path in (args.src, args.dst))
    if src.is_file() and not dst.exists():
        write_text(dst, read_text(src, "class map"))
        print(f"{dst}: the class map, copied")
    return 0


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)
