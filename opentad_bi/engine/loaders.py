"""Data loaders whose samples depend on (seed, epoch, index) alone: not on workers, processes or interruptions."""

from collections import Counter
from functools import partial

import torch
from torch.utils.data import DataLoader, Sampler

from ..config import dataset_config
from ..registry import DATASETS
from ..utils.distributed import rank, world_size
from .worker_signals import heed_parent_alone, held_sigterm


class EpochSampler(Sampler):
    """Shuffled (index, draw seed) pairs of this process's share of an epoch; what fills no `unit` is dropped.

    Args:
        length: number of samples in the dataset.
        unit: samples over all processes that come together or not at all: those of an iteration, or of a micro-batch.
        seed: seed of the run.
        weights: (length,) how often each sample is drawn, in proportion, with replacement; None: each once.
        order: in place of shuffling, a function of a torch.Generator -> at least `length` // `unit` * `unit` indices,
            of which that many are used.

    Set `epoch` before iterating, and `skip` to leave out the first samples of this process in that epoch.
    """

    def __init__(self, length, unit, seed, weights=None, order=None):
        if unit < 1:
            raise ValueError(f"solver.train.batch_size x accumulate is {unit}; it must be at least 1")
        if length < unit:
            raise ValueError(
                f"the training set has {length} samples, fewer than one batch of {unit}; "
                "lower solver.train.batch_size or solver.accumulate"
            )
        self.length, self.seed, self.weights, self.order = length, seed, weights, order
        self.used = length // unit * unit
        self.epoch, self.skip = 0, 0

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        if self.order is not None:
            order = [int(index) for index in self.order(generator)[: self.used]]
            numbers = self._apart(order)
        elif self.weights is None:
            numbers = order = torch.randperm(self.length, generator=generator)[: self.used].tolist()
        else:
            weights = torch.as_tensor(self.weights)
            order = torch.multinomial(weights, self.used, replacement=True, generator=generator).tolist()
            numbers = range(self.used)  # a sample that comes twice is drawn anew
        mine = slice(rank() + self.skip * world_size(), None, world_size())
        for index, number in zip(order[mine], numbers[mine], strict=True):
            yield index, draw_seed(self.seed, self.epoch, number)

    def _apart(self, order):
        """Numbers to draw by: the indices, but others where a sample comes again in the epoch."""
        if len(order) < self.used:
            raise ValueError(f"the epoch's order has {len(order)} samples; {self.used} are needed")
        seen = Counter()
        numbers = []
        for index in order:
            numbers.append(index + self.length * seen[index])
            seen[index] += 1
        return numbers

    def __len__(self):
        return self.used // world_size() - self.skip


def draw_seed(seed, epoch, index):
    """Seed of the random draws of one sample in one epoch."""
    return (seed * 1_000_003 + epoch) * 1_000_003 + index


def build_dataset(cfg, split):
    """Build the dataset of `split`, inside the wrapper `cfg["wrap"]` if there is one."""
    return DATASETS.build(dataset_config(cfg, split))


def share_of_batch(batch_size, processes):
    """Samples per process of a global batch."""
    if batch_size % processes:
        raise ValueError(f"batch_size {batch_size} is over all processes and must be divisible by {processes} of them")
    return batch_size // processes


def train_loader(dataset, *, batch_size, num_workers, accumulate, seed, drop_last=True, pin_memory=False):
    """Loader of training micro-batches.

    Args:
        dataset: takes (index, seed) keys and has `collate`; with `sample_weights` (len(dataset),) that are not None,
            samples are drawn by them. With `epoch_order(generator, unit)` that gives the indices of an epoch, whole
            micro-batches of `unit` samples over all processes first, they come in that order.
        batch_size: samples per micro-batch over all processes.
        num_workers: loader processes in this process.
        accumulate: micro-batches per iteration.
        seed: seed of the run.
        drop_last: False: the last iteration of an epoch may have fewer micro-batches.
        pin_memory: page-locked batches, for a GPU.
    """
    weights = getattr(dataset, "sample_weights", None)
    if accumulate < 1:
        raise ValueError(f"solver.accumulate is {accumulate}; it must be at least 1")
    order = getattr(dataset, "epoch_order", None)
    order = None if order is None else partial(order, unit=batch_size)
    sampler = EpochSampler(len(dataset), batch_size * (accumulate if drop_last else 1), seed, weights, order)
    return _loader(dataset, sampler, share_of_batch(batch_size, world_size()), num_workers, pin_memory)


def eval_loader(dataset, *, batch_size, num_workers, pin_memory=False):
    """(loader, indices): every sample exactly once over all processes, in order; `indices` are this process's."""
    indices = list(range(rank(), len(dataset), world_size()))
    return _loader(dataset, indices, max(1, batch_size // world_size()), num_workers, pin_memory), indices


class _Loader(DataLoader):
    """A loader whose workers heed no signal but that of their parent."""

    def __iter__(self):
        with held_sigterm():
            return super().__iter__()


def _loader(dataset, sampler, batch_size, num_workers, pin_memory):
    return _Loader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=dataset.collate,
        generator=torch.Generator(),  # else every pass over the loader moves the global random state
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        worker_init_fn=heed_parent_alone,
    )


def to_device(value, device):
    """Move every tensor in nested dicts and lists to `device`; other objects pass through."""
    if isinstance(value, torch.Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: to_device(item, device) for key, item in value.items()}
    if isinstance(value, list):
        return [to_device(item, device) for item in value]
    return value


def sample_names(batch):
    """Names of the samples of a batch, from the first `meta` list in it, for messages."""
    if not isinstance(batch, dict):
        return []
    if "meta" in batch:
        return [str(getattr(meta, "video", meta)) for meta in batch["meta"]]
    return next((names for value in batch.values() if (names := sample_names(value))), [])
