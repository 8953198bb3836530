"""Steps that load features: of whole videos, or of windows as the backbone gave them for these very windows.

Features of windows are NAME.npy (W, T, C), of which one window at a time is read, and NAME.json with `starts`, the
first grid position of every window, and `valid`, its number of valid positions.

W windows, T positions of a video or a window, V of them valid, C channels
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate

from ...registry import TRANSFORMS
from ...utils.arrays import float32_table, open_array
from ...utils.files import read_json
from ..common.feature_files import FORMATS, read_features
from ..transforms.compose import Results


@dataclass(frozen=True)
class WindowFile:
    """The open file of one video.

    Args:
        path: of the array.
        starts, valid: W first grid positions and numbers of valid positions.
        feats: (W, T, C) array on disk, any float.
    """

    path: Path
    starts: list
    valid: list
    feats: np.ndarray

    def window(self, start: int, window_size: int) -> tuple[np.ndarray, int]:
        """One window: its (T, C) float32 features, all finite, and how many positions of it are valid.

        Raises:
            ValueError: the features were made over other windows, or hold a number that is not finite.
        """
        row = self.row(start, window_size)
        return float32_table(np.array(self.feats[row]), f"features {self.path}, window at {start},"), self.valid[row]

    def row(self, start: int, window_size: int) -> int:
        """Number of the window of `window_size` positions that begins at `start`; ValueError if there is none."""
        if window_size != self.feats.shape[1] or start not in self.starts:
            begin = ", ".join(map(str, self.starts[:3])) + (", ..." if len(self.starts) > 3 else "")
            raise ValueError(
                f"features {self.path} are of windows of {self.feats.shape[1]} positions that begin at {begin}; the "
                f"dataset asks for one of {window_size} at {start}: give it the window_size and window_overlap_ratio "
                "that the features were made with, or make them again"
            )
        return self.starts.index(start)


def open_windows(path: str | Path) -> WindowFile:
    """Open the features of one video at `path` (.npy) without reading them.

    Raises:
        FileNotFoundError, ValueError: no such file, or none that opentad-bi extract-features --windows wrote.
    """
    path = Path(path)
    feats = open_array(path)
    index = read_json(path.with_suffix(".json"), f"list of the windows in {path.name},")
    try:
        starts, valid = [list(map(int, index[key])) for key in ("starts", "valid")]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"list of windows {path.with_suffix('.json')}: 'starts' and 'valid', lists of whole numbers, are expected"
        ) from error
    if feats.ndim != 3 or not len(feats) == len(starts) == len(valid):
        raise ValueError(
            f"features {path} have shape {feats.shape}; (windows, positions, channels) is expected, with the "
            f"{len(starts)} windows of {path.with_suffix('.json').name}"
        )
    return WindowFile(path, starts, valid, feats)


@TRANSFORMS.register_module()
class LoadFeats:
    """Load `feats` float32 (T, C) of the video, every `sample_stride`-th position.

    With several folders, features are stretched linearly to the longest and put side by side. Features of a reversed
    video, where asked for, are put in forward order and stand behind: (T, 2C).

    Args:
        feat_format: extension: npy, npz, pt, pkl or csv.
        prefix: before the name of the video in the file name.
        suffix: after it.
    """

    def __init__(self, feat_format: str, prefix: str = "", suffix: str = "") -> None:
        if f".{feat_format}" not in FORMATS:
            raise ValueError(f"feat_format {feat_format!r} is not one of {[name[1:] for name in FORMATS]}")
        self.feat_format = feat_format
        self.prefix = prefix
        self.suffix = suffix

    def __call__(self, results: Results) -> Results:
        feats = self.load(results["data_path"], results["video"])
        if "back_data_path" in results:
            backward = self.load(results["back_data_path"], results["video"])
            if backward.shape != feats.shape:
                raise ValueError(
                    f"video {results['video']!r}: features {feats.shape} in {results['data_path']}, but reversed "
                    f"{backward.shape} in {results['back_data_path']}"
                )
            feats = np.concatenate([feats, backward[::-1]], axis=1)
        results["feats"] = feats[:: results["sample_stride"]]
        return results

    def paths(self, data_path: str | Path | Sequence[str | Path], video: str) -> list[Path]:
        """The file of the video in every folder."""
        folders = [data_path] if isinstance(data_path, (str, Path)) else data_path
        return [Path(folder) / f"{self.prefix}{video}{self.suffix}.{self.feat_format}" for folder in folders]

    def load(self, data_path: str | Path | Sequence[str | Path], video: str) -> np.ndarray:
        """(T, C) features of a video from one folder or from several."""
        parts = [read_features(path) for path in self.paths(data_path, video)]
        longest = max(len(part) for part in parts)
        return np.concatenate([_stretch(part, longest) for part in parts], axis=1)


def _stretch(feats, length):
    """Linear interpolation along time.  (T, C) -> (length, C)."""
    if len(feats) == length:
        return feats
    columns = torch.from_numpy(feats).T[None]
    return interpolate(columns, size=length, mode="linear", align_corners=False)[0].T.numpy()


@TRANSFORMS.register_module()
class LoadWindowFeats:
    """Load `feats` float32 (T, C) and `masks` of the window that a ThumosSlidingDataset names.

    The files are those of `opentad-bi extract-features --windows`; what stands in the padding is the backbone's output
    there, not zeros. Only the window is read, not the file. Features from several folders stand side by side. Those of
    the reversed window, where asked for, are put in forward order, their padding left behind them, and stand behind:
    (T, 2C).
    """

    def __call__(self, results: Results) -> Results:
        if "feature_start_idx" not in results:
            raise ValueError("LoadWindowFeats needs a dataset that gives windows, such as ThumosSlidingDataset")
        feats, valid = self._load(results["data_path"], results)
        if "back_data_path" in results:
            backward, other = self._load(results["back_data_path"], results)
            if (backward.shape, other) != (feats.shape, valid):
                raise ValueError(
                    f"video {results['video']!r}: window {feats.shape}, {valid} valid, in {results['data_path']}, but "
                    f"reversed {backward.shape}, {other} valid, in {results['back_data_path']}"
                )
            forward_order = np.concatenate([backward[:valid][::-1], backward[valid:]])
            feats = np.concatenate([feats, forward_order], axis=1)
        results["feats"] = feats
        results["masks"] = np.arange(len(feats)) < valid
        return results

    def paths(self, data_path: str | Path | Sequence[str | Path], video: str) -> list[Path]:
        """The file of the video in every folder."""
        folders = [data_path] if isinstance(data_path, (str, Path)) else data_path
        return [Path(folder) / f"{video}.npy" for folder in folders]

    def _load(self, data_path, results):
        """(T, C) features of the window, and V."""
        start, size = results["feature_start_idx"], results["window_size"]
        parts = [open_windows(path).window(start, size) for path in self.paths(data_path, results["video"])]
        if len({valid for _, valid in parts}) > 1:
            raise ValueError(f"video {results['video']!r}: the folders {data_path} differ in the length of its window")
        return np.concatenate([feats for feats, _ in parts], axis=1), parts[0][1]
