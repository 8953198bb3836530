"""Checks of video and feature files against the annotation.  A finding is a row (level, video, problem)."""

from pathlib import Path

import numpy as np

from ..ops.windows import OVERLAP, cut_windows
from ..utils.arrays import huge
from .check_fit import BY_CONTENT, BY_HEADER, SLACK, Fit, feature_fit, nearest_length, other_channels, summary
from .check_sets import spread
from .clip_features import replaced_sources
from .feature_files import feature_shape, read_features
from .readers import find_video, open_video
from .readers.header import read_header
from .transforms.compose import Compose
from .transforms.features import LoadFeats
from .transforms.load_frames import LoadFrames
from .transforms.window_features import LoadWindowFeats
from .window_files import open_windows

FRAMES_AT_ONCE = 256  # decoded at the same time, which bounds memory
HEADER_SLACK_SEC = 0.5  # containers that know no duration of the video alone give that of its sound
# files of a set whose headers are read at the start of training and test, spread evenly; where that takes reading the
# whole file, a few
MANY, SEVERAL, FEW = 1000, 64, 8


class MediaCheck:
    """Checks the files of one video at a time.

    Args:
        arguments: a dataset config (without `type`).
        back_data_path: folder of the reversed files, or None.
        full: read the files; else only see that they are there, and read headers.
    Attributes:
        limits: share and factor by which lengths may differ, see `check_fit.misfit`.
        step: the step of the pipeline that loads, or None: then no file is looked at.
    """

    def __init__(self, arguments, back_data_path, *, full):
        self.arguments = arguments
        self.folders = [arguments["data_path"], *([back_data_path] if back_data_path is not None else [])]
        self.full, self.limits = full, BY_CONTENT if full else BY_HEADER
        self._problems, steps = [], []
        try:
            steps = Compose(arguments["pipeline"]).steps
        except (KeyError, TypeError, ValueError) as error:
            self._problems.append(("error", "", f"pipeline: {error}"))
        looks = {LoadFeats: self._features, LoadWindowFeats: self._windows, LoadFrames: self._video}
        found = ((step, look) for step in steps for kind, look in looks.items() if isinstance(step, kind))
        self.step, self._look = next(found, (None, None))
        if self.step is None and not self._problems:
            self._problems.append(("not checked", "", "the files: no step of the pipeline is known to load them"))

    def check_pipeline(self):
        """Findings about the pipeline itself."""
        return self._problems

    def sample(self, names):
        """Those of the videos that `check_video` opens: all in the full check, else some, spread evenly."""
        most = len(names) if self.full else self._most()
        return {names[i] for i in spread(len(names), most)}

    def _most(self):
        if isinstance(self.step, LoadFeats):
            return {"npy": MANY, "npz": MANY, "pt": SEVERAL}.get(self.step.feat_format, FEW)
        return MANY if isinstance(self.step, LoadWindowFeats) else SEVERAL

    def check_video(self, name, entry, opened=True):
        """Look at the files of one video, forward and reversed.

        Args:
            name: of the video.
            entry: its annotation.
            opened: False: only see that they are there.
        Returns:
            findings, and a `Fit` for every length that was compared.
        """
        findings, fits, lengths = [], [], []
        for folder in self.folders if self.step is not None else ():
            try:
                paths = self._paths(folder, name)
                findings += _replaced(paths)
                if opened:
                    for fit in self._look(paths, name, entry, lengths, findings):
                        fits.append(fit)
            except Exception as error:  # a check goes on after whatever a damaged file causes
                findings.append(("error", str(error) or type(error).__name__))
        if len(set(lengths)) > 1:
            findings.append(("error", f"forward and reversed file have {' and '.join(map(str, lengths))} positions"))
        if self.full:
            findings += [(level, fit.text) for fit in fits if (level := fit.level(self.limits))]
        return [(level, name, problem) for level, problem in findings], fits

    def summary(self, fits):
        """Findings about the lengths and channels of all files together; the full check has said each length."""
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
        frames, size, stride = self._frames(entry), self.arguments["window_size"], self._snippet_stride()
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

    def _snippet_stride(self):
        """Frames from one grid position to the next."""
        return self.arguments.get("feature_stride", 4) * self.arguments.get("sample_stride", 1)


def _replaced(paths):
    """Findings about features of a video that was replaced since, where the record beside them tells of theirs."""
    changes = replaced_sources({str(path): path for path in paths if path.suffix == ".npy"})
    return [
        ("error", f"features {path} are of a video that was replaced since: it {change}; extract them again")
        for path, change in changes.items()
    ]
