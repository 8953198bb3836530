"""What a fine-grained CLIP gives of videos: probabilities of the classes in each frame, by their texts, or features.

B videos, T frames, P patches of a frame, K regions of all videos, C classes, R texts of all classes
E width of the joint space
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...ops.records import CaptionFeatures, RowScores
from ...utils.validation import check_finite
from ..clip.towers import LARGEST_SCALE
from ..prompts.fixed_texts import class_texts
from .encoders import CaptionEncoder


class TextBank(nn.Module):
    """The mean direction of the texts of each class.

    Args:
        classes: names by label.
        template: text of a class without texts of its own, its name in the place of {}.
        texts: {class: [text, ...]}, or the path of a JSON file that holds that, or None.
    Raises:
        ValueError, KeyError, FileNotFoundError: naming the class or text that is wrong.
    """

    share: Tensor

    def __init__(
        self,
        classes: Sequence[str],
        template: str = "{}",
        texts: Mapping[str, Sequence[str]] | str | Path | None = None,
    ) -> None:
        super().__init__()
        groups = class_texts(classes, template, texts)
        self.texts = [text for group in groups for text in group]
        owner = torch.tensor([label for label, group in enumerate(groups) for _ in group])
        share = F.one_hot(owner).T.float() / owner.bincount()[:, None]
        self.register_buffer("share", share, persistent=False)  # (C, R), of rows that sum to 1
        self._kept: tuple[list, Tensor] | None = None

    def forward(self, encoder: CaptionEncoder) -> Tensor:
        """Features of length 1: -> (C, E) float32"""
        features = encoder.encode(self.texts).float()
        with torch.autocast(features.device.type, enabled=False):
            return F.normalize(self.share @ F.normalize(features, dim=1), dim=1)

    @torch.no_grad()
    def kept(self, encoder: CaptionEncoder) -> Tensor:
        """`forward` without a gradient, made anew only after the parameters of the encoder have changed."""
        key = [self.share.device, *((p.data_ptr(), p._version) for p in encoder.parameters())]
        if self._kept is None or self._kept[0] != key:
            with torch.autocast(self.share.device.type, enabled=False):  # the same, whoever asks first
                self._kept = key, self(encoder)
        return self._kept[1]


def class_probabilities(features: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    """Softmax over the classes of the cosines of features and texts: (..., E), (C, E) of length 1, 0-d -> (..., C)"""
    with torch.autocast(features.device.type, enabled=False):
        cosines = F.normalize(features, dim=-1) @ texts.T
        return (scale.clamp(max=LARGEST_SCALE).exp() * cosines).softmax(-1)


def least_normal(cells: Tensor, normal: int, top: int) -> Tensor:
    """Mean over the `top` patches with the least probability of the normal class, the first of equals.  Returns (T, C).

    Args:
        cells: (T, P, C), probabilities in each patch.
        normal: label of the normal class.
    """
    # a stable sort, as topk leaves the choice among equals to the device
    least = cells[..., normal].sort(dim=1, stable=True).indices[:, : min(top, cells.shape[1]), None]
    return cells.gather(1, least.expand(-1, -1, cells.shape[2])).mean(1)


def row_scores(probabilities: Tensor, batch: dict, model: nn.Module) -> list[RowScores]:
    """One `RowScores` for each run of frames.

    Args:
        probabilities: (N, C) on the CPU, of the frames that are `valid` in the batch.
        batch: `valid` (B, T), `meta`, and `labels` (B,) where they are known.
        model: to name a parameter that is not finite.
    Raises:
        ValueError: NaN or infinite numbers; names the video.
    """
    counts = batch["valid"].sum(1).tolist()
    check_finite([("probabilities", probabilities, None)], _owners(batch["meta"], counts), model)
    rows = probabilities.split(counts)
    labels = batch["labels"].tolist() if "labels" in batch else [-1] * len(rows)
    return [RowScores(*row) for row in zip(batch["meta"], labels, (p.numpy() for p in rows), strict=True)]


def caption_features(found: dict[str, Tensor], batch: dict, model: nn.Module) -> list[CaptionFeatures]:
    """One `CaptionFeatures` for each video of a batch to learn from.

    Args:
        found: what `FGCLIP.features` gives, on the CPU.
        batch: with `captions`, `region_captions`, `region_video` and `meta`.
        model: to name a parameter that is not finite.
    Raises:
        ValueError: NaN or infinite numbers; names the video.
    """
    counts = batch["region_video"].bincount(minlength=len(batch["captions"])).tolist()
    owners = _owners(batch["meta"], counts)
    for names, kinds in ((batch["meta"], ("videos", "captions")), (owners, ("regions", "region_captions"))):
        check_finite([(f"features of {kind}", found[kind], None) for kind in kinds], names, model)
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


def _owners(metas, counts):
    """The record of the video of each row."""
    return [meta for meta, count in zip(metas, counts, strict=True) for _ in range(count)]
