"""A model run over a whole dataset, and the numbers that a metric gives for it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from tqdm import tqdm

from ..contracts import Metric, Metrics
from ..utils.distributed import gather_objects, is_main
from .data import eval_loader, to_device


@torch.no_grad()
def evaluate(
    model: Any,
    dataset: Any,
    metric: Metric,
    *,
    batch_size: int,
    num_workers: int,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager],
) -> Metrics:
    """Predict every sample once, over all processes, and return the metric's numbers.

    Args:
        model: a `contracts.Model`, whose `predict` is called.
        metric: sees the results in the order of the dataset.
        batch_size: samples per batch over all processes.
        autocast: a function that returns the autocast context.
    Returns:
        what `metric.compute()` gives, on every process.
    """
    training = model.training
    model.eval()
    loader, indices = eval_loader(
        dataset, batch_size=batch_size, num_workers=num_workers, pin_memory=device.type == "cuda"
    )
    results = []
    for batch in tqdm(loader, desc="predict", unit="batch", disable=not is_main(), leave=False):
        with autocast():
            results += model.predict(to_device(batch, device))
    model.train(training)
    gathered = gather_objects(list(zip(indices, results, strict=True)))
    metrics: Metrics = {}
    if is_main():
        in_order = sorted((pair for part in gathered for pair in part), key=lambda pair: pair[0])
        metric.update([result for _, result in in_order])
        metrics = metric.compute()
    return gather_objects(metrics)[0]
