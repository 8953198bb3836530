"""What every kind of component offers, and what happens where it does not.

Required methods are abstract. Everything else is optional: it stands here as a method or a value with its default. A
class of this package inherits its contract. One from elsewhere need not: `CONTRACT.of(component)` sees it through the
contract, so that what is missing has the default. An ability without a sensible default (`Windowed`,
`HeatMaps`, ...) is a protocol that `isinstance` asks for.

B batch, C classes or channels, T grid positions of a window, T_l points of level l, K prompts, N samples
"""

from __future__ import annotations

import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn
    from typing_extensions import Self

    from .utils.checks import CheckResult

Batch = dict[str, Any]  # what `collate` gives; tensors in it are moved to the device
Names = Sequence[str]
State = dict[str, "torch.Tensor"]  # {name: tensor} of a network
Losses = dict[str, Any]  # {name: 0-d tensor}, and under LOGGED perhaps {name: 0-d detached tensor}
Metrics = dict[str, dict[str, Any]]  # {direction: {name: number}}; "model" for one network
LOGGED = "logged"
Maps = Any  # an `ops.records.Prediction`, which stands above this layer


class Contract(ABC):  # noqa: B024 - the contracts below have abstract methods
    """Base of contracts with optional parts."""

    @classmethod
    def of(cls, component: object) -> Self:
        """`component`, an instance or a class, as this contract sees it: itself if it inherits, else with defaults."""
        kind = component if isinstance(component, type) else type(component)
        return cast("Self", component if issubclass(kind, cls) else _Seen(component, cls))


class _Seen:
    """A component whose class does not inherit its contract: what is missing has the contract's default."""

    def __init__(self, component: object, contract: type[Contract]) -> None:
        self._component, self._contract = component, contract

    def __getattr__(self, name: str) -> Any:
        # the one place that asks by name: a class from elsewhere shows only so what it has
        default = getattr(self._contract, name)
        if isinstance(default, types.FunctionType):
            default = types.MethodType(default, self)  # so that defaults may ask for each other
        return getattr(self._component, name, default)


class Network(Contract):
    """What a network may say of its weights: a model, one of its branches, or a backbone."""

    comes_trained: bool = False  # its constructor filled what stays frozen
    open_vocabulary: bool = False  # its weights serve other classes than those they were trained on

    def adapt_state_dict(self, state: State) -> State:
        """`state` with the key styles of other programs brought to its own; ValueError for weights it refuses."""
        return dict(state)


class Model(Network):
    """What is trained and evaluated; also an `nn.Module`."""

    classes: Names | None = None  # names by label, which must be those of the data; None: it does not know them
    watched: Mapping[str, torch.Tensor] = types.MappingProxyType({})  # earlier place of LOGGED, read in this version

    @abstractmethod
    def forward(self, batch: Batch) -> Losses:
        """Losses of a batch, {name: 0-d}, whose sum is minimised; the only call that passes through DDP.

        The entry "logged" may hold a dict of other numbers, {name: 0-d, detached}, of the same names every time: they
        are averaged and logged as the losses are, but are not part of the sum. `losses_and_logged` takes both apart.
        """

    @abstractmethod
    def predict(self, batch: Batch) -> list[Any]:
        """One result per sample, on the CPU, without gradients: what the metric's `update` takes."""

    @abstractmethod
    def branches(self) -> dict[str, nn.Module]:
        """What steps with its own optimizer, by name: {"model": self} for a single network."""

    def check_dataset(self, dataset: Any) -> None:
        """ValueError for data that it cannot work with; asked of every dataset of a run when it is built."""

    def check_weights(self, dataset: Any) -> None:
        """ValueError for training data that do not fit its weights; asked before training, once these are filled."""

    @classmethod
    def verdicts(cls, arguments: Mapping[str, Any], *, batch_size: int) -> list[CheckResult]:
        """What its constructor's `arguments` would mean for batches of that many samples over all processes."""
        return []

    def training_bytes(self, videos: int, frames: int, half: bool) -> dict[str, int]:
        """Estimated memory of a training step by what it is for; {}: no estimate.

        Args:
            videos, frames: samples of a batch, frames of each.
            half: with autocast.
        """
        return {}

    def check_trial(self, dataset: Any) -> list[CheckResult]:
        """What it finds in itself and in the data to learn from, with its weights, in evaluation mode.

        Asked by a check before training, which then runs one step.
        """
        return []

    def fills_up(self) -> bool:
        """Did the last batch lack what only later ones have, such as negatives of a queue that fills up?"""
        return False


def losses_and_logged(output: Losses) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """(losses to sum, numbers to log alone) of what `Model.forward` returned."""
    return {name: loss for name, loss in output.items() if name != LOGGED}, output.get(LOGGED, {})


def total_loss(output: Losses) -> torch.Tensor:
    """Sum of the losses that `Model.forward` returned, 0-d."""
    return cast("torch.Tensor", sum(losses_and_logged(output)[0].values()))


