"""Checks of video and feature files against the annotation.  A finding is a row (level, video, problem)."""

from pathlib import Path

import numpy as np

from .feature_files import read_features
from .readers import find_video, open_video
from .transforms.compose import Compose
from .transforms.features import LoadFeats
from .transforms.load_frames import LoadFrames
from .transforms.window_features import LoadWindowFeats
from .window_files import open_windows
from .windows import OVERLAP, cut_windows

# share of its length by which a file may differ from the annotation: beyond the first a warning, the second an error
DRIFT = (0.01, 0.1)
# frames or positions that are never worth a word (snippets at the end of a video, codecs that hold back a frame)
SLACK = 8
FRAMES_AT_ONCE = 256  # decoded at the same time, which bounds memory


class MediaCheck:
    """Checks the file of one video at a time.

    Args:
        arguments: a dataset config (without `type`).
        back_data_path: folder of the reversed files, or None.
        full: open the files; else only see that they are there.
    """

    def __init__(self, arguments, back_data_path, *, full):
        self.arguments = arguments
        self.folders = [arguments["data_path"], *([back_data_path] if back_data_path is not None else [])]
        self.full = full
        self._problems = []
        try:
            steps = Compose(arguments["pipeline"]).steps
        except (KeyError, TypeError, ValueError) as error:
            self._problems.append(("error", "", f"pipeline: {error}"))
            steps = []
        self.load_feats = next((step for step in steps if isinstance(step, LoadFeats)), None)
        self.load_windows = next((step for step in steps if isinstance(step, LoadWindowFeats)), None)
        self.load_frames = next((step for step in steps if isinstance(step, LoadFrames)), None)

    def check_pipeline(self):
        """Findings about the pipeline itself."""
        return self._problems

    def check_video(self, name, entry):
        """Findings about the files of one video, forward and reversed."""
        findings, lengths = [], []
        for folder in self.folders:
            try:
                if self.load_feats:
                    findings += self._features(folder, name, entry, lengths)
                elif self.load_windows:
                    findings += self._windows(folder, name, entry, lengths)
                elif self.load_frames:
                    findings += self._video(folder, name, entry, lengths)
            except (OSError, ValueError, ImportError) as error:
                findings.append(("error", str(error)))
        if len(set(lengths)) > 1:
            findings.append(("error", f"forward and reversed file have {' and '.join(map(str, lengths))} positions"))
        return [(level, name, problem) for level, problem in findings]

    def _video(self, folder, name, entry, lengths):
        path = find_video(folder, name, self.arguments.get("file_format", "mp4"))
        if not self.full:
            return []
        with open_video(path, self.load_frames.reader, self.load_frames.num_threads) as reader:
            lengths.append(len(reader))
            for start in range(0, len(reader), FRAMES_AT_ONCE):
                reader.frames(np.arange(start, min(start + FRAMES_AT_ONCE, len(reader))))
        return list(_drift(len(reader), entry["frame"], f"video {path} has {{}} frames, the annotation {{}}"))

    def _features(self, folder, name, entry, lengths):
        findings = []
        paths = self.load_feats.paths(folder, name)
        if not self.full:
            return [("error", f"features {path} do not exist") for path in paths if not Path(path).is_file()]
        for path in paths:
            feats = read_features(path)
            if not np.isfinite(feats).all():
                findings.append(("error", f"features {path} hold {int((~np.isfinite(feats)).sum())} NaN or infinite"))
            stride = self.arguments.get("feature_stride", 4)
            text = f"features {path} stand for {{}} frames (stride {stride}), the annotation says {{}}"
            findings += _drift(len(feats) * stride, entry["frame"], text, slack=SLACK * stride)
        lengths.append(len(self.load_feats.load(folder, name)))
        return findings

    def _windows(self, folder, name, entry, lengths):
        findings = []
        paths = self.load_windows.paths(folder, name)
        if not self.full:
            return [("error", f"features {path} do not exist") for path in paths if not Path(path).is_file()]
        frames, size, stride = self._frames(entry), self.arguments["window_size"], self._snippet_stride()
        options = self.arguments.get("window_overlap_ratio", OVERLAP), self.arguments.get("reference_windows", False)
        wanted = cut_windows(-(-frames // stride), size, *options)[:, 0].tolist()
        for path in paths:
            file = open_windows(path)
            wrong = sum(not np.isfinite(file.window(start, size)[0]).all() for start in wanted)
            if wrong:
                findings.append(("error", f"features {path} hold NaN or infinite in {wrong} windows"))
            lengths.append(max(start + valid for start, valid in zip(file.starts, file.valid, strict=True)))
            text = f"features {path} stand for {{}} frames (stride {stride}), the annotation says {{}}"
            findings += _drift(lengths[-1] * stride, frames, text, slack=SLACK * stride)
        return findings

    def _frames(self, entry):
        """Frames of a video, as the dataset counts them."""
        fps = self.arguments.get("fps", -1)
        return int(entry["duration"] * fps) if fps > 0 else int(entry["frame"])

    def _snippet_stride(self):
        """Frames from one grid position to the next."""
        return self.arguments.get("feature_stride", 4) * self.arguments.get("sample_stride", 1)


def _drift(found, annotated, text, slack=SLACK):
    """(level, problem) if two lengths differ by more than they should."""
    difference = abs(found - annotated)
    if difference <= max(slack, DRIFT[0] * annotated):
        return
    yield ("error" if difference > DRIFT[1] * annotated else "warning"), text.format(found, annotated)
