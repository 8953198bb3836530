"""Videos with a caption each and described regions that move.

B batch, T frames, S side, R regions of a video, K regions of the batch, C classes, N samples
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from random import Random
from typing import Any

import numpy as np
import torch
from torch.utils.data import default_collate

from ...contracts import Dataset
from ...ops.names import caption_key
from ...ops.records import UnitMeta, UnitMetas
from ...registry import DATASETS, current_name
from ...utils.checks import CheckResult
from ...utils.logging import LOGGER
from ...utils.validation import check_choice, check_classes, check_count, check_share
from ..common.frames import DamagedTail, SquareFrames
from ..common.video_paths import check_layouts
from .captions import captioned_videos, categories, drop_bad_windows, find_files, label_videos, record_window
from .check import check_regions
from .frame_counts import fit_to_files
from .regions import ENABLED_MODES, OPEN_ENDS, VisibilityTrack
from .sampling import BALANCES, POLICIES, SampledRegions, balanced_order, sample_regions
from .texts import ON_CHINESE, ON_EMPTY, count_truncated

COUNTED = ("outside", "missed", "moved", "short", "too_many")  # what `SampledRegions` counts


def collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Make a batch of B samples of `RegionVideoDataset`.

    Returns:
        dict of `inputs` uint8 (B, T, 3, S, S), `valid` bool (B, T), `captions` (B texts), `boxes` float32 (K, T, 4),
        `box_mask` bool (K, T), `region_video` int64 (K,), places in the batch, `region_captions` (K texts),
        `region_negatives` (K tuples of texts), `labels` int64 (B,), `abnormal` bool (B,), `counts` ({name: 0-d float32,
        mean over the videos} of `COUNTED`) and `meta` (UnitMetas). K may be 0.
    """
    counts = torch.tensor([len(sample["region_captions"]) for sample in samples])
    metas = [sample["meta"] for sample in samples]
    return {
        # in a loader's worker the frames are stacked in shared memory, so that they are not copied once more
        "inputs": default_collate([sample["inputs"] for sample in samples]),
        "valid": torch.stack([sample["valid"] for sample in samples]),
        "captions": [sample["caption"] for sample in samples],
        "boxes": torch.cat([sample["boxes"] for sample in samples]),
        "box_mask": torch.cat([sample["box_mask"] for sample in samples]),
        "region_video": torch.repeat_interleave(torch.arange(len(samples)), counts),
        "region_captions": [text for sample in samples for text in sample["region_captions"]],
        "region_negatives": [texts for sample in samples for texts in sample["region_negatives"]],
        "labels": torch.tensor([sample["label"] for sample in samples]),
        "abnormal": torch.tensor([sample["abnormal"] for sample in samples]),
        "counts": {name: torch.tensor([float(s["counts"][name]) for s in samples]).mean() for name in COUNTED},
        "meta": UnitMetas([m.video for m in metas], [m.start for m in metas], [m.rows for m in metas]),
    }


NORMAL_REGIONS = ("none", "full_frame")
_WHOLE = (0.0, 0.0, 1.0, 1.0)
_LATE = 0.5  # share of the chosen frames before the first damaged one, from which on a video is used without its rest


