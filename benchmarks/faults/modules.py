"""Faults of an earlier fine-grained CLIP for surveillance video, as components: to measure what each of them costs.

T frames, S side, H x W pixels
"""

from dataclasses import KW_ONLY, dataclass, replace

import torch
from torchvision.transforms.v2 import functional as F

from opentad_bi.datasets.common.frames import SquareFrames
from opentad_bi.datasets.video_anomaly.dataset import RegionVideoDataset
from opentad_bi.datasets.video_anomaly.stream import FrameStreamDataset
from opentad_bi.models.video_anomaly.fg_clip import FGCLIP
from opentad_bi.registry import DATASETS, MODELS


@MODELS.register_module()
class LonelyFGCLIP(FGCLIP):
    """Takes batches of one video, which have no negatives."""

    lone_videos = True


@DATASETS.register_module()
@dataclass(eq=False, repr=False)
class FaultyRegionVideos(RegionVideoDataset):
    """Captioned videos read as an earlier program read them.

    Args:
        drop_disabled: disabled keyframes and the ends of lives are thrown away when the file is read.
        first_frames: frames of a video that are looked at; None: all.
        cropped: the shorter side is brought to S and the middle is cut out; boxes stay as they are.
        any_order: videos that have one caption may be in one batch.
    """

    _: KW_ONLY
    drop_disabled: bool = False
    first_frames: int | None = None
    cropped: bool = False
    any_order: bool = False

    def epoch_order(self, generator, unit):
        """All samples in any order, if that is asked for."""
        if self.any_order:
            return torch.randperm(len(self), generator=generator).tolist()
        return super().epoch_order(generator, unit)

    def _index(self):
        if self.cropped:
            self._pixels = CroppedFrames(self.size, cache=self.cache)
        if self.drop_disabled:
            self.records = [
                replace(record, regions=tuple(without_ends(region) for region in record.regions))
                for record in self.records
            ]
        if self.first_frames is not None:
            rates = [self._pixels.about(path)[1] for path in self.paths]
            self.records = [
                replace(record, window=(0, self.first_frames / rate))
                for record, rate in zip(self.records, rates, strict=True)
            ]
        super()._index()


@DATASETS.register_module()
class CroppedStream(FrameStreamDataset):
    """Frames to score whose middle is cut out."""

    def __init__(
        self, videos, root=None, *, classes, stride, chunk, size, layouts, normal_class, tolerate, cache, reader
    ):
        super().__init__(
            videos, root, classes=classes, stride=stride, chunk=chunk, size=size, layouts=layouts,
            normal_class=normal_class, tolerate=tolerate,
        )  # fmt: skip
        self._pixels = CroppedFrames(size, cache=cache, reader=reader)


class CroppedFrames(SquareFrames):
    """The middle of frames whose shorter side is S, resized bilinearly."""

    def __init__(self, size, **options):
        super().__init__(size, **options)
        self.cropped = True  # so that a cache tells them apart

    def resize(self, images):
        """uint8 (T, H, W, 3) -> (T, S, S, 3)"""
        planes = F.resize(torch.from_numpy(images).permute(0, 3, 1, 2), self.size, antialias=True)
        return F.center_crop(planes, self.size).permute(0, 2, 3, 1).numpy()


def without_ends(region):
    """A region with its enabled keyframes alone."""
    kept = tuple(keyframe for keyframe in region.keyframes if keyframe.enabled)
    return replace(region, start=None, end=None, keyframes=kept)
