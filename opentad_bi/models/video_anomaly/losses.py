"""What FG-CLIP (Xie et al., ICML 2025) learns from: videos against captions, regions against theirs and wrong ones.

B videos, K regions of all videos, N pairs of all processes, C classes, E width of the joint space
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...ops.names import caption_number
from ...utils.checks import CheckResult, judge
from ...utils.distributed import gather_rows
from ...utils.logging import LOGGER
from ...utils.validation import check_choice, check_number
from ..losses.contrast import DUPLICATES, Columns, Contrast, FeatureQueue, hard_contrast, symmetric_contrast

GLOBAL, REGION, HARD = KINDS = ("global", "region", "hard")


class FGCLIPLosses:
    """The losses of the features of a batch, over the rows of all processes.

    It has no weights; the queues are those of the model, whose checkpoints hold them.

    Args:
        queues: `FeatureQueue` of "global" and of "region" pairs of previous batches; empty: none.
        region_weight: factor of the loss of regions; 0: they are left out of the batch, see `without_regions`.
        hard_weight: factor of a third loss, of regions against their own caption and their `region_negatives` alone.
        duplicates: of captions that say the same, see `symmetric_contrast`.
        bank: do texts of classes come as more to choose from?
        lone_videos: let batches of one video pass, although nothing is learned from them.
    Attributes:
        idle: {"global", "region", "hard"}: batches so far that had nothing to choose from.
    """

    def __init__(
        self,
        queues: nn.ModuleDict,
        *,
        region_weight: float,
        hard_weight: float,
        duplicates: str,
        bank: bool,
        lone_videos: bool = False,
    ) -> None:
        self.queues, self.bank, self.lone_videos = queues, bank, lone_videos
        self.region_weight = check_number("region_weight", region_weight)
        self.hard_weight = check_number("hard_weight", hard_weight)
        if hard_weight and not region_weight:
            raise ValueError(f"hard_weight {hard_weight!r} needs regions, which region_weight=0 leaves out")
        self.duplicates = check_choice("duplicates", duplicates, DUPLICATES)
        self.idle = dict.fromkeys(KINDS, 0)

    def __call__(
        self,
        found: dict[str, Tensor],
        batch: dict,
        scales: dict[str, Tensor],
        *,
        encode: Callable[[list[str]], Tensor],
        bank: Tensor | None,
        learn: bool,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Losses, and numbers to log: chance level and share of right first ranks of both contrasts, the contrast of
        regions before its factor, regions with wrong texts, and `batch["counts"]` as regions_missed and so on.

        Args:
            found: features of length 1: "videos", "captions" (B, E), "regions", "region_captions" (K, E).
            batch: `captions`, `region_captions`, `region_negatives`, `region_video`, `labels`, see `FGCLIP`.
            scales: {"global", "region", "hard"}: logarithms of the factors of the cosines, 0-d.
            encode: texts to features (n, E), for wrong texts of regions.
            bank: (C, E) features of the classes as more to choose from, or None.
            learn: in training, queues take the pairs in, and one video alone is an error.
        Raises:
            ValueError: one video, in training, with neither bank nor queue: nothing to choose from.
        """
        labels, more = batch["labels"], {"bank": bank, "learn": learn}
        whole = self._contrast(
            GLOBAL, found["videos"], found["captions"], batch["captions"], labels, scales[GLOBAL], **more
        )
        labels = labels[batch["region_video"]]
        part = self._contrast(
            REGION, found["regions"], found["region_captions"], batch["region_captions"], labels, scales[REGION], **more
        )
        logged = {"global_chance": whole.chance, "region_chance": part.chance}
        logged |= {f"regions_{name}": mean for name, mean in batch.get("counts", {}).items()}
        logged |= {"global_top1": whole.top1, "region_top1": part.top1, "region_contrast": part.loss.detach()}
        losses = {"global_loss": whole.loss, "region_loss": self.region_weight * part.loss}
        if self.hard_weight:
            hard, logged["hard_regions"] = self._hard(found, batch, scales[HARD], encode)
            losses["hard_loss"] = self.hard_weight * hard
        return losses, logged

    def check_negatives(self, videos: int) -> None:
        """ValueError for a batch of so many videos, over all processes, in which none is a negative of another."""
        if videos < 2 and not self.queues and not self.bank and not self.lone_videos:
            raise ValueError(
                f"a batch of {videos} video has no negatives: its loss is 0 and nothing learns, however many batches "
                "are accumulated; take solver.train.batch_size of 2 or more, or model.bank=True, or model.queue=128"
            )

    def log_wrong_texts(self, count: int) -> None:
        """Log what becomes of the wrong texts of regions, `count` in all, that the annotation has."""
        if count and self.hard_weight:
            LOGGER.info("hard loss: %d wrong texts of regions, hard_weight=%g", count, self.hard_weight)
        elif count:
            LOGGER.info("hard loss: off; the %d wrong texts of regions are not used (hard_weight=0)", count)
        elif self.hard_weight:
            LOGGER.warning(
                "hard loss: 0 at hard_weight=%g, as no region has wrong texts (`short_expr_negs` or `negatives`); "
                "bank=True takes the texts of other classes", self.hard_weight,
            )  # fmt: skip

    def _contrast(self, name, first, second, texts, labels, scale, *, bank, learn) -> Contrast:
        """The `Contrast` of visual features and their texts over the rows of all processes."""
        numbers = torch.tensor([caption_number(text) for text in texts], dtype=torch.int64, device=labels.device)
        first, second, numbers, labels = (gather_rows(x) for x in (first, second, numbers, labels))
        queue = cast("FeatureQueue", self.queues[name]) if self.queues else None
        more_first, more_second = ([], []) if queue is None else queue.columns(numbers, self.duplicates)
        if bank is not None:
            others = labels[:, None] != torch.arange(len(bank), device=labels.device)
            more_second = [*more_second, Columns(bank, others)]
        if name == GLOBAL and learn:
            self.check_negatives(len(first))
        more = {"more_first": more_first, "more_second": more_second}
        found = symmetric_contrast(first, second, scale.exp(), numbers, duplicates=self.duplicates, **more)
        if queue is not None and learn:
            queue.push(first, second, numbers)
        asked = name == GLOBAL or self.region_weight
        if asked and found.chance == 0:  # a single pair, or captions that all say the same
            self._count_idle(name, f"a batch with {len(first)} {name} pairs has no negatives")
        return found

    def _hard(self, found, batch, scale, encode):
        """(mean loss of captions against `region_negatives` over the regions that have any, number of these)."""
        owner, texts = wrong_texts(batch["region_captions"], batch["region_negatives"])
        regions = found["regions"]
        owner = torch.tensor(owner, dtype=torch.int64, device=regions.device)
        wrong = F.normalize(encode(texts).float(), dim=-1)
        rows = hard_contrast(regions, found["region_captions"], wrong, owner, scale.exp())
        counted = gather_rows((owner.bincount(minlength=len(rows)) > 0).float()).sum()
        if not counted:
            text = "a batch has no region with texts that are wrong for it (`negatives` in the caption file)"
            self._count_idle(HARD, text)
        return gather_rows(rows).sum() / counted.clamp(min=1), counted

    def _count_idle(self, name, why):
        """Count a batch from which one of the losses learns nothing, and log the first."""
        if not self.idle[name]:
            LOGGER.warning("%s: that loss is 0 (logged once)", why)
        self.idle[name] += 1


