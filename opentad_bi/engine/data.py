"""Loaders of training and evaluation, their workers' signals, and the record of the videos a run learned from.

Signals in the worker processes of data loaders: a run is ended by its main process, a worker by its parent.

Data loaders whose samples depend on (seed, epoch, index) alone: not on workers, processes or interruptions.

Which videos a run learned from, in its folder and its checkpoints; a test on them is an error.
"""

import contextlib
import json
import os
import pickle
import signal
import threading
import zlib
from collections import Counter
from functools import partial
from multiprocessing.pool import ExceptionWithTraceback  # type: ignore[attr-defined]  # the stubs lack it
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from ..config import dataset_config
from ..errors import UserError
from ..ops.names import overlap
from ..registry import DATASETS
from ..utils.distributed import rank, world_size
from ..utils.files import read_json, write_text
from ..utils.logging import LOGGER
from ..utils.weight_files import split_spec


@contextlib.contextmanager
def held_sigterm():
    """Block SIGTERM in this thread, and so in every thread of the workers that are forked meanwhile.

    Packages that start threads of their own in a forked process (as loggers do) would else take the signal there.
    """
    if not hasattr(signal, "sigwaitinfo"):
        yield
        return
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def heed_parent_alone(worker):
    """Make this worker process deaf to Ctrl-C, and to SIGTERM unless it comes from its parent (`worker_init_fn`).

    A terminal, a job scheduler or torchrun sends both to every process of a run. A worker that died of it would
    interrupt the main process amid an iteration, before that can stop in order.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # not on macOS and Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_at_the_word_of_the_parent, daemon=True).start()


def _end_at_the_word_of_the_parent():
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


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


class _Batches(Dataset):
    """The samples of a dataset, a batch at a time, with a user's mistake in place of the batch in which one is met.

    From a worker process torch sends a text in which the message is hard to find; so the error itself is sent, with the
    traceback as its cause, and `_Loader` raises it in the main process. Bugs go torch's way.
    """

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __getitems__(self, keys):
        return _or_mistake(self._samples, keys)

    def collate(self, samples):
        """The batch of what `__getitems__` gave."""
        return samples if isinstance(samples, ExceptionWithTraceback) else _or_mistake(self.dataset.collate, samples)

    def _samples(self, keys):
        if isinstance(self.dataset, _FetchesBatches):
            return self.dataset.__getitems__(keys)
        return [self.dataset[key] for key in keys]


@runtime_checkable
class _FetchesBatches(Protocol):
    """A dataset that makes the samples of a batch at once, as torch's loaders ask."""

    def __getitems__(self, keys): ...


def _or_mistake(work, argument):
    """What `work(argument)` gives, or in a worker process the user's mistake that it raises, ready to be sent."""
    try:
        return work(argument)
    except Exception as error:
        mistake = UserError.of(error)
        if mistake is None or get_worker_info() is None:
            raise
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # what cannot be sent goes by its message
            return ExceptionWithTraceback(mistake, error.__traceback__)
        return ExceptionWithTraceback(error, error.__traceback__)


class _Loader(DataLoader):
    """A loader whose workers heed no signal but that of their parent, and whose users' mistakes are raised here."""

    def __iter__(self):
        with held_sigterm():
            return map(_raised, super().__iter__())


def _raised(batch):
    """A batch as it is; a mistake in the place of one is raised."""
    if isinstance(batch, Exception):
        raise batch
    return batch


def _loader(dataset, sampler, batch_size, num_workers, pin_memory):
    samples = _Batches(dataset)
    return _Loader(
        samples,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=samples.collate,
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


FILE, KEY, FORMER = "videos.json", "videos", "former"
_MOST = 1 << 28  # bytes of a record


def video_record(datasets, former):
    """What `run_state` keeps: {"videos": uint8 tensor}, compressed JSON of {split: set, "former": sets}, or {}.

    Args:
        datasets: {split: dataset}; those with `drawn()` are kept, see `ops.names`.
        former: sets that the weights a run started from had been learned from.
    """
    sets = {split: dataset.drawn() for split, dataset in datasets.items() if hasattr(dataset, "drawn")}
    if not sets and not former:
        return {}
    text = json.dumps({**sets, FORMER: former}).encode()
    return {KEY: torch.frombuffer(bytearray(zlib.compress(text)), dtype=torch.uint8)}


def read_record(content):
    """{split: set, "former": sets} of the content of a checkpoint; {} where it has none, or none that can be read."""
    packed = content.get(KEY)
    if not isinstance(packed, torch.Tensor) or packed.dtype != torch.uint8:
        return {}
    try:
        return json.loads(zlib.decompressobj().decompress(packed.numpy().tobytes(), _MOST))
    except (zlib.error, ValueError) as error:
        LOGGER.warning("the record of the videos that were learned from cannot be read: %s", error)
        return {}


def trained_sets(content):
    """The sets that the content of a checkpoint was learned from, those of the runs before it among them."""
    return _learned(read_record(content))


def _learned(record):
    return [record[name] for name in ("train",) if name in record] + record.get(FORMER, [])


def write_videos(folder, content):
    """Write the record as `videos.json`, one video a line."""
    record = read_record(content)
    if not record:
        return
    sets = {split: own for split, own in record.items() if split != FORMER}
    parts = []
    for split, own in sets.items():
        rows = ",\n".join(f"    {json.dumps(row, ensure_ascii=False)}" for row in own["videos"])
        about = json.dumps({"root": own["root"], "split": own["split"]}, ensure_ascii=False)[1:-1]
        parts.append(f'{json.dumps(split)}: {{{about}, "videos": [\n{rows}\n]}}')
    former = f'"{FORMER}": {json.dumps(record[FORMER], ensure_ascii=False)}'
    write_text(Path(folder) / FILE, "{" + ",\n".join([*parts, former]) + "}\n")


def check_overlap(content, spec, dataset, *, split, allow=False):
    """Compare the videos of `dataset` with those that a checkpoint was learned from.

    Args:
        content: of the checkpoint.
        spec: where it lies, "PATH" or "PATH:KEY"; one without a record may have the list of its run beside it.
        dataset: that is to be tested.
        split: its name in the config; a test of "train" is meant.
        allow: a warning will do.
    Raises:
        ValueError: it has videos of them, or is of another official split.
    """
    if not hasattr(dataset, "drawn"):
        return
    trained = trained_sets(content) or _beside(spec)
    if not trained:
        LOGGER.info("%s does not tell which videos it was learned from; they are not compared with those tested", spec)
        return
    tested = dataset.drawn()
    found = [text for own in trained if (text := overlap(own, tested))]
    if not found:
        return
    if allow or split == "train" or getattr(dataset, "allow_overlap", False):
        LOGGER.warning("%s, dataset.%s: %s", spec, split, found[0])
        return
    raise ValueError(
        f"{spec}, dataset.{split}: {found[0]}; a test needs videos that nothing was learned from. --allow-overlap, or "
        "allow_overlap=True for the config, tests all the same"
    )


def _beside(spec):
    """The sets in the list that the run of a checkpoint left, or []."""
    path = Path(split_spec(str(spec))[0])
    for folder in (path.parent, path.parent.parent):
        if (folder / FILE).is_file():
            return _learned(read_json(folder / FILE, "list of videos"))
    return []
