"""Mean average precision of a saved result file."""

from ..evaluation.common.tables import class_table, metric_name, metrics_table
from ..evaluation.detection.io import load_ground_truth, load_predictions
from ..evaluation.detection.mean_ap import THUMOS_THRESHOLDS, check_videos, evaluate
from ..evaluation.viz.timeline import draw_timeline
from ..ops.names import SINGLE
from ..utils.files import write_json
from .common import Parser, add_strict_argument, command


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__)
    cli.add_argument("--predictions", required=True, metavar="JSON", help="result file, .json or .json.gz")
    cli.add_argument("--ground-truth", required=True, metavar="JSON", help="annotation file, .json or .json.gz")
    cli.add_argument("--subset", required=True, help="subset of the annotation file to evaluate on")
    cli.add_argument("--tiou", nargs="+", type=float, default=THUMOS_THRESHOLDS, help="overlaps that count")
    cli.add_argument("--top-k", nargs="+", type=int, metavar="K", help="also recall of the first K x truths segments")
    cli.add_argument("--blocked", metavar="FILE", help="videos to leave out: a JSON list, or text with one per line")
    cli.add_argument("--per-class", action="store_true", help="also the average precision of every class")
    cli.add_argument("--out", metavar="JSON", help="write the metrics here, as fractions")
    cli.add_argument("--timeline", metavar="PNG", help="draw predictions against the ground truth here")
    cli.add_argument("--videos", nargs="+", metavar="NAME", help="videos of --timeline (default: the first four)")
    add_strict_argument(cli)
    return cli


def run(args):
    """Evaluate, print the tables and write what was asked for; returns 0.

    Raises:
        ValueError: afterwards, if no predicted video is in the subset (with --strict: if one is not).
    """
    truth = load_ground_truth(args.ground_truth, args.subset, args.blocked)
    predictions = load_predictions(args.predictions)
    report = evaluate(predictions, truth, tiou_thresholds=args.tiou, top_k=args.top_k)
    print(metrics_table({SINGLE: report.metrics}))
    if args.per_class:
        print(f"\n{class_table({SINGLE: report})}")
    if args.out:
        write_json(args.out, report.metrics | ({"per_class": per_class(report)} if args.per_class else {}))
    if args.timeline:
        draw_timeline(args.timeline, predictions.to_results(), truth, videos=args.videos)
    check_videos(predictions.videos, truth)  # last: the numbers, all 0, are shown where no video fits
    return 0


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)


def per_class(report):
    """{class: {"AP": mean over overlaps, "AP@0.30": ...}} of a Report, as fractions."""
    names = ["AP", *(f"AP@{metric_name(t)}" for t in report.thresholds)]
    columns = [report.ap.mean(axis=0), *report.ap]
    return {
        label: {key: float(column[i]) for key, column in zip(names, columns, strict=True)}
        for i, label in enumerate(report.classes)
    }