def without_regions(batch: dict) -> dict:
    """The same batch with no region."""
    return {**batch, **{key: batch[key][:0] for key in ("boxes", "box_mask", "region_video", "region_captions")}}


def wrong_texts(captions: list[str], negatives: list[list[str]]) -> tuple[list[int], list[str]]:
    """(M rows, M texts) of regions and of texts that are wrong for them; none that repeats the caption.

    Args:
        captions: K texts.
        negatives: K lists of texts.
    """
    pairs = [
        (row, text)
        for row, (caption, texts) in enumerate(zip(captions, negatives, strict=True))
        for text in texts
        if caption_number(text) != caption_number(caption)
    ]
    return [row for row, _ in pairs], [text for _, text in pairs]


def check_of_negatives(arguments: Mapping[str, Any], batch_size: int) -> CheckResult:
    """Do batches of so many videos over all processes have negatives, with these arguments of `FGCLIP`?"""
    options = [f"{name}={arguments[name]!r}" for name in ("bank", "queue") if arguments.get(name)]
    captions = videos = batch_size + arguments.get("queue", 0)  # to choose from, once the queue is full
    captions += max(0, len(arguments.get("classes") or ()) - 1) if arguments.get("bank") else 0
    chance = f"ln {captions}" if captions == videos else f"(ln {captions} + ln {videos}) / 2"
    more = f", more of them by {' and '.join(options)}" if options else ""
    text = f"a video has {batch_size - 1} others as negatives{more}; the loss at chance level is {chance} = "
    text += f"{math.log(captions * videos) / 2:.3f}"
    alone = "one video has no negatives: its loss is 0" if batch_size < 2 and not options else ""
    hint = "solver.train.batch_size of 2 or more, model.bank=True or model.queue=128; accumulation adds none"
    return judge("negatives", text, error=alone, hint=hint)