@DATASETS.register_module()
@dataclass(eq=False, repr=False)
class RegionVideoDataset(Dataset):
    """Videos of caption files (see `captions` for their forms), with the regions that are in the chosen frames.

    `dataset[i]` and `dataset[i, seed]` are {"inputs": uint8 (T, 3, S, S), "valid": bool (T,), "caption": text, "boxes":
    float32 (R, T, 4), "box_mask": bool (R, T), "region_captions": R texts, "region_negatives":
    R tuples of texts that are nearly right and wrong, "label": int, "abnormal": bool,
    "counts": {name: int} of `COUNTED`, "meta": UnitMeta}. Every region is in at least one frame; boxes are x1, y1, x2,
    y2 in shares, zero where the mask is False. A sample depends on (index, seed) alone; without a seed, the index is
    the seed. Attributes: `records` (CaptionedVideo), `report` (ReadReport), `classes` (C names), `videos` (N names),
    `paths`, `labels` int64 (N,), `abnormal` bool (N,).

    Args:
        ann_files: caption file, text file or folder of them, or a list, see `read_captions`.
        root: folder of the videos.
        frames: T, spread evenly over a video or its window.
        size: S; frames are resized to S x S without keeping the aspect ratio.
        layouts: where below `root` the files are looked for, see `find_video_file`.
        classes: names by label; None: the normal class and then the others as the files have them, sorted.
        normal_class: the class without anomalies.
        policy: what becomes of a region that no frame hits: "ensure", "drop" or "nearest", see `sample_regions`.
        min_region_frames: frames of every region that "ensure" sees to.
        max_regions: of a video that has more, a random choice in training and the first ones in test mode.
        enabled_mode, open_end: how long boxes are visible, see `VisibilityTrack`.
        frame_base: number of a video's first frame in the caption files, 0 or 1.
        on_bad_box, on_bad_entry: see `read_captions`; "skip" leaves out what has a window beyond its file, or other
            frames than it, too.
        normal_region: "full_frame": regions with a caption but no box are the whole picture in normal videos.
        caption_map: JSON file of {caption: what stands in its place}, such as translations.
        on_chinese: "warn", "skip" or "error", see `settle_chinese`.
        empty_caption: "region", "skip" or "error", see `settle_empty`.
        forbid_list: names of test videos, or a file of them, of which none may be here.
        drop_forbidden: leave them out.
        balance: of `epoch_order`, both kinds in every batch: "natural", in the proportion of all, or "equal" numbers;
            see `balanced_order`.
        tolerate: share of the videos whose file may be missing; they are left out.
        interpolation, cache, reader, num_threads: see `SquareFrames`.
        test_mode: regions are not drawn.
    Raises:
        FileNotFoundError, KeyError, ValueError: naming the option, file, entry, video or class, and the choices.
    """

    ann_files: str | list[str]
    root: str
    _: KW_ONLY
    frames: int
    size: int = 224
    layouts: str | list[str] | None = None
    classes: str | list[str] | None = None
    normal_class: str = "Normal"
    policy: str = "ensure"
    min_region_frames: int = 1
    max_regions: int = 4
    enabled_mode: str = "label_studio"
    open_end: str = "video"
    frame_base: int = 0
    on_bad_box: str = "error"
    on_bad_entry: str = "error"
    normal_region: str = "none"
    caption_map: str | None = None
    on_chinese: str = "warn"
    empty_caption: str = "region"
    forbid_list: str | list[str] | None = None
    drop_forbidden: bool = False
    balance: str = "natural"
    tolerate: float = 0.0
    interpolation: str = "bicubic"
    cache: str | None = None
    reader: str = "pyav"
    num_threads: int = 1
    test_mode: bool = False

    collate = staticmethod(collate)

    def __post_init__(self):
        self._check()
        self.image_size = self.size
        self.classes = None if self.classes is None else check_classes(self.classes)
        records, self.report = captioned_videos(
            self.ann_files,
            classes=self.classes,
            normal_class=self.normal_class,
            frame_base=self.frame_base,
            on_bad_box=self.on_bad_box,
            on_bad_entry=self.on_bad_entry,
            caption_map=self.caption_map,
            on_chinese=self.on_chinese,
            empty_caption=self.empty_caption,
            forbid_list=self.forbid_list,
            drop_forbidden=self.drop_forbidden,
        )
        self.records, self.paths = find_files(records, self.root, self.layouts, self.tolerate, self.report)
        skip = self.on_bad_entry == "skip"
        self.records, self.paths = fit_to_files(self.records, self.paths, self.report, skip=skip)
        if skip:
            self.records, self.paths = drop_bad_windows(self.records, self.paths, self._pixels.about, self.report)
        self.classes = self.classes or categories(self.records, self.normal_class)
        self.labels = label_videos(self.records, self.classes, self.normal_class)
        self._index()
        self.region_negatives = self.report.region_negatives
        LOGGER.info("%s: %s", self.root, self.report)

    def _check(self):
        """Errors for arguments that are not one of the choices, before any file is read."""
        check_count("frames", self.frames)
        check_choice("policy", self.policy, POLICIES)
        check_count("min_region_frames", self.min_region_frames)
        check_count("max_regions", self.max_regions, lowest=0)
        check_choice("enabled_mode", self.enabled_mode, ENABLED_MODES)
        check_choice("open_end", self.open_end, OPEN_ENDS)
        check_choice("normal_region", self.normal_region, NORMAL_REGIONS)
        self.balance = check_choice("balance", current_name(self.balance, BALANCES), BALANCES)
        check_choice("on_chinese", self.on_chinese, ON_CHINESE)
        check_choice("empty_caption", self.empty_caption, ON_EMPTY)
        check_share("tolerate", self.tolerate)
        self.layouts = check_layouts(self.layouts)
        self._pixels = SquareFrames(
            self.size,
            interpolation=self.interpolation,
            cache=self.cache,
            reader=self.reader,
            num_threads=self.num_threads,
        )

    def _index(self):
        """What every sample needs of its regions, made once."""
        self.videos = [record.name for record in self.records]
        self.abnormal = np.array([record.abnormal for record in self.records])
        options = {"enabled_mode": self.enabled_mode, "open_end": self.open_end}
        self._tracks = [[VisibilityTrack(region, **options) for region in record.regions if region.keyframes]
                       for record in self.records]  # fmt: skip
        self._texts = [[(region.caption, region.negatives) for region in record.regions if region.keyframes]
                       for record in self.records]  # fmt: skip
        self._keys = [caption_key(record.caption) for record in self.records]

    def __len__(self) -> int:
        return len(self.records)

    def epoch_order(self, generator: torch.Generator, unit: int) -> list[int]:
        """An order of an epoch's samples, see `balanced_order`.  Returns a list of indices, whole units first.

        Args:
            unit: samples that are contrasted with each other.
        """
        numbers = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        return balanced_order(self.abnormal, self._keys, unit, numbers, balance=self.balance)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        index = range(len(self))[key[0] if isinstance(key, tuple) else key]
        seed = key[1] if isinstance(key, tuple) else index
        record, path = self.records[index], self.paths[index]
        while True:
            sampled = self.sampled(index, seed)
            try:
                inputs = self._pixels.read(path, sampled.frames)
                break
            except DamagedTail as error:
                self._shorten(path, sampled, error)
        texts = [self._texts[index][number] for number in sampled.regions]
        boxes, mask = torch.from_numpy(sampled.boxes), torch.from_numpy(sampled.mask)
        valid = torch.from_numpy(sampled.valid)
        if whole := self._whole_texts(record):
            texts += whole
            boxes = torch.cat([boxes, valid[None, :, None] * torch.tensor(_WHOLE).expand(len(whole), 1, 4)])
            mask = torch.cat([mask, valid.expand(len(whole), -1)])
        return {
            "inputs": inputs,
            "valid": valid,
            "caption": record.caption,
            "boxes": boxes,
            "box_mask": mask,
            "region_captions": [caption for caption, _ in texts],
            "region_negatives": [negatives for _, negatives in texts],
            "label": int(self.labels[index]),
            "abnormal": bool(record.abnormal),
            "counts": sampled.counts,
            "meta": UnitMeta(record.name, index, 1),  # segments of a video may share a name
        }

    def sampled(self, index: int, seed: int) -> SampledRegions:
        """The frames of a sample and the regions in them, without decoding anything: SampledRegions."""
        record, tracks = self.records[index], self._tracks[index]
        first, stop = record_window(record, self.paths[index], self._pixels.about(self.paths[index]))
        inside = [number for number, track in enumerate(tracks) if len(track.intervals(first, stop))]
        chosen = inside[: self.max_regions]
        if len(inside) > self.max_regions and not self.test_mode:
            chosen = sorted(Random(int(seed)).sample(inside, self.max_regions))
        sampled = sample_regions(
            [tracks[number] for number in chosen],
            first,
            stop,
            self.frames,
            policy=self.policy,
            minimum=self.min_region_frames,
        )
        return replace(
            sampled,
            regions=[chosen[number] for number in sampled.regions],
            outside=len(tracks) - len(inside),
            too_many=len(inside) - len(chosen),
        )

    def _whole_texts(self, record):
        """Texts of what is the whole picture: regions without a box in normal videos, if asked for."""
        if record.abnormal or self.normal_region == "none":
            return []
        found = [(r.caption, r.negatives) for r in record.regions if r.caption and not r.keyframes]
        return found[: self.max_regions]

    def _shorten(self, path, sampled, error):
        """Go on without the end of a file that is damaged late; the error otherwise."""
        if error.length <= sampled.frames[0] + _LATE * (sampled.frames[-1] - sampled.frames[0]):
            raise error
        LOGGER.warning("%s; its first %d frames are used from now on", error, error.length)
        self._pixels.shorten(path, error.length)

    @classmethod
    def verdicts(cls, arguments: Mapping[str, Any], *, full: bool = True, workers: int = 4) -> list[CheckResult]:
        """Is a set with these arguments fit for training?  A list of `CheckResult`, see `check_regions`."""
        return check_regions(cls, arguments, full=full, workers=workers)

    def count_truncated(
        self, count_tokens: Callable[[str], int], *, caption_limit: int, region_limit: int
    ) -> dict[str, int]:
        """How many texts a text tower cuts off, see `texts.count_truncated`."""
        return count_truncated(self.records, count_tokens, caption_limit=caption_limit, region_limit=region_limit)

    def statistics(self) -> dict[str, float]:
        """What the frames hit of the regions, over all samples as `dataset[i]` has them; opens every file.

        Returns:
            dict: videos, regions (with boxes), too_many (above `max_regions`), outside (their window), missed (by
            evenly spread frames), used, short (of `min_region_frames`), moved (frames), padded (videos shorter than
            T), region_frames (mean frames of a region that is used).
        """
        counts, hits = Counter(videos=len(self)), []
        for index in range(len(self)):
            sampled = self.sampled(index, index)
            counts["regions"] += len(self._tracks[index])
            counts["padded"] += not sampled.valid.all()
            counts["used"] += len(sampled.regions)
            counts.update(sampled.counts)
            hits += sampled.mask.sum(axis=1).tolist()
        names = ("videos", "regions", "too_many", "outside", "missed", "used", "short", "moved", "padded")
        return {name: counts[name] for name in names} | {"region_frames": float(np.mean(hits)) if hits else 0.0}
