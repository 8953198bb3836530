"""Features of a whole video.

T positions, C channels, F folders
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate

from ...registry import TRANSFORMS
from ..feature_files import FORMATS, read_features


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

    def __init__(self, feat_format, prefix="", suffix=""):
        if f".{feat_format}" not in FORMATS:
            raise ValueError(f"feat_format {feat_format!r} is not one of {[name[1:] for name in FORMATS]}")
        self.feat_format = feat_format
        self.prefix = prefix
        self.suffix = suffix

    def __call__(self, results):
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

    def paths(self, data_path, video):
        """The file of the video in every folder."""
        folders = [data_path] if isinstance(data_path, (str, Path)) else data_path
        return [Path(folder) / f"{self.prefix}{video}{self.suffix}.{self.feat_format}" for folder in folders]

    def load(self, data_path, video):
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
