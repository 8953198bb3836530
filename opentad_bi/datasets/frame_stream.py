"""Whole videos as runs of frames at even distances, for scores of frames.

B batch, T frames of a run, S side, N runs, C classes
"""

import os
import re
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset, default_collate

from ..errors import some
from ..ops.names import bare_name, class_key, list_fields, served_path
from ..ops.records import UnitMeta, UnitMetas
from ..registry import DATASETS
from ..utils.checks import WARNING, attempt, judge
from ..utils.files import read_lines, walk_files
from ..utils.logging import LOGGER
from ..utils.validation import check_classes, check_count, check_share
from .check_sets import unreadable
from .squashed_frames import SquashedFrames
from .video_lists import VIDEO_SUFFIXES
from .video_paths import check_layouts, class_of_path, find_video_file

_WHOLE = re.compile(r"-?\d+")


@dataclass(frozen=True, slots=True)
class StreamVideo:
    """A video file, the name of its class or None, its number of rows and of frames."""

    name: str
    path: Path
    category: str | None
    rows: int
    frames: int


@DATASETS.register_module()
class FrameStreamDataset(Dataset):
    """Every `stride`-th frame of whole videos, in runs of at most T.

    `dataset[i]` is {"inputs": uint8 (T, 3, S, S), "valid": bool (T,), "label": int, "meta": UnitMeta}: row r of a video
    is its frame r * stride and stands for `stride` frames, the last row for those that are left. The last run of a
    video repeats its last frame; `meta` counts the rows without that. A sample depends on no seed. Attributes: `files`
    (StreamVideo), `videos` (names), `labels` int64 (N,) of the runs, -1 where the class is not known, and `classes`.

    Args:
        videos: a folder, a list file or a list of paths. A line is a path, perhaps with a class and pairs of numbers of
            frames behind it: UCF-Crime's Anomaly_Test.txt and Temporal_Anomaly_Annotation.txt, XD-Violence's
            annotations.txt.
        root: folder of the videos; None: that of `videos`, if it is a folder.
        stride: video frames from one row to the next.
        chunk: T.
        size: S; frames are squashed to it.
        layouts: where below `root` the files are looked for, see `find_video_file`.
        classes: names by label.
        normal_class: the class without anomalies.
        tolerate: share of the videos whose file may be missing; they are left out.
        interpolation, cache, reader, num_threads: see `SquashedFrames`.
    Raises:
        FileNotFoundError, ValueError: naming list, line, video or class.
    """

    def __init__(
        self,
        videos,
        root=None,
        *,
        classes,
        stride=16,
        chunk=64,
        size=224,
        layouts=None,
        normal_class="Normal",
        tolerate=0.0,
        interpolation="bicubic",
        cache=None,
        reader="pyav",
        num_threads=1,
    ):
        self.stride, self.chunk = check_count("stride", stride), check_count("chunk", chunk)
        self.classes, self.normal_class = check_classes(classes), normal_class
        self._pixels = SquashedFrames(
            size, interpolation=interpolation, cache=cache, reader=reader, num_threads=num_threads
        )
        listed = _listed(videos, self.classes, normal_class)
        root = videos if root is None and isinstance(videos, (str, os.PathLike)) and Path(videos).is_dir() else root
        self.files = self._find(listed, root or "", check_layouts(layouts), check_share("tolerate", tolerate))
        self.videos = [file.name for file in self.files]
        known = {class_key(name): label for label, name in enumerate(self.classes)}
        labels = np.array([known.get(class_key(file.category), -1) for file in self.files], dtype=np.int64)
        runs = [-(-file.rows // chunk) for file in self.files]
        self._file = np.repeat(np.arange(len(runs)), runs)
        self._start = np.concatenate([np.arange(count) for count in runs]) * chunk
        self.labels = labels[self._file]

    def _find(self, listed, root, layouts, tolerate):
        """A StreamVideo for each (path, class) whose file is there."""
        found, missing = {}, {}
        for path, category in listed:
            try:
                file = find_video_file(path, root, layouts)
            except FileNotFoundError as error:
                missing[path] = error
                continue
            name = bare_name(path)
            if name in found:
                raise ValueError(f"two videos are called {name!r}: {found[name].path} and {file}")
            frames = self._pixels.about(file)[0]
            found[name] = StreamVideo(name, file, category, -(-frames // self.stride), frames)
        if missing and (len(missing) > tolerate * len(listed) or not found):
            first = next(iter(missing.values()))
            raise FileNotFoundError(f"{len(missing)} of {len(listed)} videos have no file below {root}: {first}")
        if missing:
            LOGGER.warning("%d videos have no file and are left out: %s", len(missing), some(missing))
        return list(found.values())

    def __len__(self):
        return len(self._start)

    def __getitem__(self, key):
        index = key[0] if isinstance(key, tuple) else key
        index = range(len(self))[index]
        file, start = self.files[self._file[index]], int(self._start[index])
        rows = min(self.chunk, file.rows - start)
        numbers = start + np.arange(self.chunk).clip(max=rows - 1)
        return {
            "inputs": self._pixels.read(file.path, numbers * self.stride),
            "valid": torch.arange(self.chunk) < rows,
            "label": int(self.labels[index]),
            "meta": UnitMeta(file.name, start, rows, file.frames),
        }

    @classmethod
    def verdicts(cls, arguments, *, full=True, workers=4):
        """Can scores of these videos be made?  A list of one `Verdict`; training goes on without missing files."""

        def look():
            data = cls(**arguments)
            told = f"{len(data.files)} videos, {sum(file.rows for file in data.files)} frames to score"
            problems = unreadable(data, workers) if full else []
            bad = f"{len(problems)} runs of frames cannot be decoded: {some(problems)}" if problems else ""
            return judge("videos to score", told, error=bad, cure="get these files again, or take them out")

        cure = "nothing is evaluated before these files are there; training does not need them"
        return [attempt("videos to score", look, cure=cure, level=WARNING)]

    @staticmethod
    def collate(samples):
        """Make a batch of B samples: `inputs`, `valid` (B, T), `labels` int64 (B,), `meta` (UnitMetas)."""
        metas = [sample["meta"] for sample in samples]
        return {
            "inputs": default_collate([sample["inputs"] for sample in samples]),
            "valid": torch.stack([sample["valid"] for sample in samples]),
            "labels": torch.tensor([sample["label"] for sample in samples]),
            "meta": UnitMetas(*map(list, zip(*(astuple(meta) for meta in metas), strict=True))),
        }


def _listed(videos, classes, normal_class):
    """(path, class or None) of every video of a folder, a list file or a list."""
    if not isinstance(videos, (str, os.PathLike)):
        lines = [(str(path), str(path), []) for path in videos]
    elif Path(videos).is_dir():
        files = walk_files(videos, VIDEO_SUFFIXES)
        lines = [(str(path), str(path.relative_to(videos)), []) for path in files]
    elif Path(videos).suffix.lower() in VIDEO_SUFFIXES:
        lines = [(str(videos), str(videos), [])]
    else:
        lines = [_line(text) for _, text in read_lines(videos, "list of videos")]
    if not lines:
        raise FileNotFoundError(f"{videos} holds no video ({', '.join(VIDEO_SUFFIXES)})")
    known = {class_key(name): name for name in classes}
    found = []
    for path, shown, words in lines:
        said = next((known[class_key(word)] for word in words if class_key(word) in known), None)
        found.append((path, said or class_of_path(shown, classes, normal_class)))
    return found


def _line(text):
    """(path, path, words that are no numbers of frames) of a line."""
    name, *more = list_fields(served_path(text))
    return name, name, [word for word in more if not _WHOLE.fullmatch(word)]
