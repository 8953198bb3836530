"""The head of ActionFormer: class and distance maps at every point of a pyramid, and their losses (Zhang et al., ECCV
2022, section 3.3).

B batch, C channels, K classes, L levels, T_l points of level l, P points of all levels, N instances of a sample
"""

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...ops.records import Prediction
from ...ops.segments import assign_targets, decode_segments, level_points
from ...registry import HEADS, LOSSES, POINT_GENERATORS
from ...utils.validation import check_choice
from ..layers.conv import ConvUnit, TimeConv
from ..layers.norm import Scale

KERNEL = 3
GAP = KERNEL // 2


@POINT_GENERATORS.register_module()
class PointGenerator:
    """The points of each level.

    Args:
        strides: L distances between neighbouring points, in grid positions.
        regression_range: L pairs (low, high): how far the longer boundary of a level's instances may be.
        use_offset: points sit in the middle of their cells, at (i + 0.5) * stride, instead of at i * stride.
    """

    def __init__(
        self, strides: Sequence[int], regression_range: Sequence[tuple[float, float]], use_offset: bool = False
    ) -> None:
        if len(strides) != len(regression_range):
            raise ValueError(f"{len(strides)} strides, but {len(regression_range)} regression ranges")
        self.strides = list(strides)
        self.regression_range = [(low, high) for low, high in regression_range]
        self.shift = 0.5 if use_offset else 0.0

    def __call__(self, lengths: Sequence[int], device: torch.device | str | None = None) -> list[Tensor]:
        """L lengths T_l -> L tensors (T_l, 4), rows (position, range low, range high, stride)."""
        levels = zip(lengths, self.strides, self.regression_range, strict=True)
        return [level_points(length, stride, pair, device, self.shift) for length, stride, pair in levels]


