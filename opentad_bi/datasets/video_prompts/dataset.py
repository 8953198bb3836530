"""Clips of video files with one label each, of frames or of their features, and mixes of two clips.

B batch, V views, T frames of a view, H, W height and width, S side in pixels, K classes, N samples, E width of features
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch.nn.functional import pad
from torch.utils.data import default_collate

from ...contracts import Dataset
from ...ops.names import describe_set
from ...ops.records import UnitMeta, UnitMetas
from ...registry import DATASETS, TRANSFORMS
from ...utils.checks import CheckResult
from ...utils.validation import check_choice, check_share
from ..common.feature_files import feature_path
from ..common.frames import FrameLoader
from ..readers.base import VideoError
from ..transforms.compose import Compose
from .check import check_clips
from .features import ClipFeatures
from .lists import VideoList
from .selection import select_videos, video_names


@runtime_checkable
class ClipMix(Protocol):
    """A mix of two clips, the option `mix` of `VideoFolder`."""

    probability: float  # of a sample to be mixed

    def __call__(self, a: torch.Tensor, b: torch.Tensor, rng: Random) -> tuple[torch.Tensor, float]:
        """Two clips (V, T, 3, H, W) -> the mixed one, and the share of its values that are those of `a`."""


KINDS = ("spatial", "temporal", "spatiotemporal")


@TRANSFORMS.register_module()
class VideoMix:
    """Put a part of one clip into another, the same in all views (VideoMix, Yun et al. 2020, arXiv 2012.03457).

    It works on two clips, so it stands in no pipeline: a dataset takes it as `mix`.

    Args:
        kind: "spatial": a box around a uniform centre, whose sides are sqrt(l) of the frame's with l uniform in
            (0, 1), cut at the borders, the same in all frames; "temporal": frames t0 to t1 (exclusive) with
            0 <= t0 < t1 <= T; "spatiotemporal": the box in those frames.
        probability: how often a sample is mixed.
    """

    def __init__(self, kind: str, probability: float = 1.0) -> None:
        self.kind = check_choice("VideoMix kind", kind, KINDS)
        self.probability = probability if probability == 1 else check_share("VideoMix probability", probability)

    def __call__(self, a: torch.Tensor, b: torch.Tensor, rng: Random) -> tuple[torch.Tensor, float]:
        """Mix two clips (V, T, 3, H, W) into a new one.

        Args:
            a: the clip that a part is kept of.
            b: the clip that has the rest.
        Returns:
            the clip, and the share of its values that are those of `a`.
        Raises:
            ValueError: clips of different shapes.
        """
        if a.shape != b.shape:
            raise ValueError(f"clips of the shapes {tuple(a.shape)} and {tuple(b.shape)} cannot be mixed")
        _, frames, _, height, width = a.shape
        box = [slice(0, frames), slice(0, height), slice(0, width)]
        if self.kind != "spatial":
            box[0] = slice(*sorted(rng.sample(range(frames + 1), 2)))
        if self.kind != "temporal":
            side = math.sqrt(rng.random())
            box[1:] = [_around(rng.randrange(length), length, side) for length in (height, width)]
        mixed = b.clone()
        times, rows, columns = box
        mixed[:, times, :, rows, columns] = a[:, times, :, rows, columns]
        kept = math.prod(part.stop - part.start for part in box)
        return mixed, kept / (frames * height * width)


def _around(centre, length, share):
    """A stretch of `share` of a length around a point of it, one pixel at least, cut at the ends."""
    size = max(1, round(length * share))
    start = centre - size // 2
    return slice(max(start, 0), min(start + size, length))


def collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Make a batch of B samples.

    Args:
        samples: dicts of `inputs` (V, T, 3, S, S) uint8 or (V, T, E) float32, `label`, `meta`, and, where clips are
            mixed, `target` (K,) float32.
    Returns:
        dict of `inputs` (B, V, T, ...), `labels` int64 (B,), `meta` (UnitMetas), `targets` float32 (B, K) of mixed
        clips, and `masks` bool (B, V, T) if samples differ in T: frames of zeros are filled in at the end.
    Raises:
        ValueError: samples of different views or sizes.
    """
    inputs, metas = [sample["inputs"] for sample in samples], [sample["meta"] for sample in samples]
    shapes = {(*x.shape[:1], *x.shape[2:]) for x in inputs}
    if len(shapes) > 1:
        raise ValueError(
            "clips of different views or sizes cannot be in one batch: "
            + ", ".join(f"{meta.video} {tuple(x.shape)}" for meta, x in zip(metas, inputs, strict=True))
        )
    lengths = torch.tensor([x.shape[1] for x in inputs])
    longest = int(lengths.max())
    batch = {
        # in a loader's worker the batch is made in shared memory, so that it is not copied once more
        "inputs": default_collate([_filled(x, longest) for x in inputs]),
        "labels": torch.tensor([sample["label"] for sample in samples]),
        "meta": UnitMetas([m.video for m in metas], [m.start for m in metas], [m.rows for m in metas]),
    }
    if "target" in samples[0]:
        batch["targets"] = torch.stack([sample["target"] for sample in samples])
    if (lengths != longest).any():
        masks = torch.arange(longest) < lengths[:, None]
        batch["masks"] = masks[:, None].repeat(1, inputs[0].shape[0], 1)
    return batch


