"""Make a caption file of a raw export of Label Studio (format JSON) of videos with rectangles and texts.

Disabled keyframes stay: they say where a box ends.
"""

from pathlib import Path

from ..prepare.label_studio import import_file
from .common import Parser, command


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__)
    cli.add_argument("src", type=Path, metavar="EXPORT.json")
    cli.add_argument("dst", type=Path, metavar="OUT.json")
    cli.add_argument("--video_key", default="video", metavar="NAME", help="name of the video in the data of a task")
    cli.add_argument("--on_bad_region", choices=("error", "skip"), default="error",
                     help="of a region that cannot be read; its video stays (default: error)")  # fmt: skip
    cli.add_argument("--overwrite", action="store_true", help="replace OUT.json if it exists")
    return cli


def run(args):
    """Write the file and say what is in it; returns 0."""
    counts = import_file(
        args.src, args.dst, video_key=args.video_key, on_bad_region=args.on_bad_region, overwrite=args.overwrite
    )
    print(f"{args.dst}: " + ", ".join(f"{count} {name}" for name, count in counts.items() if count))
    return 0


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)
