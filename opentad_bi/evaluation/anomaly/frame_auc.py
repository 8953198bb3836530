"""The metric of anomaly detection in video: areas under curves over the frames of many videos, also per class."""

import difflib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...contracts import Metric
from ...errors import some
from ...ops.names import SINGLE, class_key, normal_label
from ...ops.records import ClassScores, RowScores
from ...registry import METRICS
from ...utils.files import NameList, write_json
from ...utils.logging import warn
from ...utils.validation import check_choice, check_classes, check_count, check_number
from ..common.frame_annotation import (
    EITHER,
    LAST_ROWS,
    anomalous_frames,
    check_length,
    frames_of_rows,
    read_frame_annotation,
)
from ..common.tables import aligned, percent
from ..common.unit_scores import UnitScores
from ..viz.curves import draw_score_curve, file_stem
from .scores import (
    ANOMALY,
    NORMAL,
    VideoScores,
    anomaly_scores,
    fitting_rows,
    last_rows,
    pooled_numbers,
    read_frame_counts,
    scores_by_video,
)

SHORT_FRAMES = 2  # that annotated times of real data lie beyond the decoded video
FRACTIONS = ("auc", "ap", "abnormal_auc", "abnormal_ap", "anomalous_share")
COUNTS = ("videos", "abnormal_videos", "missing_videos")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FrameReport:
    """What `frame_report` measures.

    Args:
        numbers: {"auc", "ap", "abnormal_auc", "abnormal_ap", "anomalous_share", "videos", "abnormal_videos"}, without
            "abnormal_auc" where videos with events have no normal frame.
        by_class: {class: numbers} of every class of anomaly, by name. "auc" and "ap" are over the frames of its videos
            and of all videos without events, the others over those of its videos alone.
    """

    numbers: dict
    by_class: dict


def frame_report(
    videos: Mapping[str, VideoScores],
    events: Mapping[str, Sequence[tuple[int, int]]],
    class_names: Mapping[str, str],
    frames_per_row: int,
    tolerance_frames: int | None = None,
    *,
    counts: Mapping[str, int] | None = None,
    last_row: str = EITHER,
) -> FrameReport:
    """Compare scores with events, frame by frame.

    Args:
        videos: {video: scores.VideoScores}.
        events: {video: pairs of frames} of the same videos.
        class_names: {video: name of its class} of those with events.
        frames_per_row: video frames per row of scores.
        tolerance_frames: how far an event may reach beyond the rows of its video; None: `SHORT_FRAMES` and, where the
            frames of the video are not known, one snippet of the video.
        counts: {video: frames} as lists say it, of videos whose scores do not; they may be off by `SHORT_FRAMES`.
        last_row: see `frames_of_rows`.
    Raises:
        ValueError: rows that are not those of the video's frames; an event beyond its video; no frame is anomalous, or
            all are.
    """
    frames, truth = _frames(videos, events, frames_per_row, tolerance_frames, counts or {}, last_row)

    def pooled(names):
        """Numbers over the frames of some videos, and the share of these that is anomalous."""
        anomalous = np.concatenate([truth[name] for name in names])
        scores = np.concatenate([videos[name].scores for name in names])
        counts = np.concatenate([frames[name] for name in names])
        share = float(anomalous.sum() / counts.sum())
        return {**pooled_numbers(scores, anomalous, counts), "anomalous_share": share}

    numbers = pooled(videos)
    if "auc" not in numbers:
        which = "every" if "ap" in numbers else "no"
        raise ValueError(
            f"{which} frame of the {len(videos)} videos with scores is anomalous, so the area under the ROC curve is "
            "not defined"
        )
    abnormal = [video for video in videos if events[video]]
    normal = [video for video in videos if not events[video]]
    numbers = {**numbers, **_abnormal(pooled(abnormal)), "videos": len(videos), "abnormal_videos": len(abnormal)}
    by_class = {}
    for name in sorted({class_names[video] for video in abnormal}):
        own = [video for video in abnormal if class_names[video] == name]
        alone = pooled(own)
        shared = {**pooled([*own, *normal]), "anomalous_share": alone["anomalous_share"], "videos": len(own)}
        by_class[name] = {**shared, **_abnormal(alone)}
    return FrameReport(numbers, by_class)


