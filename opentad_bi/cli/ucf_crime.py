"""Lay out features of UCF-Crime for training and test by its official lists.

Writes OUT/{train,test}/<class>/*.npy (links), OUT/annotations/test/<class>.csv (events in seconds), OUT/test_videos.txt
(never to be trained on) and OUT/Temporal_Anomaly_Annotation.txt. Running it again is safe.
"""

import logging
from pathlib import Path

from ..errors import some
from ..evaluation.common.frame_annotation import read_frame_annotation
from ..prepare.ucf_crime import ANNOTATION, CLASSES, lay_out, read_list
from ..utils.files import read_text, write_text
from .common import Parser, command, make_writable

logger = logging.getLogger(__name__)


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__)
    cli.add_argument(
        "features", help="folder with .npy files at any depth, named after the videos, with or without a crop"
    )
    cli.add_argument("out", help="folder to write")
    cli.add_argument("--lists", required=True, metavar="DIR", help="folder with the three official lists")
    cli.add_argument("--train_list", default="Anomaly_Train.txt", help="name of a file in it, or a path")
    cli.add_argument("--test_list", default="Anomaly_Test.txt", help="name of a file in it, or a path")
    cli.add_argument("--annotation", default=ANNOTATION, help="name of a file in it, or a path")
    cli.add_argument("--copy", action="store_true", help="copy the files instead of linking them")
    return cli


def run(args):
    """Lay out the features and print what was found."""
    lists = Path(args.lists)
    train, test = (read_list(lists / name) for name in (args.train_list, args.test_list))
    annotation = lists / args.annotation
    events = read_frame_annotation(annotation, normal_class=CLASSES[0])
    make_writable(args.out, "the argument OUT")
    table, unknown = lay_out(args.out, features=args.features, train=train, test=test, events=events, copy=args.copy)
    write_text(Path(args.out) / ANNOTATION, read_text(annotation, "temporal annotation"))
    print(table.to_string())
    for split in ("train", "test"):
        if not table.loc["all", f"{split} found"]:
            logger.warning("no features of the %s videos were found below %s", split, args.features)
    if unknown:
        logger.warning(
            "%d files are of no listed video and were left out, such as %s",
            len(unknown),
            some(unknown),
        )
    return 0


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)