@HEADS.register_module()
class ActionFormerHead(nn.Module):
    """Two towers of convolutions, shared by all levels: one for classes, one for distances.

    Args:
        num_classes: K.
        in_channels: C of the pyramid.
        feat_channels: width of the towers.
        num_convs: convolution units of a tower.
        cls_prior_prob: class probability that an untrained head predicts everywhere; 0 for no such bias.
        reg_prior: distance, in strides, that an untrained head predicts on average; None: what chance gives, as in the
            paper. The ReLU behind the distances can die in training from scratch; a positive one keeps it alive.
        prior_generator: config of the points.
        loss_normalizer, loss_normalizer_momentum: start and memory of the running number of positives that
            divides the losses in training; evaluation divides by the number at hand.
        center_sample: "radius": only points near the centre of an instance answer for it; "none": all inside it.
        center_sample_radius: how near, in strides.
        label_smoothing: epsilon; targets t become t (1 - epsilon) + epsilon / (K + 1).
        loss: configs `cls_loss` and `reg_loss`.
        loss_weight: factor of the regression loss; at most 0 scales it to the size of the class loss.
        filter_similar_gt: see `assign_targets`.
    """

    loss_normalizer: Tensor

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        feat_channels: int,
        *,
        prior_generator: dict,
        loss: dict,
        num_convs: int = 2,
        cls_prior_prob: float = 0.01,
        reg_prior: float | None = None,
        loss_normalizer: float = 100,
        loss_normalizer_momentum: float = 0.9,
        center_sample: str = "radius",
        center_sample_radius: float = 1.5,
        label_smoothing: float = 0.0,
        loss_weight: float = 1.0,
        filter_similar_gt: bool = True,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        sampling = check_choice("center_sample", center_sample, ("radius", "none"))
        self.radius = center_sample_radius if sampling == "radius" else None
        self.filter_similar_gt = filter_similar_gt
        self.label_smoothing, self.loss_weight = label_smoothing, loss_weight
        self.momentum = loss_normalizer_momentum
        self.register_buffer("loss_normalizer", torch.tensor(float(loss_normalizer)))
        self.prior_generator = POINT_GENERATORS.build(prior_generator)
        self.cls_loss = LOSSES.build(loss["cls_loss"])
        self.reg_loss = LOSSES.build(loss["reg_loss"])
        widths = [in_channels, *[feat_channels] * num_convs]
        self.cls_convs = _tower(widths)
        self.reg_convs = _tower(widths)
        self.cls_head = TimeConv(widths[-1], num_classes, KERNEL)
        self.reg_head = TimeConv(widths[-1], 2, KERNEL)
        self.scale = nn.ModuleList(Scale() for _ in self.prior_generator.strides)
        if cls_prior_prob > 0:
            nn.init.constant_(self.cls_head.get_parameter("bias"), math.log(cls_prior_prob / (1 - cls_prior_prob)))
        if reg_prior is not None:
            nn.init.constant_(self.reg_head.get_parameter("bias"), reg_prior)

    def forward(self, features: list[Tensor], masks: list[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Maps of all levels.

        Args:
            features: L tensors (B, C, T_l).
            masks: L tensors (B, T_l) bool.
        Returns:
            L class logits (B, K, T_l) float32, L distances (B, 2, T_l) float32 >= 0 in strides, L points (T_l, 4).
        """
        lengths = [x.shape[-1] for x in features]
        joined, mask = join_levels(features, masks, GAP)
        cls = self.cls_head(_run(self.cls_convs, joined, mask)).float()
        reg = self.reg_head(_run(self.reg_convs, joined, mask)).float()
        reg = part_levels(reg, lengths, GAP)
        reg = [scale(x).relu() for scale, x in zip(self.scale, reg, strict=True)]
        return part_levels(cls, lengths, GAP), reg, self.prior_generator(lengths, joined.device)

    def losses(
        self, prediction: Prediction, gt_segments: list[Tensor], gt_labels: list[Tensor], track: bool = True
    ) -> dict[str, Tensor]:
        """Focal loss over all points that are not padding, and segment loss over those that answer for an instance.

        In training this also moves the running normaliser.

        Args:
            prediction: Prediction of the B samples.
            gt_segments: B tensors (N, 2) on the grid.
            gt_labels: B integer tensors (N,).
            track: False leaves the running normaliser where it is, for further maps of a batch that was counted.
        Returns:
            {"cls_loss": 0-d, "reg_loss": 0-d} float32.
        """
        points = torch.cat(prediction.points)  # (P, 4)
        mask = torch.cat(prediction.masks, dim=1)  # (B, P)
        cls = torch.cat(prediction.cls, dim=2).transpose(1, 2)  # (B, P, K)
        reg = torch.cat(prediction.reg, dim=2).transpose(1, 2)  # (B, P, 2)
        target_cls, target_reg = self.targets(points, gt_segments, gt_labels)
        positive = (target_cls > 0).any(-1) & mask  # (B, P)
        normalizer = self._normalizer(positive.sum(), track)
        target_cls = target_cls * (1 - self.label_smoothing) + self.label_smoothing / (self.num_classes + 1)
        cls_loss = (self.cls_loss(cls, target_cls).sum(-1) * mask).sum() / normalizer
        # elsewhere both segments are the bare point: no gradient, and nothing that could overflow
        chosen = positive[..., None]
        predicted = decode_segments(points, torch.where(chosen, reg, 0.0))
        target = decode_segments(points, torch.where(chosen, target_reg, 0.0))
        reg_loss = (self.reg_loss(predicted, target) * positive).sum() / normalizer
        weight = self.loss_weight
        if weight <= 0:
            weight = cls_loss.detach() / reg_loss.detach().clamp(min=0.01)
        return {"cls_loss": cls_loss, "reg_loss": reg_loss * weight}

    def targets(self, points: Tensor, gt_segments: list[Tensor], gt_labels: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Class and distance targets.  (P, 4), B x (N, 2), B x (N,) -> (B, P, K), (B, P, 2)"""
        return assign_targets(
            points,
            gt_segments,
            gt_labels,
            self.num_classes,
            radius=self.radius,
            filter_similar_gt=self.filter_similar_gt,
        )

    def _normalizer(self, positives, track):
        """What divides the losses; a copy, since the buffer moves on before the gradients are taken."""
        count = positives.clamp(min=1).float()
        if not self.training:
            return count
        if track:
            with torch.no_grad():
                self.loss_normalizer.mul_(self.momentum).add_(count, alpha=1 - self.momentum)
        return self.loss_normalizer.clone()


def join_levels(features: list[Tensor], masks: list[Tensor], gap: int) -> tuple[Tensor, Tensor]:
    """Put levels one after another, each with `gap` zero columns behind it, so that shared layers run once.

    Zero columns are what a convolution pads with, so kernels up to 2 * gap + 1 see the same as on single levels, as
    long as the gaps are masked to zero between layers.

    Args:
        features: (B, C, T_l) each.
        masks: (B, T_l) bool each.
    Returns:
        (B, C, T), (B, T) bool, False in the gaps; T is the sum of all T_l + gap.
    """
    x = torch.cat([F.pad(x.transpose(1, 2), (0, 0, 0, gap)) for x in features], dim=1)
    return x.transpose(1, 2), torch.cat([F.pad(mask, (0, gap)) for mask in masks], dim=1)


def part_levels(x: Tensor, lengths: Sequence[int], gap: int) -> list[Tensor]:
    """Undo `join_levels`.  (B, C, T) -> views (B, C, T_l)"""
    return [
        part[..., :length] for part, length in zip(x.split([n + gap for n in lengths], dim=2), lengths, strict=True)
    ]


def _tower(widths):
    pairs = itertools.pairwise(widths)
    return nn.ModuleList(ConvUnit(n_in, n_out, kernel_size=KERNEL) for n_in, n_out in pairs)


def _run(tower, x, mask):
    for unit in tower:
        x, _ = unit(x, mask)
    return x
