"""ActionFormer: one network from a video to its actions (Zhang et al., ECCV 2022; end to end: AdaTAD, CVPR 2024).

B batch, C channels, K classes, T grid positions, P points of all levels
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...contracts import Detector
from ...ops.names import SINGLE
from ...ops.records import Detections, Grid, Prediction, Result
from ...ops.segments import decode_segments, select_candidates
from ...registry import BACKBONES, HEADS, MODELS, NECKS, PROJECTIONS
from ...utils.validation import check_finite, input_parts


@MODELS.register_module()
class ActionFormer(Detector, nn.Module):
    """Anchor-free single-stage detector: backbone, projection to a pyramid, neck, head.

    Args:
        projection, rpn_head: configs.
        backbone: config; without one the inputs of a batch are features (B, C, T).
        neck: config, or None.
        pre_nms_thresh: candidates must score higher than this (not with a single class).
        pre_nms_topk: most candidates of a sample, over points x classes.
        minimal_padding: in evaluation, pad a short window only as far as its outputs need instead of to
            `max_seq_len`. Same detections up to rounding, in less time.
    """

    def __init__(
        self,
        projection: dict,
        rpn_head: dict,
        *,
        backbone: dict | None = None,
        neck: dict | None = None,
        pre_nms_thresh: float = 0.001,
        pre_nms_topk: int = 2000,
        minimal_padding: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = BACKBONES.build(backbone) if backbone else None
        self.projection = PROJECTIONS.build(projection)
        width = self.projection.out_channels
        levels = len(self.projection.length_divisors)
        context = {"in_channels": width, "out_channels": width, "feat_channels": width, "num_levels": levels}
        self.neck = NECKS.build(neck, **context) if neck else None
        self.rpn_head = HEADS.build(rpn_head, **context)
        self.strides = self.rpn_head.prior_generator.strides
        if len(self.strides) != levels:
            raise ValueError(f"the head has {len(self.strides)} strides, but the projection has {levels} levels")
        self.pre_nms_thresh, self.pre_nms_topk = pre_nms_thresh, pre_nms_topk
        self.minimal_padding = minimal_padding

    def forward(self, batch: dict) -> dict[str, Tensor]:
        """Losses of a batch: {"cls_loss": 0-d, "reg_loss": 0-d}."""
        return self.losses(self.raw(batch), batch)

    def raw(self, batch: dict) -> Prediction:
        """Maps of every level.

        Args:
            batch: `inputs` frames for the backbone, or float (B, C, T) without one; `masks` (B, T) bool.
        Raises:
            ValueError: if features and masks differ in length.
        """
        x, mask = batch["inputs"], batch["masks"]
        if self.backbone is not None:
            x = self.backbone(x)
        if x.shape[-1] != mask.shape[-1]:
            raise ValueError(f"features of length {x.shape[-1]}, but masks of length {mask.shape[-1]}")
        missing = self._length(x.shape[-1]) - x.shape[-1]
        x, mask = F.pad(x, (0, missing)), F.pad(mask, (0, missing))
        features, masks = self.projection(x, mask)
        if self.neck is not None:
            features, masks = self.neck(features, masks)
        cls, reg, points = self.rpn_head(features, masks)
        return Prediction(cls=cls, reg=reg, masks=masks, points=points)

    def restore(self, maps: Tensor, mask: Tensor) -> Prediction:
        """The Prediction of maps that were joined over the levels.

        Args:
            maps: (B, K + 2, P) class logits, then distances.
            mask: (B, T) bool of the window.
        """
        classes, coarse = self.rpn_head.num_classes, max(self.strides)
        if maps.shape[1] != classes + 2:
            raise ValueError(f"maps of {maps.shape[1]} channels, but {classes} classes and two distances are expected")
        cells, rest = divmod(maps.shape[-1], sum(coarse // stride for stride in self.strides))
        padding = cells * coarse - mask.shape[-1]
        if rest or padding < 0:
            raise ValueError(
                f"maps of {maps.shape[-1]} points do not fit a window of {mask.shape[-1]} positions and levels of "
                f"strides {self.strides}"
            )
        lengths = [cells * coarse // stride for stride in self.strides]
        cls, reg = maps.split([classes, 2], dim=1)
        mask = F.pad(mask, (0, padding))
        return Prediction(
            cls=list(cls.split(lengths, dim=2)),
            reg=list(reg.split(lengths, dim=2)),
            masks=[mask[:, ::stride] for stride in self.strides],
            points=self.rpn_head.prior_generator(lengths, maps.device),
        )

    def grid(self) -> Grid:
        """Where the points lie, for a fusion."""
        points = self.rpn_head.prior_generator([1] * len(self.strides))
        return Grid(
            num_classes=self.rpn_head.num_classes,
            window=self.projection.max_seq_len,
            strides=tuple(self.strides),
            first=tuple(float(level[0, 0]) for level in points),
        )

    def losses(self, prediction: Prediction, batch: dict, track: bool = True) -> dict[str, Tensor]:
        """Losses of raw maps against `gt_segments` and `gt_labels` of the batch; `track`: see the head."""
        return self.rpn_head.losses(prediction, batch["gt_segments"], batch["gt_labels"], track)

    @torch.no_grad()
    def decode(self, prediction: Prediction, batch: dict | None = None) -> list[Detections]:
        """Candidates of every sample on its grid, by falling score, before any NMS; padding gives none.

        Returns:
            B Detections on the device of the maps.
        """
        points = torch.cat(prediction.points)
        mask = torch.cat(prediction.masks, dim=1)
        scores = torch.cat(prediction.cls, dim=2).float().sigmoid().transpose(1, 2)  # (B, P, K)
        segments = decode_segments(points, torch.cat(prediction.reg, dim=2).float().transpose(1, 2))
        return [
            select_candidates(segment[keep], score[keep], thresh=self.pre_nms_thresh, topk=self.pre_nms_topk)
            for segment, score, keep in zip(segments, scores, mask, strict=True)
        ]

    @torch.no_grad()
    def predict(self, batch: dict) -> list[Result]:
        """One Result per sample, on the CPU; ValueError for inputs or maps with NaN or infinite numbers."""
        prediction = self.raw(batch)
        check_finite([*input_parts(batch, channels=1), *prediction.parts()], batch["meta"], self)
        detections = self.decode(prediction, batch)
        return [Result(meta, {SINGLE: d.cpu()}) for meta, d in zip(batch["meta"], detections, strict=True)]

    def branches(self) -> dict[str, nn.Module]:
        """What steps with its own optimizer."""
        return {"model": self}

    def _length(self, length):
        limit, divisors = self.projection.max_seq_len, self.projection.length_divisors
        if self.minimal_padding and not self.training:
            return minimal_length(length, limit, divisors, self.strides)
        return padded_length(length, limit, divisors)


def padded_length(length: int, max_seq_len: int, divisors: Sequence[int]) -> int:
    """`max_seq_len` for what fits into it, else the next multiple of the largest of `divisors`."""
    if length <= max_seq_len:
        return max_seq_len
    step = max(divisors)
    return -(-length // step) * step


def minimal_length(length: int, max_seq_len: int, divisors: Sequence[int], strides: Sequence[int]) -> int:
    """Shortest legal length at which the outputs are those of `padded_length`.

    All that reaches a valid position from the padding is its first column on each level (normalisation gives it a
    value before the next convolution sees it). So one padded column per level is enough, and none is needed where
    the length is already `max_seq_len`.
    """
    if length >= max_seq_len:
        return padded_length(length, max_seq_len, divisors)
    coarse, step = max(strides), max(divisors)
    needed = (-(-length // coarse) + 1) * coarse
    return min(max_seq_len, -(-needed // step) * step)
