"""What detectors of all kinds share: config, device, weights, and a loop over the batches of one video."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from tqdm import tqdm

from ..config import dataset_config, load_config
from ..engine.data import to_device
from ..engine.runner import autocast, precision
from ..engine.warm_start import check_same_classes, file_classes, fill, load_initial_weights
from ..ops.names import FORWARD
from ..utils.prefetch import ahead


@dataclass(frozen=True)
class LoadedModel:
    """A trained model, ready for videos.

    Args:
        model: in evaluation mode, on `device`.
        cfg: its config.
        device: where the model is.
        autocast: a function that returns the context of its precision.
    """

    model: Any  # a `contracts.Model` and nn.Module
    cfg: Config
    device: torch.device
    autocast: Callable

    @property
    def data(self) -> dict:
        """Config of how videos are seen: `dataset.test` without what is wrapped around it, as a plain dict."""
        return windows_config(self.cfg)

    @torch.no_grad()
    def predict(self, batch: dict) -> list:
        """What the model predicts for a batch on the CPU: a result per sample."""
        if "wrap" in self.cfg.dataset:
            batch = {FORWARD: batch}  # the model reverses it where it lies
        with self.autocast():
            return self.model.predict(to_device(batch, self.device))


def read_config(config: str | Path | Config, options: dict[str, Any] | None) -> Config:
    """The config at a path with `options` ({"a.b": value}), or a loaded one, which takes none (ValueError)."""
    if not isinstance(config, Config):
        return load_config(config, options)
    if options:
        raise ValueError("options take effect while a config is read; give the path of the config, or no options")
    return config


def windows_config(cfg: Config) -> dict:
    """Config of `dataset.test` without what is wrapped around it, as a plain dict."""
    splits = cfg.to_dict().get("dataset", {})
    return dataset_config({name: split for name, split in splits.items() if name != "wrap"}, "test")


def choose_device(device: str | torch.device | None) -> torch.device:
    """The device of that name; default CUDA where there is one."""
    try:
        chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise ValueError(f"invalid device {device!r}; choose cpu or cuda") from error
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {chosen}: {torch.cuda.device_count()} CUDA devices are available here; choose cpu")
    return chosen


def ready(model: Any, cfg: Config, device: torch.device) -> tuple[Any, Config, torch.device, Callable]:
    """The fields of a `LoadedModel`, the model in evaluation mode on its device."""
    dtype = precision(cfg.solver.get("amp"))
    # half precision is of no use on a CPU
    use = None if device.type == "cpu" and dtype is torch.float16 else dtype
    return model.eval().to(device), cfg, device, autocast(device, use)


def load(
    model: Any, cfg: Config, checkpoint: str | Path | None, by_branch: Mapping[str, str | Path]
) -> dict[str, list[str] | None]:
    """Fill the model from `checkpoint`, or each branch from `by_branch` or the config's `load_from`.

    Returns:
        {file: names of the classes that it gives, or None}.
    Raises:
        ValueError: files of other classes.
    """
    if checkpoint is not None:
        if by_branch:
            raise ValueError("checkpoint fills the whole model; for_checkpoint and back_checkpoint fill its branches")
        return {str(checkpoint): file_classes(fill(model, checkpoint))}
    modules = model.branches()
    for name in by_branch:
        if name not in modules:
            raise ValueError(f"weights for {name}: the model has no such branch, only {', '.join(modules)}")
    names = {}
    for name, module in modules.items():
        branch = cfg.get("branches", {}).get(name, {})
        spec = by_branch.get(name) or branch.get("load_from")
        if not spec:
            raise ValueError(
                f"there are no weights for branch {name!r}; give checkpoint, or for a pair for_checkpoint, "
                "back_checkpoint"
            )
        names[str(spec)] = file_classes(load_initial_weights(name, module, {**branch, "load_from": spec}))
    check_same_classes(names)
    return names


def batches(samples: Any, size: int) -> Iterator[dict]:
    """Batches of at most `size` samples of something that has `collate`."""
    rest = iter(samples)

    def batch():
        group = list(islice(rest, size))
        return samples.collate(group) if group else None

    return iter(batch, None)


@contextmanager
def loading(
    samples: Any, size: int, total: int, unit: str, progress: bool | str
) -> Iterator[tuple[Iterable[dict], tqdm]]:
    """(batches of a video, each made in a thread while the model has the one before; a bar of `total` units).

    Args:
        samples: of one video, with `collate`.
        size: samples of a batch.
        unit: of the bar.
        progress: show the bar; a text stands in front of it.
    """
    text = progress if isinstance(progress, str) else "detect"
    with (
        tqdm(total=total, disable=not progress, desc=text, unit=unit, leave=False) as bar,
        closing(ahead(batches(samples, size))) as loaded,
    ):
        yield loaded, bar