class Detector(Model):
    """A model of one direction whose maps a fusion can mix."""

    @abstractmethod
    def raw(self, batch: Batch) -> Maps:
        """`Prediction` of a batch: per level logits (B, C, T_l) and distances (B, 2, T_l), in strides."""

    @abstractmethod
    def losses(self, prediction: Maps, batch: Batch, track: bool = True) -> Losses:
        """Losses of a `Prediction`; `track`: count it for the running normaliser."""

    @abstractmethod
    def decode(self, prediction: Maps, batch: Batch) -> list[Any]:
        """One `ops.records.Detections` per sample."""

    @abstractmethod
    def grid(self) -> Any:
        """The `ops.records.Grid`: classes, window and points, which both detectors of a fusion must share."""

    @abstractmethod
    def restore(self, maps: torch.Tensor, mask: torch.Tensor) -> Maps:
        """`Prediction` of maps (B, C + 2, P) joined over the levels, P points in all, and the mask (B, T)."""


class Fusion(Protocol):
    """Mixes the maps of both directions; its constructor takes `grid`, the `Grid` of the detectors."""

    def forward(self, predictions: Mapping[str, Maps], lengths: torch.Tensor) -> dict[str, Maps]:
        """{"for", "back"} of `Prediction`, each in its own time, valid lengths (B,) -> the same, mixed."""


class Mixer(Protocol):
    """Mixes realigned maps of both directions; starts as their exact average.

    Its constructor may ask for `outputs` (channels of each quantity), `lengths` (points of each level) and `window`.
    """

    def forward(
        self, own: list[torch.Tensor], other: list[torch.Tensor], masks: list[torch.Tensor]
    ) -> list[torch.Tensor]:
        """Lists of (B, C, T_l) float32, zeros in the padding, masks (B, T_l) bool -> list of (B, C, T_l)."""


class Dataset(Contract):
    """Samples by index; `dataset[index, seed]` depends on both alone, `dataset[index]` on the index.

    It may also have `__getitems__(keys)`, which makes a whole batch at once, as torch's loader knows it.
    """

    classes: Names | None = None  # names by label
    videos: Sequence[Any] | None = None  # names of the videos, or records with a `name`
    dataset: Any = None  # the one that this one wraps
    sample_weights: Sequence[float] | np.ndarray | torch.Tensor | None = None  # (N,) to sample by; None: each once
    allow_overlap: bool = False  # may videos of a test set be among those that were learned from?
    feature_dim: int | None = None  # numbers in a row, where samples are features
    source: Mapping[str, Any] | None = None  # record of whoever made the features
    frames: int | None = None  # of a clip
    image_size: int | None = None  # side of the frames, in pixels
    region_negatives: int | None = None  # wrong texts of regions that the annotation has
    resizing: Any = None  # how frames come to that size
    networks: Mapping[str, str] | None = None  # {direction: digest} of the networks whose predictions it keeps

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples N."""

    @abstractmethod
    def __getitem__(self, key: Any) -> Any:
        """Sample of an index, or of (index, seed)."""

    @staticmethod
    @abstractmethod
    def collate(samples: list[Any]) -> Any:
        """A batch of a list of samples."""

    def epoch_order(self, generator: torch.Generator, unit: int) -> Sequence[int] | None:
        """Indices of an epoch in place of a random order, whole batches of `unit` first; None: a random order."""
        return None

    def video_names(self) -> list[str] | None:
        """Names of the videos as a metric knows them, or None."""
        # records of videos have a name, plain names are their own
        return [str(getattr(video, "name", video)) for video in self.videos] if self.videos else None

    @classmethod
    def verdicts(cls, arguments: Mapping[str, Any], *, full: bool = True, workers: int = 4) -> list[CheckResult] | None:
        """Check the data before training; None: there is no check, reported as "not checked".

        Args:
            arguments: of its constructor.
            full: also what takes long, such as decoding.
            workers: processes to use.
        """
        return None


def innermost(dataset: Any) -> Any:
    """The dataset inside all wrappers."""
    while (inner := Dataset.of(dataset).dataset) is not None:
        dataset = inner
    return dataset


class Metric(Contract):
    """Takes in all results of an evaluation. Its constructor may ask for `scored` (False: no labels) and `classes`."""

    classes: Names | None = None  # names by label

    @abstractmethod
    def update(self, results: list[Any]) -> None:
        """Take in what `Model.predict` gave, in the order of the dataset."""

    @abstractmethod
    def compute(self) -> Metrics:
        """{direction: {name: number}} of all results so far."""

    @abstractmethod
    def score(self, metrics: Metrics) -> float:
        """The number that selects a checkpoint; higher is better."""

    @abstractmethod
    def table(self, metrics: Metrics) -> str:
        """The numbers as text."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the results to a folder."""

    def check_videos(self, names: Iterable[str]) -> None:
        """ValueError for data whose videos it cannot evaluate; asked before the work."""

    def per_class_table(self) -> str:
        """The numbers of every class as text; "": it has none."""
        return ""


