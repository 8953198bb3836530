"""The evaluation of opentad_bi; importing this package registers them."""

from . import detection_map, ground_truth, mean_ap, post_processing, predictions, tables, timeline

__all__ = [
    "detection_map",
    "ground_truth",
    "mean_ap",
    "post_processing",
    "predictions",
    "tables",
    "timeline",
]
