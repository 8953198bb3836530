"""Data of a run: loaders of training and evaluation, and the record of the videos that a run learned from.

Samples depend on (seed, epoch, index) alone: not on workers, processes or interruptions. A run is ended by its main
process, so the workers of a loader heed no signal but that of their parent. The record of the videos is kept in the
folder of a run and in its checkpoints; a test on videos that were learned from is an error.
"""

import contextlib
import json
import os
import pickle
import signal
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from multiprocessing.pool import ExceptionWithTraceback  # type: ignore[attr-defined]  # the stubs lack it
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch.utils.data import DataLoader, Sampler, get_worker_info
from torch.utils.data import Dataset as TorchDataset

from ..config import dataset_config
from ..contracts import Dataset, ListsVideos, sample_name
from ..errors import UserError
from ..ops.names import overlap
from ..registry import DATASETS
from ..utils.distributed import rank, world_size
from ..utils.files import read_json, write_text
from ..utils.logging import LOGGER
from ..utils.weight_files import split_spec


@contextlib.contextmanager
def held_sigterm() -> Iterator[None]:
    """Block SIGTERM in this thread, and so in every thread of the workers that are forked meanwhile.

    Packages that start threads of their own in a forked process (as loggers do) would else take the signal there.
    """
    if sys.platform == "darwin" or sys.platform == "win32":  # no `sigwaitinfo`
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def heed_parent_alone(worker: int) -> None:
    """Make this worker process deaf to Ctrl-C, and to SIGTERM unless it comes from its parent (`worker_init_fn`).

    A terminal, a job scheduler or torchrun sends both to every process of a run. A worker that died of it would
    interrupt the main process within an iteration, before that can stop in order.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "darwin" and sys.platform != "win32":  # which have no `sigwaitinfo`
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    if sys.platform != "darwin" and sys.platform != "win32":
        while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
            pass
        os._exit(0)


class EpochSampler(Sampler):
    """Shuffled (index, sampling seed) pairs of this process's part of an epoch; what fills no `unit` is dropped.

    Args:
        length: number of samples in the dataset.
        unit: samples over all processes that come together or not at all: those of an iteration, or of a micro-batch.
        seed: seed of the run.
        weights: (length,) how often each sample comes, in proportion, with replacement; None: each once.
        order: a function of a torch.Generator -> at least `length` // `unit` * `unit` indices in place of shuffling, of
            which that many are used; or None from it: shuffle.

    Set `epoch` before iterating, and `skip` to leave out the first samples of this process in that epoch.
    """

    def __init__(
        self,
        length: int,
        unit: int,
        seed: int,
        weights: Any = None,
        order: Callable[[torch.Generator], Sequence[int] | None] | None = None,
    ) -> None:
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

    def __iter__(self) -> Iterator[tuple[int, int]]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        given = self.order(generator) if self.order is not None else None
        numbers: Sequence[int]
        if given is not None:
            order = [int(index) for index in given[: self.used]]
            numbers = self._apart(order)
        elif self.weights is None:
            numbers = order = torch.randperm(self.length, generator=generator)[: self.used].tolist()
        else:
            weights = torch.as_tensor(self.weights)
            order = torch.multinomial(weights, self.used, replacement=True, generator=generator).tolist()
            numbers = range(self.used)  # a sample that comes twice has other random numbers each time
        mine = slice(rank() + self.skip * world_size(), None, world_size())
        for index, number in zip(order[mine], numbers[mine], strict=True):
            yield index, draw_seed(self.seed, self.epoch, number)

    def _apart(self, order: Sequence[int]) -> list[int]:
        """Numbers for the sampling seeds: the indices, but others where a sample comes again in the epoch."""
        if len(order) < self.used:
            raise ValueError(f"the epoch's order has {len(order)} samples; {self.used} are needed")
        seen: Counter[int] = Counter()
        numbers = []
        for index in order:
            numbers.append(index + self.length * seen[index])
            seen[index] += 1
        return numbers

    def __len__(self) -> int:
        return self.used // world_size() - self.skip


def draw_seed(seed: int, epoch: int, index: int) -> int:
    """Seed of the random numbers of one sample in one epoch."""
    return (seed * 1_000_003 + epoch) * 1_000_003 + index


def build_dataset(cfg: Any, split: str) -> Any:
    """Build the dataset of `split`, inside the wrapper `cfg["wrap"]` if there is one."""
    return DATASETS.build(dataset_config(cfg, split))


def train_loader(
    dataset: Any,
    *,
    batch_size: int,
    num_workers: int,
    accumulate: int,
    seed: int,
    drop_last: bool = True,
    pin_memory: bool = False,
) -> DataLoader:
    """Loader of training micro-batches.

    Args:
        dataset: a `contracts.Dataset`; samples come by its `epoch_order` or `sample_weights`, where it has them.
        batch_size: samples per micro-batch over all processes.
        accumulate: micro-batches per iteration.
        drop_last: False: the last iteration of an epoch may have fewer micro-batches.
    """
    if accumulate < 1:
        raise ValueError(f"solver.accumulate is {accumulate}; it must be at least 1")
    asked = Dataset.of(dataset)
    order = partial(asked.epoch_order, unit=batch_size)
    unit = batch_size * (accumulate if drop_last else 1)
    sampler = EpochSampler(len(dataset), unit, seed, asked.sample_weights, order)
    if batch_size % world_size():
        raise ValueError(
            f"batch_size {batch_size} is over all processes and must be divisible by {world_size()} of them"
        )
    return _loader(dataset, sampler, batch_size // world_size(), num_workers, pin_memory)


def eval_loader(
    dataset: Any, *, batch_size: int, num_workers: int, pin_memory: bool = False
) -> tuple[DataLoader, list[int]]:
    """(loader, indices): every sample exactly once over all processes, in order; `indices` are this process's."""
    indices = list(range(rank(), len(dataset), world_size()))
    return _loader(dataset, indices, max(1, batch_size // world_size()), num_workers, pin_memory), indices


class _Batches(TorchDataset):
    """The samples of a dataset, a batch at a time, with a user's mistake in place of the batch in which one is met.

    From a worker process torch sends a text in which the message is hard to find; so the error itself is sent, with the
    traceback as its cause, and `_Loader` raises it in the main process. Bugs go torch's way.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, keys: list) -> Any:
        return _or_mistake(self._samples, keys)

    def collate(self, samples: Any) -> Any:
        """The batch of what `__getitems__` gave."""
        return samples if isinstance(samples, ExceptionWithTraceback) else _or_mistake(self.dataset.collate, samples)

    def _samples(self, keys: list) -> list:
        if isinstance(self.dataset, _FetchesBatches):
            return self.dataset.__getitems__(keys)
        return [self.dataset[key] for key in keys]


@runtime_checkable
class _FetchesBatches(Protocol):
    """A dataset that makes the samples of a batch at once, as torch's loaders ask."""

    def __getitems__(self, keys: list) -> list: ...


def _or_mistake(work: Callable, argument: Any) -> Any:
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

    def __iter__(self) -> Any:
        with held_sigterm():
            return map(_raised, super().__iter__())


def _raised(batch: Any) -> Any:
    """A batch as it is; a mistake in the place of one is raised."""
    if isinstance(batch, Exception):
        raise batch
    return batch


def _loader(
    dataset: Any, sampler: Sampler | list[int], batch_size: int, num_workers: int, pin_memory: bool
) -> DataLoader:
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


def to_device(value: Any, device: torch.device) -> Any:
    """Move every tensor in nested dicts and lists to `device`; other objects pass through."""
    if isinstance(value, torch.Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: to_device(item, device) for key, item in value.items()}
    if isinstance(value, list):
        return [to_device(item, device) for item in value]
    return value


def sample_names(batch: Any) -> list[str]:
    """Names of the samples of a batch, from the first `meta` list in it, for messages."""
    if not isinstance(batch, dict):
        return []
    if "meta" in batch:
        return [sample_name(meta) for meta in batch["meta"]]
    return next((names for value in batch.values() if (names := sample_names(value))), [])


FILE, KEY, PREVIOUS = "videos.json", "videos", "former"  # the last is a key in files of all versions
_MOST = 1 << 28  # bytes of a record


def video_record(datasets: Mapping[str, Any], previous: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """What `run_state` keeps: {"videos": uint8 tensor}, compressed JSON of {split: set, "former": sets}, or {}.

    Args:
        datasets: {split: dataset}; those that list their videos are kept, see `ops.names`.
        previous: sets that the weights a run started from had been learned from.
    """
    sets = {split: dataset.drawn() for split, dataset in datasets.items() if isinstance(dataset, ListsVideos)}
    if not sets and not previous:
        return {}
    text = json.dumps({**sets, PREVIOUS: previous}).encode()
    return {KEY: torch.frombuffer(bytearray(zlib.compress(text)), dtype=torch.uint8)}


def read_record(content: Mapping[str, Any]) -> dict[str, Any]:
    """{split: set, "former": sets} of the content of a checkpoint; {} where it has none, or none that can be read."""
    packed = content.get(KEY)
    if not isinstance(packed, torch.Tensor) or packed.dtype != torch.uint8:
        return {}
    try:
        return json.loads(zlib.decompressobj().decompress(packed.numpy().tobytes(), _MOST))
    except (zlib.error, ValueError) as error:
        LOGGER.warning("the record of the videos that were learned from cannot be read: %s", error)
        return {}


def trained_sets(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The sets that the content of a checkpoint was learned from, those of the runs before it among them."""
    return _learned(read_record(content))


def _learned(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [record[name] for name in ("train",) if name in record] + record.get(PREVIOUS, [])


def write_videos(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the record as `videos.json`, one video a line."""
    record = read_record(content)
    if not record:
        return
    sets = {split: own for split, own in record.items() if split != PREVIOUS}
    parts = []
    for split, own in sets.items():
        rows = ",\n".join(f"    {json.dumps(row, ensure_ascii=False)}" for row in own["videos"])
        about = json.dumps({"root": own["root"], "split": own["split"]}, ensure_ascii=False)[1:-1]
        parts.append(f'{json.dumps(split)}: {{{about}, "videos": [\n{rows}\n]}}')
    previous = f'"{PREVIOUS}": {json.dumps(record[PREVIOUS], ensure_ascii=False)}'
    write_text(folder / FILE, "{" + ",\n".join([*parts, previous]) + "}\n")


def check_overlap(
    content: Mapping[str, Any], spec: str | Path, dataset: Any, *, split: str, allow: bool = False
) -> None:
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
    if not isinstance(dataset, ListsVideos):
        return
    trained = trained_sets(content) or _beside(spec)
    if not trained:
        LOGGER.info("%s has no list of the videos it was trained on; they are not compared with those tested", spec)
        return
    tested = dataset.drawn()
    found = [text for own in trained if (text := overlap(own, tested))]
    if not found:
        return
    if allow or split == "train" or Dataset.of(dataset).allow_overlap:
        LOGGER.warning("%s, dataset.%s: %s", spec, split, found[0])
        return
    raise ValueError(
        f"{spec}, dataset.{split}: {found[0]}; a test needs videos that nothing was learned from. --allow-overlap, or "
        "allow_overlap=True for the config, tests all the same"
    )


def _beside(spec: str | Path) -> list[dict[str, Any]]:
    """The sets in the list that the run of a checkpoint left, or []."""
    path = Path(split_spec(str(spec))[0])
    for folder in (path.parent, path.parent.parent):
        if (folder / FILE).is_file():
            return _learned(read_json(folder / FILE, "list of videos"))
    return []