def _frames(videos, events, frames_per_row, tolerance_frames, counts, last_row):
    """({video: frames of each row}, {video: anomalous frames of each row}), arguments as of `frame_report`."""
    frames, truth = {}, {}
    reach = max((end / len(of.scores) for video, of in videos.items() for _, end in events[video]), default=0)
    hint = f" frames_per_row={round(reach)} would hold all events" if reach > frames_per_row + 0.5 else ""
    for video, of in videos.items():
        rows = len(of.scores)
        known, slack = (of.frames, 0) if of.frames else (counts.get(video, 0), SHORT_FRAMES)
        frames[video] = frames_of_rows(video, known, rows, frames_per_row, last_row, slack)
        default = SHORT_FRAMES + (0 if known else of.unit_rows * frames_per_row)
        tolerance = default if tolerance_frames is None else tolerance_frames
        check_length(video, events[video], max(known, int(frames[video].sum())), tolerance, hint)
        truth[video] = np.minimum(anomalous_frames(events[video], rows, frames_per_row), frames[video])
    return frames, truth


def _abnormal(numbers):
    """The areas among numbers, called those of videos with events alone."""
    return {f"abnormal_{name}": numbers[name] for name in ("auc", "ap") if name in numbers}


@METRICS.register_module()
class FrameAnomaly(Metric):
    """Area under the ROC curve (AUC) and average precision (AP) over all frames of all test videos.

    Scores of snippets become scores of feature rows (means where snippets or crops overlap), each row stands for
    `frames_per_row` frames, and the frames of the annotated events are the positives. Where the number of frames of a
    video is known (the results, the annotation or `frame_counts` say it), another number of rows is an error;
    otherwise truth and scores are cut to the same length, and rows that cannot be so long are a warning. `auc` and
    `ap` are over the frames of all videos put end to end, `abnormal_auc` and `abnormal_ap` over those of the videos
    with an event alone. AP is scikit-learn's average precision, not the area under the trapezoids of the curve; that
    of chance is `anomalous_share`.

    Labels of videos are never taken for labels of frames. In UCF-Crime about 8 % of the frames are anomalous, but about
    42 % lie in anomalous videos: numbers that count all of these as positive measure which video a frame is from, come
    out far higher, and must not be compared with published ones.

    Args:
        classes: names by label: a list, or a text file with one per line.
        normal_class: the class without anomalies; case, '_', '-' and spaces do not matter.
        annotation: UCF-Crime's `Temporal_Anomaly_Annotation.txt` or XD-Violence's `annotations.txt`.
        frames_per_row: video frames per row of features: 30 for a row per second at 30 fps, 16 for snippets of 16
            frames, 1 for a row per frame.
        fps: frames per second of the annotation, for the axis of the curves.
        score: "normal": 1 - p(normal); "anomaly": the largest probability of another class.
        sigma: Gaussian smoothing of each video's scores, in rows; 0: none.
        tolerance_frames: how far an event may reach beyond the frames that have scores. None: 2, as annotated ends of
            UCF-Crime lie up to 2 frames beyond the decoded video, and where its frames are not known those of the
            video's longest snippet, since features end with the last whole row and snippets with the last whole unit.
        frame_counts: JSON file with the frames of the videos, for `read_frame_counts`; None: there is none.
        last_row: of frames at the end of a video that make no whole row: "keep", the last row stands for them; "drop",
            they have no row and are left out; "either", which is logged. It is checked where frames are known.
        unlisted_normal: a video that the annotation lacks is normal, as in XD-Violence, whose annotation lists the
            videos with events alone; one whose samples have the label of an anomaly is an error still.
        select: "auc", "ap" or "abnormal_auc": the number that `score` gives.
        curves: number of videos to draw in `save`, evenly over those with events; 0: none, None: all videos.
        per_class: add the numbers of every class to `table`.
        scored: False: only take in and save scores; the annotation is not read, and `compute` is an error.
    Raises:
        ValueError, FileNotFoundError: what is wrong with the annotation; an argument is none of its choices.
        KeyError: `normal_class` is none of the classes.
    """

    classes: list[str]

    def __init__(
        self,
        *,
        classes: NameList,
        normal_class: str,
        annotation: str | Path,
        frames_per_row: int = 30,
        fps: float = 30.0,
        score: str = NORMAL,
        sigma: float = 0.0,
        tolerance_frames: int | None = None,
        frame_counts: str | Path | None = None,
        last_row: str = EITHER,
        unlisted_normal: bool = False,
        select: str = "auc",
        curves: int | None = 4,
        per_class: bool = False,
        scored: bool = True,
    ) -> None:
        self.classes = check_classes(classes)
        self.normal = normal_label(normal_class, self.classes)
        if len(self.classes) < 2:
            raise ValueError(f"classes {self.classes} hold no anomaly besides normal_class {normal_class!r}")
        self.frames_per_row = check_count("frames_per_row", frames_per_row)
        self.fps = check_number("fps", fps, positive=True)
        self.kind = check_choice("score", score, (NORMAL, ANOMALY))
        self.sigma = check_number("sigma", sigma)
        self.tolerance_frames = check_count("tolerance_frames", tolerance_frames, lowest=0, optional=True)
        self.last_row = check_choice("last_row", last_row, LAST_ROWS)
        self.select = check_choice("select", select, ("auc", "ap", "abnormal_auc"))
        self.curves = check_count("curves", curves, lowest=0, optional=True)
        self.unlisted_normal, self.per_class = unlisted_normal, per_class
        self.truth = read_frame_annotation(annotation, normal_class=normal_class) if scored else None
        self._counts = {video: of.frames for video, of in (self.truth or {}).items() if of.frames}
        self._counts |= read_frame_counts(frame_counts) if frame_counts else {}
        self._units = UnitScores(self.classes, labelled=False)
        self._videos: dict[str, VideoScores] | None = None
        self._report: FrameReport | None = None

    def update(self, results: Sequence[ClassScores | RowScores]) -> None:
        """Take in a list of `ops.records.ClassScores` or `RowScores`; ValueError, with the video, for a bad one."""
        self._videos = self._report = None
        self._units.update(results)

    def compute(self) -> dict[str, dict[str, float]]:
        """{"model": numbers}: those of `FRACTIONS` as fractions (`abnormal_auc` where it is defined), and of `COUNTS`.

        Raises:
            ValueError: no results; videos that the annotation lacks; an event beyond the video; no frame is anomalous,
                or all are.
        """
        return {SINGLE: {**self._measured().numbers, "missing_videos": len(self._missing())}}

    def score(self, metrics: dict[str, dict[str, float]]) -> float:
        """The number to select a checkpoint by."""
        numbers = metrics[SINGLE]
        if self.select not in numbers:
            raise ValueError(f"select {self.select!r} is not defined here: videos with events have no normal frame")
        return numbers[self.select]

    def table(self, metrics: dict[str, dict[str, float]]) -> str:
        """Text table of what `compute` returned, fractions in percent."""
        numbers = metrics[SINGLE]
        heads = [*FRACTIONS, *COUNTS]
        cells = [percent(numbers.get(name)) for name in FRACTIONS] + [str(numbers[name]) for name in COUNTS]
        text = aligned([["frames", *heads], ["all", *cells]])
        return f"{text}\n\n{self.per_class_table()}" if self.per_class else text

    def per_class_table(self) -> str:
        """Text table of every class of anomaly: its videos among those without events, and its videos alone."""
        rows = [["class", *FRACTIONS, "videos"]]
        for name, numbers in self._measured().by_class.items():
            rows.append([name, *(percent(numbers.get(key)) for key in FRACTIONS), str(numbers["videos"])])
        return aligned(rows)

    def save(self, folder: str | Path) -> None:
        """Write frame_scores.json, score_curves/VIDEO.png and, if scored, frame_anomaly.json."""
        folder, videos = Path(folder), self._scores()
        scores = {video: of.scores.tolist() for video, of in videos.items()}
        write_json(folder / "frame_scores.json", {"frames_per_row": self.frames_per_row, "videos": scores})
        if self.truth is not None:
            numbers = {**self.compute()[SINGLE], "per_class": self._measured().by_class}
            write_json(folder / "frame_anomaly.json", numbers)
        for video in self._drawn():
            draw_score_curve(
                folder / "score_curves" / f"{file_stem(video)}.png",
                videos[video].scores,
                self.frames_per_row / self.fps,
                events=[(start / self.fps, end / self.fps) for start, end in self._events(video)],
                title=video,
            )

    def _scores(self):
        """{video: VideoScores} of all results so far, by name, made once."""
        if self._videos is None:
            units = self._units.units()
            scores = anomaly_scores(units.probabilities, self.normal, self.kind)
            self._videos = scores_by_video(units, scores, self.sigma)
        return self._videos

    def _measured(self):
        """The FrameReport of all results so far, made once."""
        if self.truth is None:
            raise ValueError("this metric was built with scored=False, so it has no annotation to compute numbers by")
        if self._report is None:
            videos = self._scores()
            self._check_listed(videos)
            missing = self._missing()
            if missing:
                logger.warning("the annotation has %d videos without scores: %s", len(missing), some(missing))
            events = {video: self._events(video) for video in videos}
            names = {video: self._class_of(video, of.label) for video, of in videos.items() if events[video]}
            options = {"counts": self._counts, "last_row": self.last_row}
            self._report = frame_report(videos, events, names, self.frames_per_row, self.tolerance_frames, **options)
            self._judge_rows(videos, events)
        return self._report

    def _judge_rows(self, videos, events):
        """Log what was done with last rows, and warn of rows that cannot be `frames_per_row` long."""
        known = {video: of.frames or self._counts.get(video, 0) for video, of in videos.items()}
        lengths = {video: (len(of.scores), known[video]) for video, of in videos.items()}
        if text := last_rows(lengths, self.frames_per_row):
            logger.info("last_row=%r: %s", self.last_row, text)
        rows = {video: count for video, (count, frames) in lengths.items() if not frames}
        if problem := fitting_rows(rows, {video: events[video] for video in rows}, self.truth, self.frames_per_row):
            warn(problem, logger=logger)

    def _missing(self):
        """Videos of the annotation that have no scores."""
        return [video for video in self.truth if video not in self._scores()]

    def _events(self, video):
        entry = (self.truth or {}).get(video)
        return entry.events if entry else ()

    def _class_of(self, video, label):
        """Name of a video's class: the annotation's, in our spelling where there is one, else that of its samples."""
        name = self.truth[video].label
        if name is None:
            return self.classes[label] if label >= 0 else "not known"
        return next((own for own in self.classes if class_key(own) == class_key(name)), name)

    def _check_listed(self, videos):
        """ValueError for videos that the annotation lacks, unless they are normal by `unlisted_normal`."""
        lacking = [
            video
            for video, of in videos.items()
            if video not in self.truth and not (self.unlisted_normal and of.label in (-1, self.normal))
        ]
        if lacking:
            near = difflib.get_close_matches(lacking[0], self.truth, n=1) or list(self.truth)[:1]
            raise ValueError(
                f"the annotation lacks {len(lacking)} of {len(videos)} videos with scores: {some(lacking)}; it has, "
                f"for instance, {near[0]!r}"
            )

    def _drawn(self):
        """Names of the videos whose curves are drawn."""
        names = list(self._scores())
        if self.curves is None:
            return names
        names = [video for video in names if self._events(video)] or names
        return [names[i] for i in np.unique(np.linspace(0, len(names) - 1, self.curves).round().astype(int))]
