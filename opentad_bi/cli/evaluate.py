"""Mean average precision of a saved result file; needs no PyTorch."""

from argparse import Namespace

from ..evaluation.common.tables import class_table, metric_name, metrics_table
from ..evaluation.detection.io import load_ground_truth, load_predictions
from ..evaluation.detection.mean_ap import Report, check_videos, evaluate
from ..evaluation.viz.timeline import draw_timeline
from ..ops.names import SINGLE
from ..utils.files import write_json


def run(args: Namespace) -> int:
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


def per_class(report: Report) -> dict[str, dict[str, float]]:
    """{class: {"AP": mean over overlaps, "AP@0.30": ...}} of a Report, as fractions."""
    names = ["AP", *(f"AP@{metric_name(t)}" for t in report.thresholds)]
    columns = [report.ap.mean(axis=0), *report.ap]
    return {
        label: {key: float(column[i]) for key, column in zip(names, columns, strict=True)}
        for i, label in enumerate(report.classes)
    }