def _filled(x, length):
    """(V, T, ...) -> (V, length, ...)"""
    missing = length - x.shape[1]
    return pad(x, [0, 0] * (x.ndim - 2) + [0, missing]) if missing else x


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
        part: "all" videos of the list, or what `draw_few_shot` gives for "train" or "val"; with the same arguments no
            group of videos is in both.
        shots: videos per class for training, or None: all that validation leaves.
        val_shots: videos per class for validation.
        val_ratio: in place of `val_shots`, the share of the groups of a class.
        group: what the sampling keeps together: "ucf101", "hmdb51", "kinetics", or None: every video is a group.
        sampling_seed: of the random sampling.
        protocol: which classes are kept, see `choose_labels`.
        protocol_count: how many, for "most_frequent", "least_frequent" and "random".
        protocol_videos: list in which the protocol counts; that of training, for the data of a test.
        protocol_seed: of the protocol "random".
        class_names: {class: how a prompt says it}, or a JSON file of that; see `prompt_names`.
        reference: list, or several, whose names of classes are right where those of `videos` are not.
        tolerate: share of the listed files that may be missing.
        block_list: videos that are left out before sampling: names as `videos` has them, with suffix or without, or a
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
    classes: list[str]
    videos: list[str]

    def __init__(
        self,
        videos: Mapping[str, Any] | VideoList,
        root: str | Path,
        pipeline: Sequence[Mapping[str, Any]],
        *,
        part: str = "all",
        shots: int | None = None,
        val_shots: int = 0,
        val_ratio: float = 0.0,
        group: str | None = None,
        sampling_seed: int = 0,
        protocol: str = "all",
        protocol_count: int | None = None,
        protocol_videos: Mapping[str, Any] | VideoList | None = None,
        protocol_seed: int = 0,
        class_names: Mapping[str, str] | str | Path | None = None,
        reference: Any = None,
        tolerate: float = 0.0,
        block_list: str | Path | Sequence[str] | None = None,
        mix: Mapping[str, Any] | None = None,
        features: str | Path | None = None,
        allow_overlap: bool = False,
        test_mode: bool = False,
    ) -> None:
        self.root, self.pipeline, self.allow_overlap = Path(root), list(pipeline), allow_overlap
        self.listed, self.classes = select_videos(
            videos,
            root,
            part=part,
            shots=shots,
            val_shots=val_shots,
            val_ratio=val_ratio,
            group=group,
            sampling_seed=sampling_seed,
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
        loaders = (step for step in self._transforms.steps if isinstance(step, FrameLoader))
        self.resizing = next(((loader.interpolation, loader.resize_mode) for loader in loaders), None)
        self.mix = None if mix is None or test_mode else self._build_mix(mix, features)
        self._features = None if features is None else ClipFeatures(features, self.pipeline, self.files())
        self.source = None if self._features is None else self._features.source
        self.feature_dim = None if self._features is None else self._features.width

    def _build_mix(self, cfg, features):
        """The mix, once it is known that there is something to mix."""
        mix = TRANSFORMS.build(cfg)
        if not isinstance(mix, ClipMix):
            raise ValueError(f"mix {cfg['type']!r} is a step of a pipeline, not a mix of two clips such as VideoMix")
        if features is not None:
            raise ValueError(f"mix {cfg['type']!r}: pixels are mixed, but features={str(features)!r} are read instead")
        if len(self) < 2:
            raise ValueError(f"mix {cfg['type']!r} needs a second video, but there is only {self.videos[0]!r}")
        return mix

    def drawn(self) -> dict[str, Any]:
        """Which videos these are, see `ops.names`."""
        videos = [(video.path, self.classes[video.label]) for video in self.listed.videos]
        return describe_set(self.root, videos, split=self.listed.split)

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        index, seed = key if isinstance(key, tuple) else (key, key)
        index = range(len(self))[index]
        if self._features is not None:
            inputs = self._features.read(self.videos[index])
            return {"inputs": inputs, "label": int(self.labels[index]), "meta": UnitMeta(self.videos[index], 0, 1)}
        rng = Random(int(seed))
        sample = self.clip(index, rng)
        return sample if self.mix is None else self._mixed(sample, index, rng)

    def files(self) -> dict[str, Path]:
        """{name: path} of the videos."""
        return {name: self.root / video.path for name, video in zip(self.videos, self.listed.videos, strict=True)}

    def sources(self) -> dict[str, Path]:
        """{name: path} of the files that samples come from: videos, or features of their frames."""
        if self._features is None:
            return self.files()
        return {name: feature_path(self._features.folder, name) for name in self.videos}

    @classmethod
    def verdicts(cls, arguments: Mapping[str, Any], *, full: bool = True, workers: int = 4) -> list[CheckResult]:
        """What is wrong with such a set, as a list of `CheckResult`; see `check.check_clips`."""
        return check_clips(cls, arguments, full=full, workers=workers)

    def clip(self, index: int, rng: Random) -> dict[str, Any]:
        """What the pipeline makes of a video, with the random numbers of `rng`, not mixed; VideoError if damaged."""
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
