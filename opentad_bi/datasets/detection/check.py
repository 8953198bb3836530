"""Is a data set fit for training?  Everything that can be known before the first epoch, in one list.

Sets of annotated actions are checked here: the annotation file and the class map first, then video or feature files
against the annotation. A set of another family brings a check of its own. `check_splits` compares the sets to learn
from and to test on.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

from ...config import dataset_config
from ...contracts import Dataset, ListsVideos
from ...errors import message_of
from ...ops.names import overlap
from ...ops.windows import OVERLAP, cut_windows
from ...registry import DATASETS
from ...utils.annotation import (
    actions,
    frame_seconds,
    is_far_outside,
    named,
    parse_database,
    read_block_list,
    segment_problem,
    select_names,
)
from ...utils.arrays import huge
from ...utils.checks import ERROR, NOT_CHECKED, OK, WARNING, CheckResult
from ...utils.logging import quietly
from ..common.check import MANY, SEVERAL, spread, unwrap
from ..common.feature_files import feature_shape, read_features, replaced_sources
from ..common.fit import (
    BY_CONTENT,
    BY_HEADER,
    SLACK,
    Fit,
    entry_fit,
    feature_fit,
    nearest_length,
    other_channels,
    summary,
)
from ..readers.base import find_video, open_video
from ..readers.pyav import read_header
from ..transforms.compose import Compose
from .annotation import read_class_map, with_length
from .features import LoadFeats, LoadWindowFeats, open_windows
from .pipeline import LoadFrames
from .thumos import AnnotationDataset, number_problem

FPS = (1, 240)
FRAMES_AT_ONCE = 256  # decoded at the same time, which bounds memory
HEADER_SLACK_SEC = 0.5  # containers that know no duration of the video alone give that of its sound
FEW = 8  # files whose headers are read at the start of training and test, where that takes reading the whole file


def check_annotation(arguments: dict) -> tuple[list[CheckResult], dict[str, dict]]:
    """Check the annotation of a dataset config (without `type`).

    Returns:
        results, and {name: entry} of the well-formed videos of the subset (empty where the file cannot be read),
        with the `duration` and `frame` that training takes, see `annotation.with_length`.
    """
    repeated: list[str] = []
    where = named(arguments["ann_file"])
    try:
        sound, malformed = parse_database(arguments["ann_file"], repeated=repeated)
    except (OSError, ValueError, KeyError) as error:
        return [_annotation(ERROR, message_of(error))], {}
    results = [
        _annotation(ERROR, "is there more than once; only the last one counts", n) for n in sorted(set(repeated))
    ]
    results += [_annotation(ERROR, problem, name) for name, problem in malformed.items()]
    classes = _read(read_class_map, arguments.get("class_map", ""), results)
    blocked = _read(read_block_list, arguments.get("block_list"), results) or frozenset()
    for name in sorted(blocked - set(sound) - set(malformed)):
        results.append(_annotation(WARNING, "is on the block list but not in the annotation", name))
    try:
        names = select_names(sound, arguments["subset_name"], blocked, where)
    except ValueError as error:
        return [*results, _annotation(ERROR, message_of(error))], {}
    entries = _with_lengths({name: sound[name] for name in names}, arguments, results)
    for name, entry in entries.items():
        results += [_annotation(level, problem, name) for level, problem in _check_entry(entry, classes)]
    if not arguments.get("test_mode") and not any(_valid(entry, classes) for entry in entries.values()):
        results.append(_annotation(ERROR, f"no video of subset {arguments['subset_name']!r} has ground truth"))
    return results, entries


def _annotation(level, found, video=""):
    return CheckResult("annotation", level, found, video=video)


def _files(level, found, video=""):
    return CheckResult("files", level, found, video=video)


def _with_lengths(entries, arguments, results):
    """The entries of videos whose length is known, or can be had from their files; results get an error for others."""
    try:
        steps = Compose(arguments["pipeline"]).steps
    except (KeyError, TypeError, ValueError):  # the check of the media reports it
        steps = []
    options = {"file_format": arguments.get("file_format", "mp4"), "feature_stride": arguments.get("feature_stride", 4)}
    found = {}
    for name, entry in entries.items():
        try:
            found[name] = with_length(name, entry, steps=steps, data_path=arguments["data_path"], **options)
        except (ValueError, FileNotFoundError) as error:
            results.append(_annotation(ERROR, message_of(error), name))
    return found


def _read(reader, path, results):
    """What `reader` gives, or None and an error in the results."""
    try:
        return reader(path)
    except (OSError, ValueError) as error:
        results.append(_annotation(ERROR, message_of(error)))
        return None


def _check_entry(entry, classes):
    """(level, problem) of one well-formed entry; `classes` None skips the labels."""
    duration, frames = entry["duration"], entry["frame"]
    fps = frames / duration
    if not FPS[0] <= fps <= FPS[1]:
        yield "warning", f"{frames} frames in {duration} s are {fps:.2f} frames per second"
    items = actions(entry)
    unknown = sorted({item["label"] for item in items} - set(classes)) if classes is not None else []
    if unknown:
        yield "error", f"labels {unknown} are not in the class map"
    for item in items:
        problem = segment_problem(item["segment"], duration, tolerance=frame_seconds(entry))
        if problem:
            far = is_far_outside(item["segment"], duration)
            yield ("error", problem) if far else ("warning", f"{problem}; it is clipped to the video, or left out")
    kept = {(*item["segment"], item["label"]) for item in items}
    if len(kept) < len(items):
        yield "warning", f"{len(items) - len(kept)} annotations repeat another one"


def _valid(entry, classes):
    """Is there an action of a known class in the video?"""
    return any(
        (classes is None or item["label"] in classes)
        and segment_problem(item["segment"], entry["duration"], entry["duration"]) is None
        for item in actions(entry)
    )


class MediaCheck:
    """Checks the files of one video at a time.

    Args:
        arguments: a dataset config (without `type`).
        back_data_path: folder of the reversed files, or None.
        full: read the files; else only see that they are there, and read headers.
    Attributes:
        problems: results for the pipeline itself.
        limits: share and factor by which lengths may differ, see `check_fit.misfit`.
        step: the step of the pipeline that loads, or None: then no file is looked at.
    """

    def __init__(
        self, arguments: Mapping[str, Any], back_data_path: str | Path | Sequence[str | Path] | None, *, full: bool
    ) -> None:
        self.arguments = arguments
        self.folders = [arguments["data_path"], *([back_data_path] if back_data_path is not None else [])]
        self.full, self.limits = full, BY_CONTENT if full else BY_HEADER
        self.problems, steps = [], []
        try:
            steps = Compose(arguments["pipeline"]).steps
        except (KeyError, TypeError, ValueError) as error:
            self.problems.append(_files(ERROR, f"pipeline: {error}"))
        looks = {LoadFeats: self._features, LoadWindowFeats: self._windows, LoadFrames: self._video}
        found: Iterator[tuple[Any, Any]] = (
            (step, look) for step in steps for kind, look in looks.items() if isinstance(step, kind)
        )
        self.step: Any
        self._look: Any
        self.step, self._look = next(found, (None, None))
        if self.step is None and not self.problems:
            self.problems.append(_files(NOT_CHECKED, "no step of the pipeline is known to load them"))

    def sample(self, names: Sequence[str]) -> set[str]:
        """Those of the videos that `check_video` opens: all in the full check, else some, spread evenly."""
        most = len(names) if self.full else self._most()
        return {names[i] for i in spread(len(names), most)}

    def _most(self):
        if isinstance(self.step, LoadFeats):
            return {"npy": MANY, "npz": MANY, "pt": SEVERAL}.get(self.step.feat_format, FEW)
        return MANY if isinstance(self.step, LoadWindowFeats) else SEVERAL

    def check_video(
        self, name: str, entry: Mapping[str, Any], opened: bool = True
    ) -> tuple[list[CheckResult], list[Fit]]:
        """Look at the files of one video, forward and reversed.

        Args:
            opened: False: only see that they are there.
        Returns:
            results, and a `Fit` for every length that was compared.
        """
        findings: list[tuple[str, str]] = []
        fits: list[Fit] = []
        lengths: list[int] = []
        for folder in self.folders if self.step is not None else ():
            try:
                paths = self._paths(folder, name)
                findings += _replaced(paths)
                if opened:
                    for fit in self._look(paths, name, entry, lengths, findings):
                        fits.append(fit)
            except Exception as error:  # a check goes on after whatever a damaged file causes
                findings.append((ERROR, message_of(error)))
        if len(set(lengths)) > 1:
            findings.append(("error", f"forward and reversed file have {' and '.join(map(str, lengths))} positions"))
        if self.full:
            findings += [(level, fit.text) for fit in fits if (level := fit.level(self.limits))]
        return [_files(level, problem, name) for level, problem in findings], fits

    def summary(self, fits: Sequence[Fit]) -> list[CheckResult]:
        """Results for the lengths and channels of all files together; the full check has reported each length."""
        return [*summary(fits, self.limits, listed=not self.full), *other_channels(fits)]

    def _paths(self, folder, name):
        """The files of a video in a folder, or in several; FileNotFoundError for the first that is not there."""
        if isinstance(self.step, LoadFrames):
            return [find_video(folder, name, self.arguments.get("file_format", "mp4"))]
        paths = [Path(path) for path in self.step.paths(folder, name)]
        for path in paths:
            if not path.is_file():
                raise FileNotFoundError(f"features {path} do not exist")
        return paths

    def _video(self, paths, name, entry, lengths, _):
        """Lengths of a video file: by decoding all of it, or by its container."""
        path, frames = paths[0], self._frames(entry)
        if self.full:
            with open_video(path, self.step.reader, self.step.num_threads) as reader:
                lengths.append(len(reader))
                for start in range(0, len(reader), FRAMES_AT_ONCE):
                    reader.frames(np.arange(start, min(start + FRAMES_AT_ONCE, len(reader))))
                counts, fps, slack_sec = (len(reader),), reader.fps, 0.0
                seconds, times = ((len(reader) / fps,) if fps > 0 else ()), reader.times()
            if times is not None and len(times) > 1:
                seconds += (float(times[-1] + np.median(np.diff(times))),)
        else:
            header = read_header(path)
            counts, fps, seconds, slack_sec = header.frames, header.fps, header.seconds, HEADER_SLACK_SEC
        rate = f" (the file: {fps:.5g} frames per second)" if fps > 0 else ""
        if counts:
            found = nearest_length(counts, frames)
            text = f"video {path} has {found} frames, the annotation {frames}{rate}"
            yield Fit("frames", name, text, found, frames, SLACK)
        if seconds:
            found = nearest_length(seconds, entry["duration"])
            text = f"video {path} lasts {found:.2f} s, by the annotation {entry['duration']:g} s"
            yield Fit("seconds", name, text, found, entry["duration"], max(slack_sec, SLACK / fps if fps > 0 else 0))

    def _features(self, paths, name, entry, lengths, findings):
        """Length of the features of a video, that of the longest of several folders, to which others are stretched."""
        shapes = [feature_shape(path) for path in paths]
        rows = max(rows for rows, _ in shapes)
        lengths.append(rows)
        place = [rows for rows, _ in shapes].index(rows)
        about = {"stride": self.arguments.get("feature_stride", 4), "frames": self._frames(entry)}
        about["channels"] = sum(channels for _, channels in shapes)
        yield feature_fit(name, paths[place], shapes[place], seconds=entry["duration"], **about)
        if self.full:
            for path in paths:
                if large := huge(read_features(path)):
                    findings.append(("warning", f"features {path} hold {large}"))

    def _windows(self, paths, name, entry, lengths, findings):
        """Length of the features of the windows of a video."""
        frames, size = self._frames(entry), self.arguments["window_size"]
        stride = self.arguments.get("feature_stride", 4) * self.arguments.get("sample_stride", 1)
        options = self.arguments.get("window_overlap_ratio", OVERLAP), self.arguments.get("reference_windows", False)
        wanted = cut_windows(-(-frames // stride), size, *options)[:, 0].tolist()
        for path in paths:
            file = open_windows(path)
            positions = max(start + valid for start, valid in zip(file.starts, file.valid, strict=True))
            lengths.append(positions)
            shape = (positions, file.feats.shape[2])
            yield feature_fit(name, path, shape, stride=stride, frames=frames, seconds=entry["duration"])
            for start in wanted:
                file.row(start, size)
                if self.full and (large := huge(file.window(start, size)[0])):
                    findings.append(("warning", f"features {path} hold {large}, in the window at {start}"))
                    break

    def _frames(self, entry):
        """Frames of a video, as the dataset counts them."""
        fps = self.arguments.get("fps", -1)
        return max(1, int(entry["duration"] * fps)) if fps > 0 else int(entry["frame"])


def _replaced(paths):
    """(level, problem) of features of a video that was replaced since, where the record beside them names theirs."""
    changes = replaced_sources({str(path): path for path in paths if path.suffix == ".npy"})
    return [
        ("error", f"features {path} are of a video that was replaced since: it {change}; extract them again")
        for path, change in changes.items()
    ]


def check_dataset(
    cfg: Mapping[str, Any], *, full: bool = True, workers: int = 4, progress: Callable[..., Iterable[Any]] | None = None
) -> list[CheckResult]:
    """Check a dataset config: its annotation and class map, that the files are there and fit the annotation.

    Args:
        cfg: config of a dataset, or of a `PairedDataset` of one.
        full: read every file too: decode every frame, count them, look at every feature. Else the headers of some
            files are read, spread evenly over the set.
        workers: files opened at the same time.
        progress: wraps the iteration over finished files, such as `tqdm`; called with (iterable, total=).
    Returns:
        results that are not ok, errors first; one of level "not checked" for a dataset that is neither over an
        annotation file nor brings a check of its own, see `own_results`.
    """
    inner, back_data_path = unwrap(cfg)
    own = own_results(inner, full=full, workers=workers)
    if own is not None:
        return sorted((result for result in own if result.level != OK), key=lambda result: result.level)
    arguments = dict(inner)
    kind = DATASETS.find(arguments.pop("type"))
    if not issubclass(kind, AnnotationDataset):
        text = f"{kind.__name__} is not over an annotation file, and has no `verdicts` that would check it"
        return [CheckResult("data", NOT_CHECKED, text)]
    if problem := number_problem(arguments):
        return [CheckResult("config", ERROR, problem)]
    results, entries = check_annotation(arguments)
    media = MediaCheck(arguments, back_data_path, full=full)
    results += media.problems
    chosen = media.sample(list(entries))
    fits: list[Fit] = []
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        jobs = [pool.submit(media.check_video, name, entry, name in chosen) for name, entry in entries.items()]
        done = as_completed(jobs)
        for job in progress(done, total=len(jobs)) if progress else done:
            found, lengths = job.result()
            results += found
            fits += lengths
    fits += filter(None, (entry_fit(name, entry) for name, entry in entries.items()))
    results += media.summary(sorted(fits, key=lambda fit: fit.video))
    return sorted(set(results), key=lambda result: (result.level, result.video, result.found))


def own_results(cfg: Mapping[str, Any], *, full: bool = True, workers: int = 4) -> list[CheckResult] | None:
    """The results of a dataset's own check, its `verdicts(arguments, full=, workers=)`; None if it has none.

    Args:
        cfg: config of the dataset itself.
        full, workers: see `check_dataset`.
    """
    arguments = dict(cfg)
    cls = DATASETS.find(arguments.pop("type"))
    return Dataset.of(cls).verdicts(arguments, full=full, workers=workers)


def check_splits(splits: dict[str, Any]) -> list:
    """Compare the sets of a config's `dataset`: "train" with each of the others.

    Videos that both have are an error where the sets can list them (`drawn`), unless one of both has `allow_overlap`.
    Of sets over annotation files, a subset that is both is a warning.

    Raises:
        FileNotFoundError, KeyError, ValueError: a set cannot be built.
    """
    others = [name for name in splits if name not in ("train", "wrap")]
    if "train" not in splits or not others:
        return []
    inner = {name: unwrap(dataset_config(splits, name))[0] for name in ("train", *others)}
    kind = DATASETS.find(inner["train"]["type"])
    if issubclass(kind, AnnotationDataset):
        return [found for name in others if (found := _same_subset(inner["train"], inner[name], name))]
    if not issubclass(kind, ListsVideos):
        return []
    comparable = {name: cfg for name, cfg in inner.items() if issubclass(DATASETS.find(cfg["type"]), ListsVideos)}
    with quietly(logging.ERROR):  # what building the sets logs is logged again when the run builds them
        sets = {name: DATASETS.build(cfg) for name, cfg in comparable.items()}
    train, results = sets.pop("train"), []
    trained = train.drawn()
    for name, other in sets.items():
        allowed = any(Dataset.of(own).allow_overlap for own in (train, other))
        if not allowed and (text := overlap(trained, other.drawn())):
            hint = "give other videos, or allow_overlap=True for the config to test all the same"
            results.append(CheckResult(f"dataset.{name}", ERROR, text, hint))
    return results


def _same_subset(train, other, name):
    """A warning if both are one subset of one file, else None."""
    files = [os.path.realpath(cfg["ann_file"]) for cfg in (train, other) if "ann_file" in cfg]
    subset = train.get("subset_name")
    if len(files) < 2 or files[0] != files[1] or subset is None or subset != other.get("subset_name"):
        return None
    text = f"the subset {subset!r} of {other['ann_file']}, as dataset.train is: the numbers are those of training"
    return CheckResult(f"dataset.{name}", WARNING, text)
