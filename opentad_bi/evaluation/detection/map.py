"""The metric of temporal action detection: results of a detector to mean average precision."""

import inspect
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ...contracts import Metric
from ...ops.names import JOINED, MERGED, SINGLE, chief
from ...ops.nms import batched_nms
from ...ops.records import Result
from ...registry import METRICS, check_keys
from ...utils.files import NameList, read_names, write_json
from ...utils.logging import warn
from ..common.tables import class_table, metrics_table
from .io import Predictions, load_ground_truth, load_predictions
from .mean_ap import THUMOS_THRESHOLDS, Report, check_thresholds, check_videos, evaluate
from .post_processing import Window, final_predictions, merge_directions

logger = logging.getLogger(__name__)


@METRICS.register_module(name="mAP")
class DetectionMAP(Metric):
    """Mean average precision over classes and overlaps, for every direction and for both merged.

    "merged" appears where results have the directions "for" and "back": the candidates of both go through one NMS. So
    does "fused" where they have "fused_for" and "fused_back", the outputs of a fusion on either basis.

    Args:
        subset: subset of the ground truth to evaluate on, matched exactly.
        ground_truth_filename: annotation file.
        class_map: names of the classes by label index: a list, or a text file with one per line.
        tiou_thresholds: overlaps at which a prediction counts.
        nms: arguments of `ops.nms.batched_nms`; None for no suppression.
        blocked_videos: videos that take no part: names, a JSON list or a text file.
        top_k: also report recall of the first k * (true segments) predictions per video and class.
        per_class: add the average precision of every class to `table`.
        scored: False: only take in and save results; the ground truth is not read, and `compute` is an error.
        cross_direction_voting: exponent of the cross-direction score voting of "merged", see `merge_directions`; None:
            no voting.
    Raises:
        ValueError, FileNotFoundError: what is wrong with the files; a subset that is not there or is empty.
        KeyError: `nms` has an argument that `batched_nms` does not know.
    """

    classes: list[str]

    def __init__(
        self,
        *,
        subset: str,
        ground_truth_filename: str | Path,
        class_map: NameList,
        tiou_thresholds: Sequence[float] = THUMOS_THRESHOLDS,
        nms: dict | None = None,
        blocked_videos: NameList = None,
        top_k: Sequence[int] | None = None,
        per_class: bool = False,
        cross_direction_voting: float | None = None,
        scored: bool = True,
    ) -> None:
        self.truth = load_ground_truth(ground_truth_filename, subset, blocked_videos) if scored else None
        self.classes = read_names(class_map, "class map")
        self.tiou_thresholds = check_thresholds(tiou_thresholds)
        self.nms = _check_nms(nms)
        self.top_k = top_k
        self.cross_direction_voting = cross_direction_voting
        self.per_class = per_class
        missing = sorted(set(self.truth.classes) - set(self.classes)) if self.truth else ()
        if missing:
            warn(
                f"subset {subset} has classes the class map does not: {', '.join(missing)}; "
                "their average precision is 0",
                logger=logger,
            )
        self._windows: dict[str, dict[str, list[Window]]] = {}  # by direction and video
        self._final: dict[str, Predictions] | None = None
        self._reports: dict[str, Report] = {}

    def update(self, results: Sequence[Result]) -> None:
        """Take in a list of `ops.records.Result`; every result must have the same directions.

        Raises:
            ValueError: other directions than before, a score that is not finite, a label outside the class map.
        """
        self._final = None
        for result in results:
            directions = sorted(result.detections)
            if self._windows and directions != sorted(self._windows):
                raise ValueError(
                    f"video {result.meta.video!r} has the directions {directions}, others have {sorted(self._windows)}"
                )
            for direction, detections in result.detections.items():
                videos = self._windows.setdefault(direction, {})
                videos.setdefault(result.meta.video, []).append(self._window(result.meta, detections))

    def compute(self) -> dict[str, dict[str, float]]:
        """{direction: {"average_mAP", "mAP@0.30", ...}} as fractions; ValueError if there were no results."""
        return self._evaluate(self._predictions())

    def compute_file(self, path: str | Path) -> dict[str, dict[str, float]]:
        """The same for a saved result file, under the name of a single network."""
        return self._evaluate({SINGLE: load_predictions(path)})

    def check_videos(self, videos: Iterable[str]) -> None:
        """Warn of videos that are not in the subset; ValueError if none of them is, see `mean_ap.check_videos`."""
        if self.truth is not None:
            check_videos(videos, self.truth)

    def _evaluate(self, by_direction):
        if self.truth is None:
            raise ValueError("this metric was built with scored=False, so it has no ground truth to compute numbers by")
        self.check_videos(video for predictions in by_direction.values() for video in predictions.videos)
        options = {"tiou_thresholds": self.tiou_thresholds, "top_k": self.top_k, "class_map": self.classes}
        self._reports = {
            direction: evaluate(predictions, self.truth, **options) for direction, predictions in by_direction.items()
        }
        return {direction: dict(report.metrics) for direction, report in self._reports.items()}

    def results(self) -> dict[str, dict[str, list[dict]]]:
        """Final segments: {direction: {video: [{"segment", "label", "score"}, ...]}}."""
        return {direction: found.to_results() for direction, found in self._predictions().items()}

    def save(self, folder: str | Path) -> None:
        """Write result_detection.json (of the `chief` direction) and, of a pair, result_detection_{direction}.json."""
        folder = Path(folder)
        results = self.results()
        best = results[chief(results)]
        write_json(folder / "result_detection.json", {"results": best})
        if len(results) > 1:
            for direction, found in results.items():
                write_json(folder / f"result_detection_{direction}.json", {"results": found})

    def table(self, metrics: dict[str, dict[str, float]]) -> str:
        """Text table of what `compute` returned, in percent."""
        text = metrics_table(metrics)
        return f"{text}\n\n{self.per_class_table()}" if self.per_class else text

    def per_class_table(self) -> str:
        """Text table of the average precision of every class, of the last `compute`."""
        if not self._reports:
            self.compute()
        return class_table(self._reports)

    def score(self, metrics: dict[str, dict[str, float]]) -> float:
        """The number to select a checkpoint by: the average mAP, fused or merged where there is one."""
        return metrics[chief(metrics)]["average_mAP"]

    def _predictions(self):
        """{direction: Predictions} of all results so far, made once."""
        if not self._windows:
            raise ValueError("no results were given to this metric; call update(results) first")
        if self._final is None:
            candidates = dict(self._windows)
            for joined, (forward, backward) in JOINED.items():
                if forward in candidates and backward in candidates:
                    # both bases of a fusion say nearly the same: voting adds nothing
                    voting = self.cross_direction_voting if joined == MERGED else None
                    candidates[joined] = merge_directions(candidates[forward], candidates[backward], voting)
            self._final = {
                direction: final_predictions(windows, self.classes, self.nms)
                for direction, windows in candidates.items()
            }
        return self._final

    def _window(self, meta, detections):
        """Candidates of one direction of one result as checked arrays."""
        segments, scores, labels = map(np.asarray, (detections.segments, detections.scores, detections.labels))
        if not (np.isfinite(scores).all() and np.isfinite(segments).all()):
            raise ValueError(
                f"video {meta.video!r}, window from frame {meta.window_start_frame}: "
                "scores or segments are not finite (NaN or infinite)"
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.classes):
            raise ValueError(
                f"video {meta.video!r}: labels {labels.min()} to {labels.max()} do not fit a class map of "
                f"{len(self.classes)} names"
            )
        return Window(meta, segments, scores, labels)


def _check_nms(nms):
    """`nms` as a plain dict whose keys `batched_nms` knows, or None."""
    if nms is None:
        return None
    known = [k for k, p in inspect.signature(batched_nms).parameters.items() if p.kind is p.KEYWORD_ONLY]
    check_keys("nms", nms, known)
    return dict(nms)
