"""Make a caption file of a raw export of Label Studio (format JSON) of videos with rectangles and texts.

Disabled keyframes stay: they say where a box ends. Of an export with timeline labels (formats JSON and JSON_MIN) an
annotation of actions is made instead, {"database": ...}, for tools/train.py and tools/evaluate.py. Its frames count
from 1, both ends included, at the frameRate of the Video tag in Label Studio: --fps, else `fps` in the data of a task,
else that of the labelling configuration, else the rate of the file in --video_root.
"""

from pathlib import Path

from ..prepare.label_studio import import_file, import_timeline_file
from ..utils.annotation import holds_timeline
from ..utils.files import read_json
from .common import Parser, command


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__)
    cli.add_argument("src", type=Path, metavar="EXPORT.json")
    cli.add_argument("dst", type=Path, metavar="OUT.json")
    cli.add_argument("--video_key", default="video", metavar="NAME", help="name of the video in the data of a task")
    cli.add_argument("--on_bad_region", choices=("error", "skip"), default="error",
                     help="of a region that cannot be read; its video stays (default: error)")  # fmt: skip
    cli.add_argument("--form", choices=("captions", "actions"),
                     help="what to make (default: actions of timeline labels, else captions)")  # fmt: skip
    cli.add_argument("--fps", type=float, help="actions: frames per second that the timeline counts")
    cli.add_argument("--video_root", type=Path, metavar="DIR", help="actions: folder of the videos, for their lengths")
    cli.add_argument("--first_frame", type=int, choices=(0, 1), default=1, help="actions: number of the first frame")
    cli.add_argument("--subset", default="training", metavar="NAME", help="actions: subset that all videos get")
    cli.add_argument("--overwrite", action="store_true", help="replace OUT.json if it exists")
    return cli


def run(args):
    """Write the file and say what is in it; returns 0."""
    options = {"video_key": args.video_key, "overwrite": args.overwrite}
    if (args.form or _form(args.src)) == "actions":
        options |= {key: getattr(args, key) for key in ("fps", "video_root", "first_frame", "subset")}
        counts = import_timeline_file(args.src, args.dst, **options)
    else:
        counts = import_file(args.src, args.dst, on_bad_region=args.on_bad_region, **options)
    print(f"{args.dst}: " + ", ".join(f"{count} {name}" for name, count in counts.items() if count))
    return 0


def _form(src):
    """What is made of an export by default; ValueError if it has both timeline labels and boxes."""
    content = read_json(src, "export of Label Studio")
    if not holds_timeline(content):
        return "captions"
    if "videorectangle" in str(content):
        raise ValueError(f"{src} has both timeline labels and boxes; choose --form actions or --form captions")
    return "actions"


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)
