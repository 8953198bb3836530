"""A feature for each class, from several texts.

A CLIP model of videos and of regions in them, whose texts score frames for anomalies.
"""

import math
from itertools import islice

import torch
from torch import nn
from torch.nn import functional as F

from ...ops.names import caption_number, label_of, normal_label
from ...ops.records import CaptionFeatures, RowScores
from ...registry import MODELS, nearest
from ...utils.checks import judge
from ...utils.distributed import gather_rows
from ...utils.logging import LOGGER
from ...utils.validation import check_choice, check_count, check_finite, check_number
from ..clip.loading import load_clip
from ..losses.contrast import DUPLICATES, Columns, FeatureQueue, hard_contrast, symmetric_contrast
from ..prompts.fixed_texts import class_texts
from .encoders import BLOCK, VIDEO, CaptionEncoder, VideoEncoder, training_bytes

# C classes, R texts of all classes, E width of the joint space


class TextBank(nn.Module):
    """The mean direction of the texts of each class.

    Args:
        classes: names by label.
        template: text of a class without texts of its own, its name in the place of {}.
        texts: {class: [text, ...]}, or the path of a JSON file that holds that, or None.
    Raises:
        ValueError, KeyError, FileNotFoundError: naming the class or text that is wrong.
    """

    def __init__(self, classes, template="{}", texts=None):
        super().__init__()
        groups = class_texts(classes, template, texts)
        self.texts = [text for group in groups for text in group]
        owner = torch.tensor([label for label, group in enumerate(groups) for _ in group])
        share = F.one_hot(owner).T.float() / owner.bincount()[:, None]
        self.register_buffer("share", share, persistent=False)  # (C, R), of rows that sum to 1
        self._kept = None

    def forward(self, encoder):
        """Features of length 1 by an encoder that has `encode(texts)`: -> (C, E) float32"""
        features = encoder.encode(self.texts).float()
        with torch.autocast(features.device.type, enabled=False):
            return F.normalize(self.share @ F.normalize(features, dim=1), dim=1)

    @torch.no_grad()
    def kept(self, encoder):
        """`forward` without a gradient, made anew only after the parameters of the encoder have changed."""
        key = [self.share.device, *((p.data_ptr(), p._version) for p in encoder.parameters())]
        if self._kept is None or self._kept[0] != key:
            with torch.autocast(self.share.device.type, enabled=False):  # the same, whoever asks first
                self._kept = key, self(encoder)
        return self._kept[1]


# B videos, T frames, S side in pixels, K regions of all videos, C classes, h x w grid of patches, P = h * w
# E width of the joint space

LARGEST = math.log(100)  # logit scales
GLOBAL, REGION = PARTS = ("global", "region")
HARD = "hard"
REGION_KEYS = ("boxes", "box_mask", "region_video", "region_captions")
VISUAL_KEYS = ("inputs", "valid", "boxes", "box_mask", "region_video")


