"""Samples drawn by weights: in proportion, the same for any number of processes and over an interruption."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.engine import data
from opentad_bi.engine.data import EpochSampler


def keys(sampler, processes, monkeypatch=None):
    """What each process is given."""
    found = []
    for number in range(processes):
        loaders_rank, loaders_world = data.rank, data.world_size
        data.rank, data.world_size = (lambda number=number: number), (lambda: processes)
        try:
            found.append(list(sampler))
        finally:
            data.rank, data.world_size = loaders_rank, loaders_world
    return found


@given(seed=st.integers(0, 99), weighted=st.booleans(), processes=st.sampled_from([1, 2, 4]), skip=st.integers(0, 3))
def test_processes_share_one_draw_and_an_interruption_changes_nothing(seed, weighted, processes, skip):
    weights = np.random.default_rng(seed).random(40) if weighted else None
    sampler = EpochSampler(40, 8, seed, weights)
    (whole,) = keys(sampler, 1)
    shared = keys(sampler, processes)
    assert [key for group in zip(*shared, strict=True) for key in group] == whole
    sampler.skip = skip
    assert keys(sampler, processes) == [own[skip:] for own in shared]
    if not weighted:
        assert len({index for index, _ in whole}) == len(whole)


def test_samples_come_in_proportion_to_their_weights():
    weights = torch.tensor([1.0] * 900 + [9.0] * 100)  # one class of 900, one of 100, equally likely
    sampler = EpochSampler(1000, 10, 3, weights)
    drawn = []
    for sampler.epoch in range(5):
        drawn += [index for index, _ in sampler]
    rare = sum(index >= 900 for index in drawn)
    assert len(drawn) == 5000 and 2350 < rare < 2650
    seeds = [seed for _, seed in sampler]
    assert len(set(seeds)) == len(seeds)  # a sample that comes twice is drawn anew
    never = EpochSampler(10, 5, 0, torch.tensor([1.0] * 9 + [0.0]))
    assert all(index != 9 for index, _ in never)


class Weighted:
    """A dataset whose last sample alone may be drawn."""

    sample_weights = [0.0] * 9 + [1.0]

    def __len__(self):
        return 10

    def __getitem__(self, key):
        return key[0]

    @staticmethod
    def collate(samples):
        return samples


def test_a_loader_draws_by_the_weights_of_its_dataset():
    options = {"batch_size": 2, "num_workers": 0, "accumulate": 1, "seed": 0}
    assert [i for batch in data.train_loader(Weighted(), **options) for i in batch] == [9] * 10
