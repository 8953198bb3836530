"""Features of former batches, as more to choose from (MoCo, He et al., CVPR 2020)."""

import torch
from torch import nn

from .contrast import EXCLUDE, NEGATIVES, Columns

# N pairs, Q entries so far, E width of the joint space


class FeatureQueue(nn.Module):
    """The newest pairs of features, without gradient; in the state dict, so that a resumed run goes on with them.

    Args:
        size: the most pairs it keeps.
        width: E.
        warmup: batches that only fill it: early features are soon out of date.
    """

    def __init__(self, size, width, warmup=0):
        super().__init__()
        self.size, self.warmup = size, warmup
        self.register_buffer("first", torch.zeros(size, width))
        self.register_buffer("second", torch.zeros(size, width))
        self.register_buffer("numbers", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.int64))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def columns(self, numbers, duplicates=EXCLUDE):
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
    def push(self, first, second, numbers):
        """Put pairs in the places of the oldest: (N, E), (N, E), (N,) int64."""
        first, second, numbers = (x[-self.size :] for x in (first, second, numbers))
        places = (self.pushed + torch.arange(len(numbers), device=numbers.device)) % self.size
        self.first[places], self.second[places] = first.detach().float(), second.detach().float()
        self.numbers[places] = numbers
        self.pushed += len(numbers)
        self.batches += 1
