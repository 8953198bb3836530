"""Features of the frames of clips, made once: DIR/<name>.npy, (V, T, E), and the record of what made them.

V views, T frames of a view, E width
"""

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from ...errors import some
from ...registry import TRANSFORMS
from ...utils.annotation import read_block_list
from ...utils.arrays import float32_table, open_array
from ...utils.provenance import FEATURE_RECORD, read_feature_record
from ..common.feature_files import feature_path, refuse_replaced

HINT = "make them by opentad-bi extract-clip-features --config"
_DRAWS = "features are made once, but a step of the pipeline is random; leave it out or disable it"
FAILED = "failed.txt"  # beside the record: names of the videos that could not be read
_FREE = ("cache", "num_threads")  # arguments of steps that do not change a frame


class NoRandomness(Random):
    """Random numbers of a pipeline whose output is kept: there must be none."""

    def random(self) -> float:
        """Refuse."""
        raise ValueError(_DRAWS)

    def getrandbits(self, k: int) -> int:
        """Refuse."""
        raise ValueError(_DRAWS)


def pipeline_settings(pipeline: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the frames of a pipeline depend on: its steps with all their arguments, as JSON reads them back.

    Args:
        pipeline: list of configs of TRANSFORMS.
    Returns:
        list of dicts with the key "type".
    Raises:
        ValueError: the pipeline augments.
    """
    settings = []
    for step in pipeline:
        parameters = inspect.signature(TRANSFORMS.find(step["type"])).parameters
        defaults = {key: p.default for key, p in parameters.items() if p.default is not p.empty}
        step = {**defaults, **step}
        if step["type"] == "Augment":
            if step["enabled"] and step["steps"]:
                raise ValueError(
                    "features of frames are made once, so clips cannot be augmented anew in every epoch; set "
                    "enabled=False in Augment, or leave the features out"
                )
            continue
        settings.append({key: value for key, value in step.items() if key not in _FREE})
    return json.loads(json.dumps(settings))


class ClipFeatures:
    """Features of the frames of some videos.

    Attributes: `source` (content of the record), `width` E.

    Args:
        folder: of the files and of features.json.
        pipeline: that of the dataset; the features must have been made by it.
        videos: {name: video file}; one that is not there is not compared with what the features were made of.
    Raises:
        FileNotFoundError: no record, or features that are missing.
        ValueError: they were made by another pipeline, or of other videos.
    """

    def __init__(self, folder: str | Path, pipeline: Sequence[Mapping[str, Any]], videos: dict[str, Path]) -> None:
        self.folder = Path(folder)
        wanted, self.source = pipeline_settings(pipeline), read_feature_record(self.folder)
        if self.source is None:
            raise FileNotFoundError(f"folder of features {self.folder} has no {FEATURE_RECORD}; {HINT}")
        if "pipeline" not in self.source:
            raise ValueError(f"the features in {self.folder} are not those of clips; {HINT}")
        if differ := difference(_filled(self.source["pipeline"]), wanted):
            raise ValueError(
                f"the features in {self.folder} were made with {differ[0]}, but the pipeline has {differ[1]}; {HINT}, "
                "in another folder"
            )
        self.width = int(self.source["embed_dim"])
        features = {name: feature_path(self.folder, name) for name in videos}
        if missing := [name for name, path in features.items() if not path.is_file()]:
            raise FileNotFoundError(
                f"{len(missing)} of {len(videos)} videos have no features in {self.folder}: {some(missing)}; {HINT}"
                f"{self._damaged(missing)}"
            )
        refuse_replaced(self.folder, features, videos)

    def _damaged(self, missing):
        """What else helps if some of the missing videos could not be read, in words."""
        path = self.folder / FAILED
        count = len(read_block_list(str(path)).intersection(missing)) if path.is_file() else 0
        return f"; {count} of them could not be read: block_list={path} leaves them out" if count else ""

    def read(self, name: str) -> torch.Tensor:
        """The features of one video: float32 tensor (V, T, E), all finite."""
        path = feature_path(self.folder, name)
        array = open_array(path)
        if array.ndim != 3 or array.shape[2] != self.width or array.dtype.kind != "f":
            raise ValueError(
                f"features {path} are {array.dtype} {array.shape}; (views, frames, {self.width}) are expected"
            )
        return torch.from_numpy(float32_table(np.array(array), f"features {path}"))


def _filled(settings):
    """Settings of an earlier version with what it did not have yet: frames were resized by the short side alone."""
    return [{"resize_mode": "shortest", **step} if step["type"] == "LoadClips" else step for step in settings]


def difference(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """What two settings of pipelines differ in first, in words: (of the one, of the other), or None."""
    types = [", ".join(step["type"] for step in steps) for steps in (one, other)]
    if types[0] != types[1]:
        return f"the steps {types[0]}", f"the steps {types[1]}"
    for a, b in zip(one, other, strict=True):
        for key in {**a, **b}:
            if a.get(key) != b.get(key):
                return f"{a['type']}.{key}={a.get(key)!r}", f"{a['type']}.{key}={b.get(key)!r}"
    return None
