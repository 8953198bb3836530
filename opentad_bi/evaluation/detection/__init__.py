"""Temporal action detection: mean average precision, post-processing, files of ground truth and predictions.

What is offered here needs no torch; so does `map`, the metric of the registry.
"""

from .io import GroundTruth, Predictions, load_ground_truth, load_predictions, parse_results, segments_by_video
from .mean_ap import Report, evaluate, evaluate_file
from .post_processing import final_predictions, merge_directions

__all__ = [
    "GroundTruth",
    "Predictions",
    "Report",
    "evaluate",
    "evaluate_file",
    "final_predictions",
    "load_ground_truth",
    "load_predictions",
    "merge_directions",
    "parse_results",
    "segments_by_video",
]
