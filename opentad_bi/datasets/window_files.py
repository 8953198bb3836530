"""Features of every window of a video: NAME.npy (W, T, C) and NAME.json, of which one window at a time is read.

NAME.json holds `starts`, the first grid position of every window, and `valid`, its number of valid positions.

W windows, T positions of a window, C channels
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..utils.arrays import float32_table, open_array
from ..utils.files import read_json


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

    def window(self, start, window_size):
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


def open_windows(path):
    """Open the features of one video at `path` (.npy) without reading them.

    Raises:
        FileNotFoundError, ValueError: no such file, or none that tools/extract_features.py --windows wrote.
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
