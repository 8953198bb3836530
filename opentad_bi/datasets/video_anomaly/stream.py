"""Whole videos as runs of frames at even distances, to score every frame: those of a list, or one file in one pass.

B batch, T frames of a run, S side, N runs, C classes, R rows (frames taken) of a video
"""

import inspect
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import default_collate

from ...contracts import Dataset
from ...errors import some
from ...ops.names import VIDEO_SUFFIXES, bare_name, class_key, list_fields, served_path
from ...ops.records import UnitMeta, UnitMetas
from ...registry import DATASETS
from ...utils.checks import WARNING, CheckResult, attempt, judge
from ...utils.files import read_lines, walk_files
from ...utils.logging import LOGGER
from ...utils.validation import check_classes, check_count, check_share
from ..common.check import problems_of
from ..common.frames import SquareFrames
from ..common.stream import FRAMES_AT_ONCE, VideoStream
from ..common.video_paths import check_layouts, class_of_path, find_video_file

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
        size: S; frames are resized to S x S without keeping the aspect ratio.
        layouts: where below `root` the files are looked for, see `find_video_file`.
        classes: names by label.
        normal_class: the class without anomalies.
        tolerate: share of the videos whose file may be missing; they are left out.
        interpolation, cache, reader, num_threads: see `SquareFrames`.
    Raises:
        FileNotFoundError, ValueError: naming list, line, video or class.
    """

    def __init__(
        self,
        videos: str | Path | Sequence[str | Path],
        root: str | Path | None = None,
        *,
        classes: Sequence[str],
        stride: int = 16,
        chunk: int = 64,
        size: int = 224,
        layouts: str | Sequence[str] | None = None,
        normal_class: str = "Normal",
        tolerate: float = 0.0,
        interpolation: str = "bicubic",
        cache: str | Path | None = None,
        reader: str = "pyav",
        num_threads: int = 1,
    ) -> None:
        self.stride, self.chunk = check_count("stride", stride), check_count("chunk", chunk)
        self.classes, self.normal_class = check_classes(classes), normal_class
        self.image_size = size
        self._pixels = SquareFrames(
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

    def __len__(self) -> int:
        return len(self._start)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
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
    def verdicts(cls, arguments: Mapping[str, Any], *, full: bool = True, workers: int = 4) -> list[CheckResult]:
        """Can these videos be scored?  A list of one `CheckResult`; training goes on without missing files."""

        def look():
            data = cls(**arguments)
            summary = f"{len(data.files)} videos, {sum(file.rows for file in data.files)} frames to score"
            problems = problems_of([lambda n=n: data[n] for n in range(len(data))], workers) if full else []
            bad = f"{len(problems)} runs of frames cannot be decoded: {some(problems)}" if problems else ""
            return judge("videos to score", summary, error=bad, hint="get these files again, or take them out")

        hint = "nothing is evaluated before these files are there; training does not need them"
        return attempt("videos to score", look, hint=hint, level=WARNING)

    @staticmethod
    def collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
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
    """(path, path, words that are not numbers of frames) of a line."""
    name, *more = list_fields(served_path(text))
    return name, name, [word for word in more if not _WHOLE.fullmatch(word)]


SETTINGS = ("stride", "chunk", "size", "interpolation", "reader", "num_threads")


class VideoRows(VideoStream):
    """Samples of one video, the very ones that `FrameStreamDataset` of these settings gives for it, without a class.

    Iterate once. Frames are decoded in order, each once, and made squares a few at a time. Attributes: those of
    `VideoStream`, `stride`, `numbers` of the frames that are rows, int64 (R,), and `edges_sec` float64 (R + 1,), where
    row r lasts from edge r to edge r + 1 as a player shows it.

    Args:
        cfg: config of a `FrameStreamDataset` (`dataset.test`); its files are not needed.
        path: the video file.
        stride: video frames from one row to the next; None: that of `cfg`.
    Raises:
        FileNotFoundError, VideoError: the file is missing or cannot be read.
        ValueError: the config is of another dataset, a stride that is none.
    """

    collate = staticmethod(FrameStreamDataset.collate)

    def __init__(self, cfg: Mapping[str, Any], path: str | Path, *, stride: int | None = None) -> None:
        settings = stream_settings(cfg)
        self.chunk = check_count("chunk", settings["chunk"])
        self.stride = check_count("stride", settings["stride"] if stride is None else stride)
        self._pixels = _square_frames(settings)
        super().__init__(path, settings["reader"], settings["num_threads"])
        self.numbers = np.arange(0, self.frames, self.stride)
        edges = np.append(self.numbers, self.frames)
        self.edges_sec = edges / self.fps if self._shown is None else self._shown[edges]

    def __len__(self) -> int:
        return -(-len(self.numbers) // self.chunk)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        parts, held = self._pixels.in_order(self._reader, self.numbers, FRAMES_AT_ONCE), None
        for start in range(0, len(self.numbers), self.chunk):
            rows = min(self.chunk, len(self.numbers) - start)
            while held is None or len(held) < rows:
                part = next(parts)
                held = part if held is None else torch.cat([held, part])
            inside = torch.arange(self.chunk)
            yield {
                "inputs": held[inside.clamp(max=rows - 1)],
                "valid": inside < rows,
                "label": -1,
                "meta": UnitMeta(self.path.stem, start, rows, self.frames),
            }
            held = held[rows:]


def _square_frames(settings):
    """What decodes frames by the settings of a `FrameStreamDataset`."""
    return SquareFrames(settings["size"], interpolation=settings["interpolation"], reader=settings["reader"])


def stream_settings(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The `SETTINGS` of the config of a `FrameStreamDataset`, defaults filled in.

    Raises:
        ValueError: the config is that of another dataset.
    """
    kind = DATASETS.find(cfg["type"])
    if not (isinstance(kind, type) and issubclass(kind, FrameStreamDataset)):
        raise ValueError(f"videos are seen as a FrameStreamDataset gives them, but dataset.test is a {cfg['type']}")
    parameters = inspect.signature(kind).parameters
    return {name: cfg.get(name, parameters[name].default) for name in SETTINGS}


def read_squares(cfg: Mapping[str, Any], path: str | Path, frames: Sequence[int] | np.ndarray) -> torch.Tensor:
    """Frames of a file as the model sees them, rising numbers.  int (T,) -> uint8 (T, 3, S, S)"""
    return _square_frames(stream_settings(cfg)).read(Path(path), frames)
