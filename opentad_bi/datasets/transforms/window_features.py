"""Features of one window, as the backbone gave them for that very window.

T positions of a window, V of them valid, C channels
"""

from pathlib import Path

import numpy as np

from ...registry import TRANSFORMS
from ..window_files import open_windows


@TRANSFORMS.register_module()
class LoadWindowFeats:
    """Load `feats` float32 (T, C) and `masks` of the window that a ThumosSlidingDataset names.

    The files are those of `tools/extract_features.py --windows`; what stands in the padding is the backbone's output
    there, not zeros. Only the window is read, not the file. Features from several folders stand side by side. Those of
    the reversed window, where asked for, are put in forward order, their padding left behind them, and stand behind:
    (T, 2C).
    """

    def __call__(self, results):
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

    def paths(self, data_path, video):
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
