"""Clips of video files with one label each.

V views, T frames of a view, S side in pixels, K classes, N samples, E width of features
"""

from pathlib import Path
from random import Random

import numpy as np
import torch
from torch.utils.data import Dataset

from ..ops.names import describe_set
from ..ops.records import UnitMeta
from ..registry import DATASETS, TRANSFORMS
from .check_sets import clip_verdicts
from .clip_batch import collate
from .clip_features import ClipFeatures, feature_path
from .readers import VideoError
from .transforms.compose import Compose
from .video_selection import select_videos, video_names


@DATASETS.register_module()
class VideoFolder(Dataset):
    """Clips of the videos of a list, each with the label of its video.

    `dataset[i]` and `dataset[i, seed]` are {"inputs": uint8 (V, T, 3, S, S), "label": int, "meta": UnitMeta} and, with
    a mix, "target" float32 (K,). A sample depends on (index, seed) alone; without a seed, the index is the seed.
    Attributes: `classes` (K names as prompts spell them), `videos` (N names: paths below `root` without suffix),
    `labels` int64 (N,), `listed` (VideoList), `frames` and `image_size` (T and S by the pipeline, None if no step says
    them), `resizing` ((interpolation, resize_mode) of the pipeline, or None), `source` and `feature_dim` (of features:
    their record and E, else None).

    Args:
        videos: config of VIDEO_LISTS, or a VideoList.
        root: folder that the paths of the list are relative to.
        pipeline: list of configs of TRANSFORMS. It is given `path`, `video`, `label` and `rng`, and must give `inputs`,
            `label` and `meta` (`CollectClip`).
        part: "all" videos of the list, or what `draw_few_shot` draws for "train" or "val"; with the same arguments no
            group of videos is in both.
        shots: videos per class for training, or None: all that validation leaves.
        val_shots: videos per class for validation.
        val_share: in place of `val_shots`, the share of the groups of a class.
        group: what the draw keeps together: "ucf101", "hmdb51", "kinetics", or None: every video is a group.
        draw_seed: of the draw.
        protocol: which classes are kept, see `choose_labels`.
        protocol_count: how many, for "most_frequent", "least_frequent" and "random".
        protocol_videos: list in which the protocol counts; that of training, for the data of a test.
        protocol_seed: of the protocol "random".
        class_names: {class: how a prompt says it}, or a JSON file of that; see `prompt_names`.
        reference: list, or several, whose names of classes are right where those of `videos` are not.
        tolerate: share of the listed files that may be missing.
        block_list: videos that are left out before the draw: names as `videos` has them, with suffix or without, or a
            text file with one per line.
        mix: config of a mix of two clips (`VideoMix`); the partner is drawn from the other samples. Not in test mode.
        features: folder of features of the frames, (V, T, E) float32 in place of frames; the pipeline is not run, but
            must be the one that made them.
        allow_overlap: may videos to learn from be among those that are tested or validated on?
        test_mode: samples are not mixed.
    Raises:
        FileNotFoundError, KeyError, ValueError: naming the option, list, class or file, and the choices.
    """

    collate = staticmethod(collate)

    def __init__(
        self,
        videos,
        root,
        pipeline,
        *,
        part="all",
        shots=None,
        val_shots=0,
        val_share=0.0,
        group=None,
        draw_seed=0,
        protocol="all",
        protocol_count=None,
        protocol_videos=None,
        protocol_seed=0,
        class_names=None,
        reference=None,
        tolerate=0.0,
        block_list=None,
        mix=None,
        features=None,
        allow_overlap=False,
        test_mode=False,
    ):
        self.root, self.pipeline, self.allow_overlap = Path(root), list(pipeline), allow_overlap
        self.listed, self.classes = select_videos(
            videos,
            root,
            part=part,
            shots=shots,
            val_shots=val_shots,
            val_share=val_share,
            group=group,
            draw_seed=draw_seed,
            protocol=protocol,
            protocol_count=protocol_count,
            protocol_videos=protocol_videos,
            protocol_seed=protocol_seed,
            class_names=class_names,
            reference=reference,
            tolerate=tolerate,
            block_list=block_list,
        )
        self.videos = video_names(self.listed)
        self.labels = np.array([video.label for video in self.listed.videos], dtype=np.int64)
        self._transforms = Compose(self.pipeline)
        self.frames = next((step["frames"] for step in self.pipeline if "frames" in step), None)
        self.image_size = next((step["size"] for step in reversed(self.pipeline) if "size" in step), None)
        self.resizing = next(
            ((step.interpolation, step.resize_mode) for step in self._transforms.steps if hasattr(step, "resize_mode")),
            None,
        )
        self.mix = None if mix is None or test_mode else self._build_mix(mix, features)
        self._features = None if features is None else ClipFeatures(features, self.pipeline, self.files())
        self.source = None if features is None else self._features.source
        self.feature_dim = None if features is None else self._features.width

    def _build_mix(self, cfg, features):
        """The mix, once it is known that there is something to mix."""
        mix = TRANSFORMS.build(cfg)
        if not hasattr(mix, "probability"):
            raise ValueError(f"mix {cfg['type']!r} is a step of a pipeline, not a mix of two clips such as VideoMix")
        if features is not None:
            raise ValueError(f"mix {cfg['type']!r}: pixels are mixed, but features={str(features)!r} are read instead")
        if len(self) < 2:
            raise ValueError(f"mix {cfg['type']!r} needs a second video, but there is only {self.videos[0]!r}")
        return mix

    def drawn(self):
        """Which videos these are, see `ops.video_sets`."""
        videos = [(video.path, self.classes[video.label]) for video in self.listed.videos]
        return describe_set(self.root, videos, split=self.listed.split)

    def __len__(self):
        return len(self.videos)

    def __getitem__(self, key):
        index, seed = key if isinstance(key, tuple) else (key, key)
        index = range(len(self))[index]
        if self._features is not None:
            inputs = self._features.read(self.videos[index])
            return {"inputs": inputs, "label": int(self.labels[index]), "meta": UnitMeta(self.videos[index], 0, 1)}
        rng = Random(int(seed))
        sample = self.clip(index, rng)
        return sample if self.mix is None else self._mixed(sample, index, rng)

    def files(self):
        """{name: path} of the videos."""
        return {name: self.root / video.path for name, video in zip(self.videos, self.listed.videos, strict=True)}

    def sources(self):
        """{name: path} of the files that samples come from: videos, or features of their frames."""
        if self._features is None:
            return self.files()
        return {name: feature_path(self._features.folder, name) for name in self.videos}

    @classmethod
    def verdicts(cls, arguments, *, full=True, workers=4):
        """What is wrong with such a set, as a list of `Verdict`; see `check_sets.clip_verdicts`."""
        return clip_verdicts(cls, arguments, full=full, workers=workers)

    def clip(self, index, rng):
        """What the pipeline makes of a video, with the draws of `rng`, not mixed; VideoError if it is damaged."""
        video, name = self.listed.videos[index], self.videos[index]
        try:
            return self._transforms({"path": self.root / video.path, "video": name, "label": video.label, "rng": rng})
        except VideoError as error:
            raise VideoError(f"{error}; block_list=[{name!r}] leaves it out") from error

    def _mixed(self, sample, index, rng):
        """The sample with a partner's clip in it, and what share of it either label has."""
        target = torch.zeros(len(self.classes))
        target[sample["label"]] = 1
        if rng.random() < self.mix.probability:
            partner = self.clip((index + rng.randrange(1, len(self))) % len(self), rng)
            clip, share = self.mix(sample["inputs"], partner["inputs"], rng)
            target *= share
            target[partner["label"]] += 1 - share
            sample = {**sample, "inputs": clip}
        return {**sample, "target": target}
