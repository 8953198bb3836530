"""Features of the frames of clips, made once: DIR/<name>.npy, (V, T, E), and the record of what made them.

V views, T frames of a view, E width
"""

import inspect
import json
import os
from pathlib import Path, PurePosixPath
from random import Random

import numpy as np
import torch

from ..errors import some
from ..registry import TRANSFORMS
from ..utils.arrays import float32_table, open_array
from ..utils.files import read_json
from ..utils.logging import LOGGER
from ..utils.provenance import FEATURE_RECORD, changed_files, is_stamp, named, read_feature_record
from .annotation import read_block_list

CURE = "make them by tools/extract_clip_features.py --config"
FAILED = "failed.txt"  # beside the record: names of the videos that could not be read
_FREE = ("cache", "num_threads")  # arguments of steps that do not change a frame


class NoDraws(Random):
    """The draws of a pipeline whose output is kept: there must be none."""

    def random(self):
        """Refuse."""
        raise ValueError("features are made once, but a step of the pipeline draws; leave it out or disable it")

    def getrandbits(self, k):
        """Refuse."""
        return self.random()


def pipeline_settings(pipeline):
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


def feature_path(folder, name):
    """The file of the features of a video; ValueError if its name leads out of the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(
            f"video {name!r} does not lie below the folder of videos, so its features cannot have its name"
        )
    if f"{name}.json" == FEATURE_RECORD:
        raise ValueError(f"video {name!r}: its name is that of the record of all features; rename it")
    return Path(folder, f"{name}.npy")


def source_record(path):
    """The file beside the features at `path` that says, as "source", which video they are of."""
    return Path(path).with_name(f"{Path(path).name.removesuffix('.npy')}.json")


def replaced_sources(features, sources=None):
    """Which features are of a video that is another one now; a warning counts those whose video no record tells.

    Args:
        features: {name: path of its features}.
        sources: {name: video file}; None: where the record says that it lay. Videos that are gone are not compared.
    Returns:
        {name: how its video differs, in words}.
    """
    stamps, unknown = {}, []
    for name, path in features.items():
        record = source_record(os.path.realpath(path))  # of a link to features, it lies beside those
        content = read_json(record, "record of features") if record.is_file() else None
        if isinstance(content, dict) and is_stamp(content.get("source")):  # other tools have such files too
            stamps[name] = content["source"]
        else:
            unknown.append(name)
    if unknown and (sources or stamps):
        LOGGER.warning(
            "%d of %d files of features do not tell which video they were made of, as an older version made them; if "
            "a video was replaced since, make them again with --overwrite: %s",
            len(unknown),
            len(features),
            some(unknown),
        )
    return changed_files(stamps, sources)


def refuse_replaced(folder, features, sources=None):
    """ValueError if features in `folder` are of videos that were replaced since; arguments: see `replaced_sources`."""
    if replaced := replaced_sources(features, sources):
        raise ValueError(
            f"{len(replaced)} of {len(features)} files of features in {folder} are of videos that were replaced since: "
            f"{named(replaced)}; the same extraction again makes those anew (tools/extract_clip_features.py)"
        )


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

    def __init__(self, folder, pipeline, videos):
        self.folder = Path(folder)
        wanted, self.source = pipeline_settings(pipeline), read_feature_record(self.folder)
        if self.source is None:
            raise FileNotFoundError(f"folder of features {self.folder} has no {FEATURE_RECORD}; {CURE}")
        if "pipeline" not in self.source:
            raise ValueError(f"the features in {self.folder} are not those of clips; {CURE}")
        if differ := difference(_filled(self.source["pipeline"]), wanted):
            raise ValueError(
                f"the features in {self.folder} were made with {differ[0]}, but the pipeline has {differ[1]}; {CURE}, "
                "in another folder"
            )
        self.width = int(self.source["embed_dim"])
        features = {name: feature_path(self.folder, name) for name in videos}
        if missing := [name for name, path in features.items() if not path.is_file()]:
            raise FileNotFoundError(
                f"{len(missing)} of {len(videos)} videos have no features in {self.folder}: {some(missing)}; {CURE}"
                f"{self._damaged(missing)}"
            )
        refuse_replaced(self.folder, features, videos)

    def _damaged(self, missing):
        """What else helps if some of the missing videos could not be read, in words."""
        path = self.folder / FAILED
        count = len(read_block_list(str(path)).intersection(missing)) if path.is_file() else 0
        return f"; {count} of them could not be read: block_list={path} leaves them out" if count else ""

    def read(self, name):
        """The features of one video: float32 tensor (V, T, E), all finite."""
        path = feature_path(self.folder, name)
        array = open_array(path)
        if array.ndim != 3 or array.shape[2] != self.width or array.dtype.kind != "f":
            raise ValueError(
                f"features {path} are {array.dtype} {array.shape}; (views, frames, {self.width}) are expected"
            )
        return torch.from_numpy(float32_table(np.array(array), f"features {path}"))


def _filled(settings):
    """Settings of a former version with what it did not have yet: frames were resized by the short side alone."""
    return [{"resize_mode": "shortest", **step} if step["type"] == "LoadClips" else step for step in settings]


def difference(one, other):
    """What two settings of pipelines differ in first, in words: (of the one, of the other), or None."""
    types = [", ".join(step["type"] for step in steps) for steps in (one, other)]
    if types[0] != types[1]:
        return f"the steps {types[0]}", f"the steps {types[1]}"
    for a, b in zip(one, other, strict=True):
        for key in {**a, **b}:
            if a.get(key) != b.get(key):
                return tuple(f"{a['type']}.{key}={step.get(key)!r}" for step in (a, b))
    return None
