"""FG-CLIP (Xie et al., ICML 2025) over time: a model of videos and of regions in them, whose texts score frames.

It puts together what can be read alone: `encoders` (videos, regions, captions), `losses` (what it learns from) and
`scoring` (what it gives).

B videos, T frames, S side in pixels, K regions of all videos, C classes, h x w grid of patches, P = h * w
E width of the joint space
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...contracts import LOGGED, Dataset, Model
from ...ops.names import label_of, normal_label
from ...ops.records import CaptionFeatures, RowScores
from ...registry import MODELS, nearest
from ...utils.checks import WARNING, CheckResult, attempt
from ...utils.validation import check_count, check_number
from ..clip.loading import load_clip
from ..losses.contrast import FeatureQueue
from .encoders import CaptionEncoder, VideoEncoder
from .losses import GLOBAL, REGION, FGCLIPLosses, check_of_negatives, without_regions
from .scoring import TextBank, caption_features, class_probabilities, least_normal, row_scores
from .trial import check_colours, check_lengths

VISUAL_KEYS = ("inputs", "valid", "boxes", "box_mask", "region_video")
STATE_BYTES = 16  # of a parameter: itself, its gradient and two moments, in fp32
TEXTS, WRONG = 5, 40  # of a video at most: its caption, those of four regions; ten wrong ones for each of these


@MODELS.register_module()
class FGCLIP(Model, nn.Module):
    """Contrast of videos with captions and of regions with theirs; both towers train.

    Frames are scored by their cosines with texts of the classes.

    A batch is {"inputs": uint8 (B, T, 3, S, S) RGB, "valid": bool (B, T), "captions": B texts, "boxes": float32
    (K, T, 4) xyxy in 0..1, "box_mask": bool (K, T), "region_video": int64 (K,), "region_captions": K texts,
    "region_negatives": K lists of texts, for `hard_weight`, "labels": int64 (B,), "counts": {name: 0-d}, which are
    logged}; K may be 0.

    Args:
        clip: arguments of `load_clip`: dict(model, pretrained, quick_gelu).
        classes: names by label.
        normal_class: the class without anomalies.
        prompts: {class: [text, ...]}, or a JSON file of that form; a class without any gets `template`.
        template: text of a class, its name in the place of {}.
        global_feature: config of the pooling over frames; None: the mean.
        frames: most frames of a video to learn from, for a pooling that needs to know.
        region_weight: factor of the loss of regions; with 0 they are left out.
        hard_weight: factor of a third loss, of regions against their caption and their `region_negatives` alone.
        duplicates: of captions that say the same, see `symmetric_contrast`.
        bank: are the texts of other classes hard negatives, more to choose from for videos and for regions?
        queue: pairs of previous batches that are more to choose from; 0: none.
        queue_warmup: batches before the queue is used.
        dense: how patches are read, "value" or "full", see `DenseEncoder`.
        frame_chunk: most frames in one pass of the tower; None: all.
        recompute: None, "block" or "video", see `VideoEncoder`; captions are computed again block by block.
        context_length: tokens of a caption of a video: 77, or 248 with stretched positions; None: the tower's.
        top: patches whose mean is the score of the regions of a frame.
        region_score: weight of that in the score of the frame, from 0 to 1.
    """

    classes: list[str]
    open_vocabulary = True
    lone_videos = False  # let batches of one video pass, although nothing is learned from them

    def __init__(
        self,
        clip: dict,
        classes: Sequence[str],
        *,
        normal_class: str = "Normal",
        prompts: Mapping[str, Sequence[str]] | str | Path | None = None,
        template: str = "{}",
        global_feature: dict | None = None,
        frames: int | None = None,
        region_weight: float = 0.1,
        hard_weight: float = 0.0,
        duplicates: str = "exclude",
        bank: bool = False,
        queue: int = 0,
        queue_warmup: int = 200,
        dense: str = "value",
        frame_chunk: int | None = None,
        recompute: str | None = None,
        context_length: int | None = None,
        top: int = 3,
        region_score: float = 0.0,
    ) -> None:
        super().__init__()
        self.classes = [str(name) for name in classes]
        self.normal = normal_label(normal_class, self.classes)
        self.top, self.region_score = check_count("top", top), check_number("region_score", region_score)
        if region_score > 1:
            raise ValueError(f"region_score {region_score!r} must be a number from 0 to 1")
        loaded = load_clip(**clip)
        self.clip_name, self.comes_trained = loaded.name, loaded.trained
        self.vision = VideoEncoder(
            loaded,
            global_feature,
            frames=frames,
            dense=dense,
            frame_chunk=frame_chunk,
            recompute=recompute,
            hard=hard_weight > 0,
        )
        self.text = CaptionEncoder(loaded, context_length, checkpoint=recompute is not None)
        self.texts = TextBank(self.classes, template, prompts)
        sizes = {"size": check_count("queue", queue, lowest=0), "width": loaded.embed_dim}
        warmup = check_count("queue_warmup", queue_warmup, lowest=0)
        self.queues = nn.ModuleDict({name: FeatureQueue(**sizes, warmup=warmup) for name in (GLOBAL, REGION) if queue})
        weights = {"region_weight": region_weight, "hard_weight": hard_weight}
        lone = self.lone_videos
        self.objective = FGCLIPLosses(self.queues, **weights, duplicates=duplicates, bank=bank, lone_videos=lone)

    def forward(self, batch: dict) -> dict[str, Any]:
        """Losses of a batch over the rows of all processes: {"global_loss", "region_loss", perhaps "hard_loss"}, 0-d.

        Logged: see `FGCLIPLosses`.

        Raises:
            ValueError: one video, in training, with neither `bank` nor `queue`: nothing to choose from.
        """
        self.vision.clamp_scales()
        if not self.objective.region_weight:
            batch = without_regions(batch)
        found = self.features(batch)
        bank = self.texts(self.text) if self.objective.bank else None
        encode, learn = self.text.encode, self.training
        losses, logged = self.objective(found, batch, self.vision.scales, encode=encode, bank=bank, learn=learn)
        return losses | {LOGGED: logged}

    def features(self, batch: dict) -> dict[str, Tensor]:
        """Features of length 1, float32: {"videos", "captions": (B, E), "regions", "region_captions": (K, E)}."""
        videos, regions = self.vision(*(batch[key] for key in VISUAL_KEYS))
        found = {
            "videos": videos,
            "captions": self.text.encode(batch["captions"], long=True),
            "regions": regions,
            "region_captions": self.text.encode(batch["region_captions"]),
        }
        return {name: F.normalize(x.float(), dim=-1) for name, x in found.items()}

    @torch.no_grad()
    def predict(self, batch: dict) -> list[RowScores] | list[CaptionFeatures]:
        """One `RowScores` for each run of frames, or one `CaptionFeatures` for each video with a caption.

        Args:
            batch: `inputs` (B, T, 3, S, S) uint8, `valid` (B, T) bool, `meta`, and `labels` (B,) where they are known;
                or a batch to learn from.
        Raises:
            ValueError: probabilities or features with NaN or infinite numbers; names the video.
        """
        if "captions" in batch:
            return caption_features({name: rows.cpu() for name, rows in self.features(batch).items()}, batch, self)
        return row_scores(self.probabilities(batch["inputs"][batch["valid"]]).cpu(), batch, self)

    @torch.no_grad()
    def probabilities(self, frames: Tensor) -> Tensor:
        """Probabilities of the classes in each frame: (T, 3, S, S) uint8 -> (T, C) float32

        With a `region_score` w they are (1 - w) of those of the whole frame and w of the mean over its `top` patches
        with the least probability of the normal class, the first of equals.
        """
        weight = self.region_score
        whole, cells = self.vision.frames(frames, cells=weight > 0)
        texts = self.texts.kept(self.text)
        found = class_probabilities(whole, texts, self.vision.logit_scale)
        if cells is None:
            return found
        cells = class_probabilities(cells, texts, self.vision.region_scale)  # (T, P, C)
        return (1 - weight) * found + weight * least_normal(cells, self.normal, self.top)

    @torch.no_grad()
    def heat_map(self, frames: Tensor, name: str) -> Tensor:
        """Cosine of each patch and the texts of the class `name`: (T, 3, S, S) uint8 -> (T, h, w) float32

        Raises:
            KeyError: an unknown class; names the nearest.
        """
        label = label_of(name, self.classes)
        if label is None:
            raise KeyError(f"unknown class {name!r}; {nearest(name, self.classes, every=True)}")
        cells = cast("Tensor", self.vision.frames(frames, cells=True)[1])
        with torch.autocast(frames.device.type, enabled=False):
            found = F.normalize(cells, dim=-1) @ self.texts.kept(self.text)[label]
        return found.unflatten(1, self.vision.tower.grid)

    def branches(self) -> dict[str, nn.Module]:
        """What steps with its own optimizer: the visual tower with the pooling and the scales, and the text tower."""
        return {"vision": self.vision, "text": self.text}

    def check_dataset(self, dataset: Any) -> None:
        """Raise a ValueError if the frames of `dataset` are not of the size that the tower takes.

        Logs whether wrong texts of its regions are learned from.
        """
        dataset = Dataset.of(dataset)
        size, own = dataset.image_size, self.vision.prepare.size
        if size is not None and (size, size) != own:
            raise ValueError(
                f"the frames of the dataset have {size} x {size} pixels, but {self.clip_name} takes {own[0]} x {own[1]}"
            )
        if dataset.region_negatives is not None:
            self.objective.log_wrong_texts(dataset.region_negatives)

    @classmethod
    def verdicts(cls, arguments: Mapping[str, Any], *, batch_size: int) -> list[CheckResult]:
        """Do batches of so many videos over all processes have negatives?"""
        return [] if cls.lone_videos else [check_of_negatives(arguments, batch_size)]

    @property
    def idle(self) -> dict[str, int]:
        """{"global", "region", "hard"}: batches so far that had nothing to choose from."""
        return self.objective.idle

    def check_trial(self, dataset: Any) -> list[CheckResult]:
        """Are texts of the data cut off, and do both towers belong together?"""
        lengths = attempt("tokens", lambda: check_lengths(self.text, dataset))
        return lengths + attempt("colours", lambda: check_colours(self.vision, self.text), level=WARNING)

    def fills_up(self) -> bool:
        """Did a batch have no negatives but those that a queue will hold later?"""
        return bool(self.queues) and self.idle[GLOBAL] > 0

    def training_bytes(self, videos: int, frames: int, half: bool) -> dict[str, int]:
        """Estimate of the memory of a training step.  Returns {"weights", "frames", "texts", "inputs"}: bytes.

        Args:
            videos, frames: of a batch, and of each of them.
            half: is the arithmetic in 16 bits? Weights stay in 32.
        """
        parameters = sum(p.numel() for p in self.parameters())
        height, width = self.vision.prepare.size
        texts = TEXTS + (WRONG if self.objective.hard_weight else 0)
        return {
            "weights": parameters * (STATE_BYTES + (2 if half else 0)),
            "frames": self.vision.training_bytes(videos, frames, half),
            "texts": self.text.training_bytes(videos * texts, half),
            "inputs": videos * frames * 3 * height * width,
        }
