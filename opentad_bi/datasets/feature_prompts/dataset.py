"""The data set of prompt learning on features: snippets of the videos of class folders of .npy files.

A snippet (`snippet_duration`) is a run of rows of a feature file.

N samples, B batch, U rows of a snippet, D width, C classes
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import get_worker_info

from ...contracts import Dataset
from ...ops.names import class_key, describe_set, label_of, normal_label
from ...ops.records import UnitMeta, UnitMetas
from ...registry import DATASETS, nearest
from ...utils.checks import CheckResult
from ...utils.provenance import read_feature_record
from ...utils.validation import check_choice, check_count, check_number, check_share
from ..common.feature_files import refuse_replaced
from .check import check_features
from .index import (
    CLASS_ORDERS,
    STRICT_MODES,
    check_events,
    check_row_times,
    choose,
    class_folders,
    find_classes,
    kept_snippets,
    list_files,
    read_event_tables,
    read_files,
    refuse_forbidden,
    snippet_starts,
    snippet_stride_rows,
)
from .rows import FeatureTables, check_crop


def class_weights(
    given: str | Mapping[str, float] | Sequence[float] | None, names: Sequence[str], counts: np.ndarray
) -> np.ndarray | None:
    """Resolve the option `class_weights`.  Returns float32 (C,), or None.

    Args:
        given: None, "balanced" (inverse to the number of samples, the mean over samples is 1), {class: weight} (1 for
            a class that is not named), or C weights.
        names: C names.
        counts: (C,) number of samples.
    """
    if given is None:
        return None
    if isinstance(given, str):
        check_choice("class_weights", given, ("balanced",))
        return (balance(counts) * counts.sum()).astype(np.float32)
    if isinstance(given, Mapping):
        own = {class_key(name): weight for name, weight in given.items()}
        for name in given:
            if class_key(name) not in map(class_key, names):
                raise ValueError(f"class_weights: unknown class {name!r}; {nearest(name, names, every=True)}")
        given = [own.get(class_key(name), 1.0) for name in names]
    if len(given) != len(names):
        raise ValueError(f"class_weights: {len(given)} weights for {len(names)} classes")
    for name, weight in zip(names, given, strict=True):
        check_number(f"class_weights of {name!r}:", weight)
    return np.asarray(given, dtype=np.float32)


def balance(counts: np.ndarray) -> np.ndarray:
    """Weight of one sample of each class that makes all classes that have samples equally likely.  (C,) -> (C,)"""
    present = counts > 0
    return np.divide(1.0, counts * present.sum(), out=np.zeros(len(counts)), where=present)


_BY_VALUE = 1 << 20  # bytes; below, copying through a pipe is quicker than passing shared memory for every tensor


class FeatureSample(tuple):
    """(features (U, D) float32, label, video) that also knows its `meta` (UnitMeta) and `weight` (float or None)."""

    def __new__(cls, features, label, video, *, meta=None, weight=None):
        sample = super().__new__(cls, (features, label, video))
        sample.meta, sample.weight = meta or UnitMeta(video, 0, len(features)), weight
        return sample

    def __reduce__(self):
        return _sample, (*self, self.meta, self.weight)


def _sample(features, label, video, meta, weight):
    return FeatureSample(features, label, video, meta=meta, weight=weight)


class FeatureBatch(dict):
    """A batch that is cheap to send from a loader's worker: below a megabyte it travels by value, as plain bytes.

    "inputs" float32 (B, U, D), "labels" int64 (B,), "meta" UnitMetas, "weights" float32 (B,) if there are any.

    Args:
        source: array that the inputs were made of, of half the bytes perhaps; sent in their place by `pack`.
    """

    def __init__(self, *args: Any, source: np.ndarray | None = None, **items: Any) -> None:
        super().__init__(*args, **items)
        self.source, self.packed = source, None

    def __copy__(self):
        return FeatureBatch(self)

    def __reduce__(self):
        if self["inputs"].nbytes > _BY_VALUE:
            return FeatureBatch, (dict(self),)
        return _unpack, self.packed or self._pack(self["inputs"].numpy())

    def pack(self) -> "FeatureBatch":
        """Fix what is sent, in the thread that made the batch: for the one that sends it, it takes longer."""
        if self["inputs"].nbytes <= _BY_VALUE:
            self.packed = self._pack(self["inputs"].numpy() if self.source is None else self.source)
        return self

    def _pack(self, inputs):
        weights = self["weights"].tolist() if "weights" in self else None
        return inputs.tobytes(), inputs.dtype.str, inputs.shape, self["labels"].tolist(), self["meta"], weights


def _unpack(data, dtype, shape, labels, meta, weights):
    """The batch of what `FeatureBatch` sent."""
    numbers = np.frombuffer(data, dtype).astype(np.float32).reshape(shape)
    batch = FeatureBatch(inputs=torch.from_numpy(numbers), labels=torch.tensor(labels), meta=meta)
    if weights is not None:
        batch["weights"] = torch.tensor(weights)
    return batch


def collate(samples: list[Any]) -> FeatureBatch:
    """Make a batch of a list of B samples; a batch passes through."""
    if isinstance(samples, FeatureBatch):
        return samples.pack() if get_worker_info() else samples
    samples = [s if isinstance(s, FeatureSample) else FeatureSample(*s) for s in samples]
    metas = [sample.meta for sample in samples]
    batch = FeatureBatch(
        inputs=torch.stack([sample[0] for sample in samples]),
        labels=torch.tensor([sample[1] for sample in samples]),
        meta=UnitMetas([m.video for m in metas], [m.start for m in metas], [m.rows for m in metas]),
    )
    if samples[0].weight is not None:
        batch["weights"] = torch.tensor([sample.weight for sample in samples])
    return batch


logger = logging.getLogger(__name__)


@DATASETS.register_module()
class VideoFeatureDataset(Dataset):
    """Snippets of `snippet_duration` rows of feature files `feature_dir/<class>/<video>.npy`, (T, D), one row a second.

    Files may hold crops of every row, (T, 10, D), or be crops of a video, see `crop` and `crop_separator`.

    `dataset[i]` is (features float32 (U, D), label, video). A batch, which `dataset.__getitems__` makes at once, is
    {"inputs": (B, U, D), "labels": (B,), "meta": UnitMetas, "weights": (B,) with class weights}. A sample does not
    depend on a seed: `dataset[i, seed]` is the same. Attributes: `classes` (C names), `files` (FeatureFile), `videos`
    (names), `labels` (N,), `feature_dim` D, `normal_label` (or None), `sample_weights` (or None), `events`, `source`
    (content of features.json in `feature_dir`, or None), `index_bytes`.

    Args:
        feature_dir: folder of class folders.
        annotation_dir: CSV file, or a folder of them, with file_name, start_time, end_time of anomalies.
        classes: names in the order of the labels, matched with folders without regard to case, '_', '-' and spaces;
            None: all folders.
        normal_class: the class without anomalies.
        class_order: where `classes` is None: "normal_first", the others sorted, or "sorted", all of them.
        snippet_duration: U.
        overlap_ratio: share of a snippet that the next one repeats, in [0, 1).
        strict_normal_sampling: in training, leave out snippets of annotated anomalous videos as `strict_mode` says.
        strict_mode: "post_event": those outside all events that end after the first began (what stands before it
            keeps the label of the video); "event_only": all those outside; "off": none.
        use_video_level_pooling: one sample a file, the mean of its rows, as (1, D).
        max_files_per_class: at most N files of every class.
        shots: N videos of every class, a random choice by `seed`.
        class_weights: "balanced", {class: weight} or C weights; see `class_weights.class_weights`.
        balanced: offer `sample_weights` (N,), by which a sampler takes all classes equally often.
        forbid_list: names of videos, or a file of them, of which none may be here.
        crop_separator: what stands between the name of a video and its crop in the names of files, such as "__"
            or "_"; each file has snippets of its own, whose scores are averaged in tests.
        crop: of files with crops of each row: number of the one that is taken; None: their mean.
        video_root: folder of the videos, with whose length by their headers some files are compared; None: files are
            compared with what opentad-bi extract-clip-features wrote beside them, where that is there.
        row_seconds: seconds that a row stands for; times of events are counted in rows by it.
        allow_missing: a class in `classes` may have no folder.
        allow_overlap: may videos to learn from be among those that are tested on?
        test_mode: every row is in a snippet and none is filtered; a file shorter than a snippet repeats its last row.
        verbose: log what `statistics` gives.
        seed: of the random choice of `shots`.
    Raises:
        FileNotFoundError, ValueError: naming the option, file, class, video or line, and the choices.
        KeyError: `normal_class`, which `annotation_dir` needs, is none of the classes.
    """

    collate = staticmethod(collate)
    classes: list[str]
    videos: list[str]

    def __init__(
        self,
        feature_dir: str | Path,
        *,
        annotation_dir: str | Path | None = None,
        classes: Sequence[str] | None = None,
        normal_class: str = "normal",
        class_order: str = "normal_first",
        snippet_duration: int = 1,
        overlap_ratio: float = 0.0,
        strict_normal_sampling: bool = True,
        strict_mode: str = "post_event",
        use_video_level_pooling: bool = False,
        max_files_per_class: int | None = None,
        shots: int | None = None,
        class_weights: str | Mapping[str, float] | Sequence[float] | None = None,
        balanced: bool = False,
        forbid_list: str | Path | Sequence[str] | None = None,
        crop_separator: str | None = None,
        crop: int | None = None,
        video_root: str | Path | None = None,
        row_seconds: float = 1.0,
        allow_missing: bool = False,
        allow_overlap: bool = False,
        test_mode: bool = False,
        verbose: bool = False,
        seed: int = 42,
    ) -> None:
        check_choice("class_order", class_order, CLASS_ORDERS)
        check_choice("strict_mode", strict_mode, STRICT_MODES)
        check_count("snippet_duration", snippet_duration)
        check_count("max_files_per_class", max_files_per_class, optional=True)
        check_count("shots", shots, optional=True)
        check_share("overlap_ratio", overlap_ratio)
        self.crop = check_count("crop", crop, lowest=0, optional=True)
        self.row_seconds = check_number("row_seconds", row_seconds, positive=True)
        self.feature_dir, self.test_mode, self.pooling = Path(feature_dir), test_mode, use_video_level_pooling
        self.unit, self.stride = snippet_duration, snippet_stride_rows(snippet_duration, overlap_ratio)
        self.allow_overlap = allow_overlap
        self.strict_mode = strict_mode if strict_normal_sampling and not test_mode else "off"
        there = class_folders(self.feature_dir, skip=annotation_dir)
        self.classes, folders = find_classes(
            there, classes=classes, normal_class=normal_class, class_order=class_order, allow_missing=allow_missing
        )
        self.normal_label = (label_of if annotation_dir is None else normal_label)(normal_class, self.classes)
        lists = list_files(folders, crop_separator)
        chosen = choose(lists, self.classes, max_files_per_class=max_files_per_class, shots=shots, seed=seed)
        self.files = read_files(chosen)
        if forbid_list:
            refuse_forbidden(self.files, forbid_list)
        check_crop(self.files, self.crop)
        check_row_times(self.files, self.row_seconds, video_root)
        self.events = self._read_events(annotation_dir, {video for own in lists for _, video in own})
        self._index()
        self._weigh(class_weights, balanced)
        if verbose:
            table = pd.DataFrame(self.statistics())
            logger.info("%s: %d samples\n%s", self.feature_dir, len(self), table.to_string(index=False))

    def _read_events(self, annotation_dir, present):
        """Events by video; those of videos that are not `present` are reported by their number."""
        if annotation_dir is None:
            return {}
        events = {name: pairs / self.row_seconds for name, pairs in read_event_tables(annotation_dir).items()}
        check_events(events, self.files, self.normal_label, self.row_seconds)
        unmatched = sorted(set(events) - present)
        if unmatched:
            logger.warning(
                "%s: events of %d of %d videos have no features in %s, such as %s",
                annotation_dir,
                len(unmatched),
                len(events),
                self.feature_dir,
                unmatched[0],
            )
        return events

    def _index(self):
        """Lay out the samples, in two arrays of four bytes a sample; features of replaced videos are refused."""
        refuse_replaced(self.feature_dir, self.sources())
        self._tables = FeatureTables(self.files, self.crop)
        self.feature_dim = self._tables.width
        self._file_labels = np.array([file.label for file in self.files])
        self.videos = list(dict.fromkeys(file.video for file in self.files))
        self.source = read_feature_record(self.feature_dir)
        starts = [self._units(file) for file in self.files]
        kept = [self._filter(file, own) for file, own in zip(self.files, starts, strict=True)]
        self._cut, counts = np.array([len(own) for own in starts]), [len(own) for own in kept]
        self._number = np.repeat(np.arange(len(kept), dtype=np.int32), counts)
        self._start = np.concatenate(kept)
        if not len(self):
            raise ValueError(
                f"{self.feature_dir}: no samples are left of {len(self.files)} files; the longest has "
                f"{max(file.rows for file in self.files)} rows, snippet_duration is {self.unit}, and the filter "
                f"strict_mode={self.strict_mode!r} left {len(self)} of {self._cut.sum()} snippets"
            )

    def _units(self, file):
        """First rows of the snippets of a file before the filter."""
        if self.pooling:
            return np.zeros(1, np.int32)
        return snippet_starts(file.rows, self.unit, self.stride, self.test_mode)

    def _filter(self, file, starts):
        """Those of `starts` that the strict filter keeps."""
        events = self.events.get(file.video)
        if events is None or self.pooling or self.strict_mode == "off":
            return starts
        return starts[kept_snippets(starts, self.unit, events, self.strict_mode)]

    def _weigh(self, weights, balanced):
        """Weights of the classes in the loss, and of the samples in random sampling."""
        counts = np.bincount(self.labels, minlength=len(self.classes))
        weights = class_weights(weights, self.classes, counts)
        self.class_weights = None if weights is None else torch.from_numpy(weights)
        self.sample_weights = balance(counts)[self.labels] if balanced else None

    def sources(self) -> dict[str, Path]:
        """{path below the folder of features: path} of the files that samples come from."""
        return {file.path.relative_to(self.feature_dir).as_posix(): file.path for file in self.files}

    def __len__(self) -> int:
        return len(self._start)

    @property
    def labels(self) -> np.ndarray:
        """Label of every sample, int64 (N,)."""
        return self._file_labels[self._number]

    @property
    def index_bytes(self) -> int:
        """Bytes that the index of all samples takes."""
        return self._number.nbytes + self._start.nbytes

    def __getitem__(self, key: int | tuple[int, int]) -> FeatureSample:
        batch = self.__getitems__([key])
        weight = batch["weights"][0].item() if "weights" in batch else None
        meta = batch["meta"][0]
        return FeatureSample(batch["inputs"][0], int(batch["labels"][0]), meta.video, meta=meta, weight=weight)

    def __getitems__(self, keys: Sequence[int | tuple[int, int]]) -> FeatureBatch:
        """The batch of B samples at once; `keys`: their indices, or pairs (index, seed)."""
        index = [key[0] if isinstance(key, tuple) else key for key in keys]
        numbers = self._number[index]
        labels, starts, numbers = self._file_labels[numbers], self._start[index].tolist(), numbers.tolist()
        files = [self.files[number] for number in numbers]
        if self.pooling:
            inputs, source, rows = self._tables.means(numbers), None, [file.rows for file in files]
        else:
            inputs, source = self._tables.units(numbers, starts, self.unit)
            rows = [min(self.unit, file.rows) for file in files] if self.test_mode else [self.unit] * len(files)
        batch = FeatureBatch(
            inputs=inputs,
            labels=torch.from_numpy(labels),
            meta=UnitMetas([file.video for file in files], starts, rows),
            source=source,
        )
        if self.class_weights is not None:
            batch["weights"] = self.class_weights[batch["labels"]]
        return batch

    def drawn(self) -> dict[str, Any]:
        """Which videos these are, by their names, see `ops.names`."""
        names = dict.fromkeys((file.video, self.classes[file.label]) for file in self.files)
        return describe_set(self.feature_dir, [(f"{name}/{video}", name) for video, name in names], sized=False)

    @classmethod
    def verdicts(cls, arguments: Mapping[str, Any], *, full: bool = True, workers: int = 4) -> list[CheckResult]:
        """What is wrong with such a set, as a list of `CheckResult`; see `check.check_features`."""
        return check_features(cls, arguments, full=full, workers=workers)

    def statistics(self) -> list[dict[str, Any]]:
        """What every class has.

        Returns:
            list of C dicts: class, videos, files, rows, samples before and after the strict filter ("before",
            "samples"), and files that are shorter than a snippet and gave none ("too_short").
        """
        counts = np.bincount(self.labels, minlength=len(self.classes))
        lines = []
        for label, name in enumerate(self.classes):
            own = np.flatnonzero(self._file_labels == label)
            lines.append(
                {
                    "class": name,
                    "videos": len({self.files[i].video for i in own}),
                    "files": len(own),
                    "rows": sum(self.files[i].rows for i in own),
                    "before": int(self._cut[own].sum()),
                    "samples": int(counts[label]),
                    "too_short": int((self._cut[own] == 0).sum()),
                }
            )
        return lines