@MODELS.register_module()
class FGCLIP(nn.Module):
    """Contrast of videos with captions and of regions with theirs (FG-CLIP, Xie et al., ICML 2025, over time).

    Both towers train. Frames are scored by their cosines with texts of the classes.

    A batch is {"inputs": uint8 (B, T, 3, S, S) RGB, "valid": bool (B, T), "captions": B texts, "boxes": float32
    (K, T, 4) xyxy in 0..1, "box_mask": bool (K, T), "region_video": int64 (K,), "region_captions": K texts,
    "region_negatives": K lists of texts, for `hard_weight`, "labels": int64 (B,), "counts": {name: 0-d}, which is only
    told}; K may be 0.

    Args:
        clip: arguments of `load_clip`: dict(model, pretrained, quick_gelu).
        classes: names by label.
        normal_class: the class that is no anomaly.
        prompts: {class: [text, ...]}, or a JSON file of that form; a class without any gets `template`.
        template: text of a class, its name in the place of {}.
        global_feature: config of the pooling over frames; None: the mean.
        frames: most frames of a video to learn from, for a pooling that needs to know.
        region_weight: factor of the loss of regions; with 0 they are left out.
        hard_weight: factor of a third loss, which tells the caption of a region from its `region_negatives` alone.
        duplicates: of captions that say the same, see `symmetric_contrast`.
        bank: are the texts of other classes hard negatives, more to choose from for videos and for regions?
        queue: pairs of former batches that are more to choose from; 0: none.
        queue_warmup: batches before the queue is used.
        dense: how patches are read, "value" or "full", see `DenseEncoder`.
        frame_chunk: most frames in one pass of the tower; None: all.
        recompute: None, "block" or "video", see `VideoEncoder`; captions are computed again block by block.
        context_length: tokens of a caption of a video: 77, or 248 with stretched positions; None: the tower's.
        top: patches whose mean is the score of the regions of a frame.
        region_score: share of that in the score of the frame.
    Attributes:
        watched: numbers of the last forward: loss of guessing and share of right first ranks, of both contrasts, and
            the contrast of regions before its factor; what `batch["counts"]` has, as regions_missed and so on.
        idle: {"global", "region", "hard"}: batches so far that had nothing to choose from.
    """

    open_vocabulary = True

    def __init__(
        self,
        clip,
        classes,
        *,
        normal_class="Normal",
        prompts=None,
        template="{}",
        global_feature=None,
        frames=None,
        region_weight=0.1,
        hard_weight=0.0,
        duplicates="exclude",
        bank=False,
        queue=0,
        queue_warmup=200,
        dense="value",
        frame_chunk=None,
        recompute=None,
        context_length=None,
        top=3,
        region_score=0.0,
    ):
        super().__init__()
        self.classes = [str(name) for name in classes]
        self.normal = normal_label(normal_class, self.classes)
        self.region_weight = check_number("region_weight", region_weight)
        self.hard_weight = check_number("hard_weight", hard_weight)
        if hard_weight and not region_weight:
            raise ValueError(f"hard_weight {hard_weight!r} needs regions, which region_weight=0 leaves out")
        self.duplicates = check_choice("duplicates", duplicates, DUPLICATES)
        self.top, self.region_score = check_count("top", top), check_number("region_score", region_score)
        if region_score > 1:
            raise ValueError(f"region_score {region_score!r} must be a number from 0 to 1")
        check_choice("recompute", recompute, (None, BLOCK, VIDEO))
        loaded = load_clip(**clip)
        self.clip_name, self.comes_trained = loaded.name, loaded.trained
        self.vision = VideoEncoder(
            loaded,
            global_feature,
            frames=check_count("frames", frames, optional=True),
            dense=dense,
            frame_chunk=frame_chunk,
            recompute=recompute,
        )
        if hard_weight:
            self.vision.hard_scale = nn.Parameter(self.vision.region_scale.detach().clone())
        self.text = CaptionEncoder(loaded, context_length, checkpoint=recompute is not None)
        self.text.comes_trained = loaded.trained
        self.texts, self.bank = TextBank(self.classes, template, prompts), bank
        sizes = {"size": check_count("queue", queue, lowest=0), "width": loaded.embed_dim}
        warmup = check_count("queue_warmup", queue_warmup, lowest=0)
        self.queues = nn.ModuleDict({name: FeatureQueue(**sizes, warmup=warmup) for name in PARTS if queue})
        self.idle, self.watched = dict.fromkeys((*PARTS, HARD), 0), {}

    def forward(self, batch):
        """Losses of a batch over the rows of all processes: {"global_loss", "region_loss", perhaps "hard_loss"}, 0-d.

        Raises:
            ValueError: one video, in training, with neither `bank` nor `queue`: nothing to choose from.
        """
        for name, scale in self.vision.named_parameters(recurse=False):
            if name.endswith("_scale"):
                scale.data.clamp_(max=LARGEST)  # not in the graph: no gradient would lead back from beyond
        if not self.region_weight:
            batch = {**batch, **{key: batch[key][:0] for key in REGION_KEYS}}
        found, labels = self.features(batch), batch["labels"]
        bank = self.texts(self.text) if self.bank else None
        whole = self._contrast(
            GLOBAL, found["videos"], found["captions"], texts=batch["captions"], labels=labels, bank=bank
        )
        part = self._contrast(
            REGION,
            found["regions"],
            found["region_captions"],
            texts=batch["region_captions"],
            labels=labels[batch["region_video"]],
            bank=bank,
        )
        self.watched = {f"{name}_chance": of.chance for name, of in ((GLOBAL, whole), (REGION, part))}
        self.watched |= {f"regions_{name}": mean for name, mean in batch.get("counts", {}).items()}
        self.watched |= {"global_top1": whole.top1, "region_top1": part.top1, "region_contrast": part.loss.detach()}
        losses = {"global_loss": whole.loss, "region_loss": self.region_weight * part.loss}
        if self.hard_weight:
            losses["hard_loss"] = self.hard_weight * self._hard(found, batch)
        return losses

    def features(self, batch):
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
    def predict(self, batch):
        """One `RowScores` for each run of frames, or one `CaptionFeatures` for each video with a caption.

        Args:
            batch: `inputs` (B, T, 3, S, S) uint8, `valid` (B, T) bool, `meta`, and `labels` (B,) where they are known;
                or a batch to learn from.
        Raises:
            ValueError: probabilities or features with NaN or infinite numbers; names the video.
        """
        if "captions" in batch:
            return self._caption_features(batch)
        counts = batch["valid"].sum(1).tolist()
        found = self.probabilities(batch["inputs"][batch["valid"]]).cpu()
        owners = [meta for meta, count in zip(batch["meta"], counts, strict=True) for _ in range(count)]
        check_finite([("probabilities", found, None)], owners, self)
        rows = found.split(counts)
        labels = batch["labels"].tolist() if "labels" in batch else [-1] * len(rows)
        return [RowScores(*row) for row in zip(batch["meta"], labels, (p.numpy() for p in rows), strict=True)]

    def _caption_features(self, batch):
        """One `CaptionFeatures` for each video."""
        counts = batch["region_video"].bincount(minlength=len(batch["captions"])).tolist()
        found = {name: features.cpu() for name, features in self.features(batch).items()}
        owners = [meta for meta, count in zip(batch["meta"], counts, strict=True) for _ in range(count)]
        for names, kind in ((batch["meta"], ("videos", "captions")), (owners, ("regions", "region_captions"))):
            check_finite([(f"features of {name}", found[name], None) for name in kind], names, self)
        texts = iter(batch["region_captions"])
        return [
            CaptionFeatures(meta, caption, list(islice(texts, count)), *(rows.numpy() for rows in features))
            for meta, caption, count, *features in zip(
                batch["meta"],
                batch["captions"],
                counts,
                found["videos"],
                found["captions"],
                found["regions"].split(counts),
                found["region_captions"].split(counts),
                strict=True,
            )
        ]

    @torch.no_grad()
    def probabilities(self, frames):
        """Probabilities of the classes in each frame: (T, 3, S, S) uint8 -> (T, C) float32

        With a `region_score` w they are (1 - w) of those of the whole frame and w of the mean over its `top` patches
        with the least probability of the normal class, the first of equals.
        """
        share = self.region_score
        whole, cells = self.vision.frames(frames, cells=share > 0)
        found = (1 - share) * self._softmax(whole, self.vision.logit_scale)
        if cells is not None:
            cells = self._softmax(cells, self.vision.region_scale)  # (T, P, C)
            count = min(self.top, cells.shape[1])
            # a stable sort, as topk leaves the choice among equals to the device
            least = cells[..., self.normal].sort(dim=1, stable=True).indices[:, :count, None]
            found = found + share * cells.gather(1, least.expand(-1, -1, cells.shape[2])).mean(1)
        return found

    @torch.no_grad()
    def heat_map(self, frames, name):
        """Cosine of each patch and the texts of the class `name`: (T, 3, S, S) uint8 -> (T, h, w) float32

        Raises:
            KeyError: no such class; names the nearest.
        """
        label = label_of(name, self.classes)
        if label is None:
            raise KeyError(f"no class is called {name!r}; {nearest(name, self.classes, every=True)}")
        _, cells = self.vision.frames(frames, cells=True)
        with torch.autocast(cells.device.type, enabled=False):
            found = F.normalize(cells, dim=-1) @ self.texts.kept(self.text)[label]
        return found.unflatten(1, self.vision.tower.grid)

    def branches(self):
        """What steps with its own optimizer: the visual tower with the pooling and the scales, and the text tower."""
        return {"vision": self.vision, "text": self.text}

    def check_dataset(self, dataset):
        """Raise a ValueError if the frames of `dataset` are not of the size that the tower takes.

        Logs whether wrong texts of its regions are learned from.
        """
        size, own = getattr(dataset, "size", None), self.vision.prepare.size
        if size is not None and (size, size) != own:
            raise ValueError(
                f"the frames of the dataset have {size} x {size} pixels, but {self.clip_name} takes {own[0]} x {own[1]}"
            )
        wrong = getattr(getattr(dataset, "report", None), "region_negatives", None)
        if wrong is not None:
            self._log_hard(wrong)

    def _log_hard(self, wrong):
        """Log what becomes of the `wrong` texts (their number) that regions of the annotation have."""
        if wrong and self.hard_weight:
            LOGGER.info("hard loss: %d wrong texts of regions, hard_weight=%g", wrong, self.hard_weight)
        elif wrong:
            LOGGER.info("hard loss: off; the %d wrong texts of regions are not used (hard_weight=0)", wrong)
        elif self.hard_weight:
            LOGGER.warning(
                "hard loss: 0 at hard_weight=%g, as no region has wrong texts (`short_expr_negs` or `negatives`); "
                "bank=True takes the texts of other classes", self.hard_weight,
            )  # fmt: skip

    @classmethod
    def verdicts(cls, arguments, *, batch_size):
        """Do batches of so many videos over all processes have negatives?  A list of one `CheckResult`."""
        options = [f"{name}={arguments[name]!r}" for name in ("bank", "queue") if arguments.get(name)]
        captions = videos = batch_size + arguments.get("queue", 0)  # to choose from, once the queue is full
        captions += max(0, len(arguments.get("classes") or ()) - 1) if arguments.get("bank") else 0
        chance = f"ln {captions}" if captions == videos else f"(ln {captions} + ln {videos}) / 2"
        more = f", more of them by {' and '.join(options)}" if options else ""
        told = f"a video has {batch_size - 1} others as negatives{more}; guessing has the loss {chance} = "
        told += f"{math.log(captions * videos) / 2:.3f}"
        alone = "one video has nothing to be told from: its loss is 0" if batch_size < 2 and not options else ""
        hint = "solver.train.batch_size of 2 or more, model.bank=True or model.queue=128; accumulation adds none"
        return [judge("negatives", told, error=alone, hint=hint)]

    def check_negatives(self, videos):
        """ValueError for a batch of so many videos, over all processes, in which nothing tells one from another."""
        if videos < 2 and not self.queues and not self.bank:
            raise ValueError(
                f"a batch of {videos} video has no negatives: its loss is 0 and nothing learns, however many batches "
                "are accumulated; take solver.train.batch_size of 2 or more, or model.bank=True, or model.queue=128"
            )

    def training_bytes(self, videos, frames, half):
        """Bytes that a training step takes, by what they are for, see `memory.training_bytes`."""
        return training_bytes(self, videos, frames, half)

    def _softmax(self, features, scale):
        """(..., E) -> (..., C)"""
        with torch.autocast(features.device.type, enabled=False):
            cosines = F.normalize(features, dim=-1) @ self.texts.kept(self.text).T
            return (scale.clamp(max=LARGEST).exp() * cosines).softmax(-1)

    def _hard(self, found, batch):
        """Mean loss of telling captions from `region_negatives`, over the regions that have any."""
        pairs = [
            (row, text)
            for row, (caption, texts) in enumerate(
                zip(batch["region_captions"], batch["region_negatives"], strict=True)
            )
            for text in texts
            if caption_number(text) != caption_number(caption)
        ]
        regions, scale = found["regions"], self.vision.hard_scale.exp()
        owner = torch.tensor([row for row, _ in pairs], dtype=torch.int64, device=regions.device)
        wrong = F.normalize(self.text.encode([text for _, text in pairs]).float(), dim=-1)
        rows = hard_contrast(regions, found["region_captions"], wrong, owner, scale)
        counted = gather_rows((owner.bincount(minlength=len(rows)) > 0).float()).sum()
        self.watched["hard_regions"] = counted
        if not counted:
            self._idle(HARD, "a batch has no region with texts that are wrong for it (`negatives` in the caption file)")
        return gather_rows(rows).sum() / counted.clamp(min=1)

    def _contrast(self, name, first, second, *, texts, labels, bank):
        """The `Contrast` of visual features and their texts over the rows of all processes."""
        numbers = [caption_number(text) for text in texts]
        numbers = torch.tensor(numbers, dtype=torch.int64, device=labels.device)
        first, second, numbers, labels = (gather_rows(x) for x in (first, second, numbers, labels))
        queue = self.queues[name] if self.queues else None
        more_first, more_second = ([], []) if queue is None else queue.columns(numbers, self.duplicates)
        if bank is not None:
            others = labels[:, None] != torch.arange(len(bank), device=labels.device)
            more_second = [*more_second, Columns(bank, others)]
        if name == GLOBAL and self.training:
            self.check_negatives(len(first))
        scale = (self.vision.logit_scale if name == GLOBAL else self.vision.region_scale).exp()
        more = {"more_first": more_first, "more_second": more_second}
        found = symmetric_contrast(first, second, scale, numbers, duplicates=self.duplicates, **more)
        if queue is not None and self.training:
            queue.push(first, second, numbers)
        if (
            name == GLOBAL or self.region_weight
        ) and found.chance == 0:  # a single pair, or captions that all say the same
            self._idle(name, f"a batch with {len(first)} {name} pairs has no negatives")
        return found

    def _idle(self, name, why):
        """Count a batch from which one of the losses learns nothing, and say so the first time."""
        if not self.idle[name]:
            LOGGER.warning("%s: that loss is 0 (told once)", why)
        self.idle[name] += 1
