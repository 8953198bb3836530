"""Contrastive losses between features (InfoNCE, van den Oord et al., 2018; CLIP, Radford et al., ICML 2021), and the
queue of features of previous batches as more to choose from (MoCo, He et al., CVPR 2020).

N pairs, M more columns, E width of the joint space
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EXCLUDE, SOFT, NEGATIVES = DUPLICATES = ("exclude", "soft", "negatives")


class Contrast(NamedTuple):
    """Args: loss; chance: its chance level among the columns; top1: share of first ranks that are right. All 0-d."""

    loss: Tensor
    chance: Tensor
    top1: Tensor


class Columns(NamedTuple):
    """More to choose from. Args: features: (M, E) of length 1; allowed: (N, M) bool, is it wrong for that anchor?"""

    features: Tensor
    allowed: Tensor


def symmetric_contrast(
    first: Tensor,
    second: Tensor,
    scale: Tensor,
    numbers: Tensor,
    *,
    duplicates: str = EXCLUDE,
    more_second: Sequence[Columns] = (),
    more_first: Sequence[Columns] = (),
) -> Contrast:
    """Mean of the cross-entropies of finding each one's partner, in both directions, in float32.

    Pairs with the same number say the same, so they are not negatives of each other: "exclude" leaves them out of the
    denominators; "soft" shares the target evenly among them, less the entropy of that target, so that 0 is the least.
    "negatives" takes them for wrong all the same, as plain InfoNCE does.

    Args:
        first, second: (N, E), of length 1; row i of one belongs to row i of the other.
        scale: 0-d factor of the cosines.
        numbers: (N,) int64.
        duplicates: "exclude", "soft" or "negatives".
        more_second: list of `Columns` beside `second`, which anchors of `first` must not take.
        more_first: list of `Columns` beside `first`.
    Returns:
        a `Contrast`; all zero, and connected to what was given, for N = 0.
    """
    with torch.autocast(first.device.type, enabled=False):
        first, second, scale = first.float(), second.float(), scale.float()
        if not len(first):
            zero = 0.0 * scale + first.sum() + second.sum()
            return Contrast(zero, zero.detach(), zero.detach())
        own = torch.eye(len(numbers), dtype=torch.bool, device=numbers.device)
        same = own if duplicates == NEGATIVES else numbers[:, None] == numbers
        sides = (
            _one_way(first, second, scale, same, duplicates, more_second),
            _one_way(second, first, scale, same, duplicates, more_first),
        )
        return Contrast(*(torch.stack(numbers).mean() for numbers in zip(*sides, strict=True)))


def hard_contrast(anchors: Tensor, own: Tensor, wrong: Tensor, owner: Tensor, scale: Tensor) -> Tensor:
    """Cross-entropy of telling each anchor's own text from wrong ones, in float32 (FG-CLIP, Xie et al., ICML 2025).

    Args:
        anchors, own: (N, E), of length 1.
        wrong: (M, E), of length 1.
        owner: (M,) int64, the anchor that it is wrong for.
        scale: 0-d factor of the cosines.
    Returns:
        (N,), 0 for an anchor without wrong texts.
    """
    with torch.autocast(anchors.device.type, enabled=False):
        anchors, own, wrong, scale = anchors.float(), own.float(), wrong.float(), scale.float()
        ahead = scale * (anchors[owner] * (wrong - own[owner])).sum(1)
        sums = ahead.new_zeros(len(anchors), dtype=torch.float64).index_add(0, owner, ahead.double().exp())
        return sums.log1p().float()  # float64: the exponent may be 200


def _one_way(anchors, others, scale, same, duplicates, more):
    """(loss, chance, top1) of finding the partner of each anchor."""
    own = torch.eye(len(anchors), dtype=torch.bool, device=anchors.device)
    right, allowed = (same, torch.ones_like(own)) if duplicates == SOFT else (own, own | ~same)
    if more:
        others = torch.cat([others, *(columns.features.float() for columns in more)])
        allowed = torch.cat([allowed, *(columns.allowed for columns in more)], dim=1)
        right = F.pad(right, (0, allowed.shape[1] - right.shape[1]))
    logits = (scale * anchors @ others.T).masked_fill(~allowed, -math.inf)
    entropy = right.sum(1).log()
    loss = -logits.log_softmax(1).masked_fill(~right, 0).sum(1) / right.sum(1) - entropy
    with torch.no_grad():
        chance = allowed.sum(1).log() - entropy
        top1 = right.gather(1, logits.argmax(1, keepdim=True)).float()
    return loss.mean(), chance.mean(), top1.mean()


class FeatureQueue(nn.Module):
    """The newest pairs of features, without gradient; in the state dict, so that a resumed run has them.

    Args:
        size: the most pairs it keeps.
        width: E.
        warmup: batches that only fill it: early features are soon out of date.
    """

    first: Tensor
    second: Tensor
    numbers: Tensor
    pushed: Tensor
    batches: Tensor

    def __init__(self, size: int, width: int, warmup: int = 0) -> None:
        super().__init__()
        self.size, self.warmup = size, warmup
        self.register_buffer("first", torch.zeros(size, width))
        self.register_buffer("second", torch.zeros(size, width))
        self.register_buffer("numbers", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.int64))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def columns(self, numbers: Tensor, duplicates: str = EXCLUDE) -> tuple[list[Columns], list[Columns]]:
        """What is beside the first and the second of pairs with these numbers (N,): two lists of at most one `Columns`.

        Entries with the number of a pair are not allowed for it, unless `duplicates` are "negatives". Both are copies,
        as entries are overwritten.
        """
        filled = min(int(self.pushed), self.size)
        if not filled or int(self.batches) < self.warmup:
            return [], []
        allowed = numbers[:, None] != self.numbers[:filled]
        if duplicates == NEGATIVES:
            allowed = torch.ones_like(allowed)
        return [Columns(self.first[:filled].clone(), allowed)], [Columns(self.second[:filled].clone(), allowed)]

    @torch.no_grad()
    def push(self, first: Tensor, second: Tensor, numbers: Tensor) -> None:
        """Put pairs in the places of the oldest: (N, E), (N, E), (N,) int64."""
        first, second, numbers = (x[-self.size :] for x in (first, second, numbers))
        places = (self.pushed + torch.arange(len(numbers), device=numbers.device)) % self.size
        self.first[places], self.second[places] = first.detach().float(), second.detach().float()
        self.numbers[places] = numbers
        self.pushed += len(numbers)
        self.batches += 1
