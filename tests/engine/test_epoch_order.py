"""Orders that a dataset gives for an epoch: whole micro-batches, shared by processes, resumed, drawn anew on return."""

import pytest
import torch

from opentad_bi.engine import data
from opentad_bi.engine.data import EpochSampler, draw_seed, train_loader


class Ordered:
    """Ten numbers; units hold numbers of one parity, and the rest stands at the end."""

    def __init__(self):
        self.asked = []

    def __len__(self):
        return 10

    def __getitem__(self, key):
        return key

    def epoch_order(self, generator, unit):
        self.asked.append(unit)
        units = [[p + 2 * (i + k) for k in range(unit)] for p in (0, 1) for i in range(0, 5 // unit * unit, unit)]
        order = [i for j in torch.randperm(len(units), generator=generator).tolist() for i in units[j]]
        return order + [i for i in range(10) if i not in order]

    @staticmethod
    def collate(samples):
        return samples


def batches(data, **options):
    loader = train_loader(data, **{"batch_size": 2, "num_workers": 0, "accumulate": 2, "seed": 3, **options})
    return loader, list(loader)


def test_units_are_micro_batches():
    data = Ordered()
    loader, found = batches(data)
    assert data.asked == [2] and len(found) == 4 and len(loader.sampler) == 8
    assert all(a % 2 == b % 2 and seed == draw_seed(3, 0, a) for (a, seed), (b, _) in found)
    loader.sampler.epoch = 1
    later = list(loader)
    assert later != found and all(a % 2 == b % 2 for (a, _), (b, _) in later)
    loader.sampler.epoch, loader.sampler.skip = 0, 4
    assert list(loader) == found[2:]


def test_processes_share_every_unit(monkeypatch):
    monkeypatch.setattr(data, "world_size", lambda: 2)
    shares = []
    for number in range(2):
        monkeypatch.setattr(data, "rank", lambda number=number: number)
        shares.append(batches(Ordered())[1])
    pairs = [(a[0][0], b[0][0]) for a, b in zip(*shares, strict=True)]
    assert len(pairs) == 4 and all(a % 2 == b % 2 and a != b for a, b in pairs)


def test_a_sample_that_returns_is_drawn_anew():
    sampler = EpochSampler(4, 2, 0, order=lambda generator: [3, 1, 3, 3, 0])
    keys = list(sampler)
    assert [index for index, _ in keys] == [3, 1, 3, 3] and len({seed for _, seed in keys}) == 4
    assert keys[0][1] == draw_seed(0, 0, 3)


def test_an_order_that_is_too_short():
    with pytest.raises(ValueError, match="order has 3 samples; 4 are needed"):
        list(EpochSampler(5, 2, 0, order=lambda generator: [0, 1, 2]))
