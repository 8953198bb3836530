"""Several metrics as one."""

from collections.abc import Sequence
from pathlib import Path

from ...contracts import Metric
from ...registry import METRICS


@METRICS.register_module()
class CombinedMetrics(Metric):
    """Feed several metrics with the same results.

    Args:
        metrics: list of descriptions of metrics.
        select: index of the metric whose `score` selects a checkpoint.
        scored: False: the metrics only take in and save results.
        classes: names by label, for those metrics that ask for them and whose description gives none.
    Raises:
        ValueError: no metrics; `select` is none of them.
    """

    def __init__(
        self, metrics: Sequence[dict], select: int = 0, scored: bool = True, *, classes: Sequence[str] | None = None
    ) -> None:
        if not isinstance(metrics, (list, tuple)) or not metrics:
            raise ValueError(f"metrics must be a list of at least one description of a metric; got {metrics!r}")
        if isinstance(select, bool) or not isinstance(select, int) or not 0 <= select < len(metrics):
            raise ValueError(f"select {select!r} is none of the metrics, numbered 0 to {len(metrics) - 1}")
        context = {"classes": classes} if classes else {}
        self.metrics = [Metric.of(METRICS.build(cfg, scored=scored, **context)) for cfg in metrics]
        self.classes = next((metric.classes for metric in self.metrics if metric.classes), None)
        self.select = select
        self._names: list[set | None] = [None] * len(metrics)  # {(direction, name)} of each metric, once computed

    def update(self, results: list) -> None:
        """Give a list of results to every metric."""
        for metric in self.metrics:
            metric.update(results)

    def compute(self) -> dict[str, dict[str, float]]:
        """The numbers of all metrics by direction; ValueError if two of them have one name."""
        merged: dict[str, dict[str, float]] = {}
        owners: dict = {}
        for i, metric in enumerate(self.metrics):
            numbers = metric.compute()
            self._names[i] = {(direction, name) for direction, values in numbers.items() for name in values}
            for direction, values in numbers.items():
                for name, value in values.items():
                    if (direction, name) in owners:
                        names = " and ".join(type(m).__name__ for m in (owners[direction, name], metric))
                        raise ValueError(f"{names} both give a number {name!r} of {direction!r}; take one of them out")
                    owners[direction, name] = metric
                    merged.setdefault(direction, {})[name] = value
        return merged

    def score(self, metrics: dict[str, dict[str, float]]) -> float:
        """The number to select a checkpoint by: that of the metric `select`."""
        return self.metrics[self.select].score(metrics)

    def table(self, metrics: dict[str, dict[str, float]]) -> str:
        """The tables of all metrics, one below the other."""
        return "\n\n".join(
            metric.table(_part(metrics, names)) for metric, names in zip(self.metrics, self._names, strict=True)
        )

    def per_class_table(self) -> str:
        """The tables per class of those metrics that have one."""
        return "\n\n".join(table for metric in self.metrics if (table := metric.per_class_table()))

    def save(self, folder: Path) -> None:
        """Write the files of all metrics."""
        for metric in self.metrics:
            metric.save(folder)


def _part(metrics, names):
    """What of the merged numbers is one metric's; all where it has not computed any here."""
    if names is None:
        return metrics
    parts = {d: {name: v for name, v in values.items() if (d, name) in names} for d, values in metrics.items()}
    return {direction: values for direction, values in parts.items() if values}
