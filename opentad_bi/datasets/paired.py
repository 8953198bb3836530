"""Both directions of a window: played forward, and played in reverse."""

from torch.utils.data import Dataset

from ..ops.records import BACKWARD, FORWARD
from ..ops.reverse import reverse_sample
from ..registry import DATASETS
from .collate import collate_pairs


@DATASETS.register_module()
class PairedDataset(Dataset):
    """Samples {"for": sample, "back": sample} of one underlying dataset.

    Args:
        dataset: config of the dataset of the forward videos.
        source: "device": the backward sample is the forward one reversed; only "for" is given, and the model reverses
            the batch where it lies. "files": it is read from reversed video (or features) files: the same window, at
            the mirrored frame numbers, with the same draws of all transforms.
        back_data_path: for "files", the folder (or list of folders) of the reversed files, of the same names.
    """

    collate = staticmethod(collate_pairs)

    def __init__(self, dataset, source="device", back_data_path=None):
        if source not in ("device", "files"):
            raise ValueError(f"source {source!r} is not one of 'device', 'files'")
        if (source == "files") != (back_data_path is not None):
            raise ValueError(
                f"source {source!r} with back_data_path {back_data_path!r}: 'files' needs it, 'device' not"
            )
        self.dataset = DATASETS.build(dataset)
        self.source = source
        self.back_data_path = back_data_path

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, key):
        index, seed = key if isinstance(key, tuple) else (key, key)
        sample = self.dataset.sample(index, seed, self.back_data_path)
        if self.source == "device" or "raw" in sample:  # kept predictions hold both directions
            return {FORWARD: sample}
        # frames (3, T', H, W) stand behind each other along time, features (C, T) along channels
        forward, backward = sample["inputs"].chunk(2, dim=1 if sample["inputs"].ndim == 4 else 0)
        return {FORWARD: sample | {"inputs": forward}, BACKWARD: reverse_sample(sample | {"inputs": backward})}