class Reader(Protocol):
    """An open video file; `datasets.readers.base.VideoReader` is the base to inherit. N asked frames."""

    fps: float

    def __len__(self) -> int:
        """Number of frames."""

    def frames(self, indices: Any) -> np.ndarray:
        """(N,) int in any order, repeats allowed -> uint8 (N, H, W, 3) RGB; never another frame in place of one."""


class Average(Contract):
    """Average of the weights: `module` is what is evaluated. Its constructor takes the live `model`."""

    module: nn.Module

    @abstractmethod
    def update(self) -> None:
        """After every iteration: move the average towards the live weights."""

    def progress(self) -> dict[str, Any] | None:
        """How far it has come, as numbers, for logs and checkpoints; {}: there is no average, None: it is not known."""
        return None

    def state_dict(self) -> dict[str, Any] | None:
        """What a resumed run needs besides the weights of `module`."""
        return self.progress()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave; the weights of `module` and of the live model are restored already."""


class Hook(Contract):
    """Acts at four points of the loop, each with the `Runner`, and does not change the numbers.

    It may read `epoch` and `iteration` (the next ones to do), `end_epoch`, `iters_per_epoch`, `losses` and `logged`
    (means over the processes) and `lrs` ({branch: one per parameter group}) of the last iteration,
    `means["losses"].values()` and `means["logged"].values()` over the epoch, `metrics` of the last evaluation, `split`,
    `classes`, `scores` ({epoch: score}) and `best`, `model`, `branches`, `ema`, `cfg`, `work_dir`, `device`, `seed`.
    To end the run it sets `stop` to a reason, the same in every process, or, where one process alone knows,
    `stop_requested = True`.
    """

    def before_train(self, runner: Any) -> None:
        """Once, after a resume and before the first iteration."""

    def after_iter(self, runner: Any) -> None:
        """After every iteration; `runner.iteration` counts it already."""

    def after_epoch(self, runner: Any) -> None:
        """After every epoch; `runner.epoch` counts it already."""

    def after_train(self, runner: Any) -> None:
        """Once, also after an error; `runner.stop` is the reason of an orderly stop."""


# abilities without a default: ask by isinstance, or of a class by issubclass


@runtime_checkable
class Windowed(Protocol):
    """A dataset whose samples are windows of videos."""

    def windows(self) -> list[tuple[str, int, int]]:
        """(video, first grid position, end) of every sample, the windows of a video one after another."""


@runtime_checkable
class ListsVideos(Protocol):
    """A dataset that can list its videos, so that training and test sets are compared."""

    def drawn(self) -> dict[str, Any]:
        """What `ops.names.describe_set` gives."""


@runtime_checkable
class CountsTruncated(Protocol):
    """A dataset with captions of videos and of regions in them."""

    def count_truncated(
        self, count_tokens: Callable[[str], int], *, caption_limit: int, region_limit: int
    ) -> dict[str, int]:
        """{"captions", "regions": texts with more tokens than the limit, "longest": tokens of the longest text}"""


@runtime_checkable
class HasSources(Protocol):
    """A dataset that knows the files of its samples."""

    def sources(self) -> dict[str, Path]:
        """{name: file}"""


@runtime_checkable
class PartialState(Protocol):
    """A network that takes what fits of the weights of another model or of other classes (`continue_from`).

    Without it `adapt_state_dict` is used, and the classes must be the same.
    """

    def partial_state(self, state: State, classes: Names | None) -> State:
        """`state` under its own names, without what belongs to other classes than its own.

        Args:
            state: {name: tensor} of the file.
            classes: names that the file gives, or None.
        """


@runtime_checkable
class Exports(Protocol):
    """A model that writes what it learned in a form for readers, for `ExportHook`."""

    def export(self, folder: Path, stage: str) -> None:
        """Write to `folder`; `stage`: "initial", "best" (so far) or "learned"."""


@runtime_checkable
class RawMaps(Protocol):
    """A pair whose raw maps can be kept, for `CachedPredictions`."""

    def raw_maps(self, batch: Batch) -> dict[str, torch.Tensor]:
        """{"for": (B, C + 2, P), "back": ...}: logits, then distances, joined over the levels, each in its own time."""

    def network_digests(self) -> dict[str, str]:
        """{direction: SHA-256 of the parameters of its detector}"""


@runtime_checkable
class HeatMaps(Protocol):
    """A model that shows where in a frame a class is."""

    def heat_map(self, frames: torch.Tensor, name: str) -> torch.Tensor:
        """(T, 3, S, S) uint8, name of a class -> (T, h, w) float32; KeyError for an unknown class."""


@runtime_checkable
class ReadsFiles(Protocol):
    """A metric that evaluates a file of predictions."""

    def compute_file(self, path: str | Path) -> Metrics:
        """What `Metric.compute` gives, of the predictions in the file."""


def sample_name(meta: Any) -> str:
    """Name of a sample in messages: the video of its `meta` record, or `meta` itself where it is a name."""
    return str(getattr(meta, "video", meta))  # names and records alike, as plugins have them
