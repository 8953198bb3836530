"""Checks of data sets, of every family: one result for each thing that can be wrong."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import message_of, some
from ...utils.arrays import float32_table, huge
from ...utils.checks import CheckResult, attempt, judge

MANY, SEVERAL = 1000, 64  # headers of arrays, and containers or files, that are read where not all are
FETCH = "get these files again, or take them out"


def unwrap(cfg: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | Path | Sequence[str | Path] | None]:
    """The dataset with the annotation in a (paired) dataset config, and the folder of reversed files or None."""
    if not isinstance(cfg, dict) or "type" not in cfg:
        raise ValueError(f"a dataset is described by a dict with the key 'type'; got {cfg!r}")
    if "dataset" not in cfg:
        return cfg, None
    inner, _ = unwrap(cfg["dataset"])
    return inner, cfg.get("back_data_path") if cfg.get("source") == "files" else None


def spread(count: int, most: int) -> Sequence[int]:
    """At most `most` of the numbers below `count`, spread evenly."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()


def try_build(name: str, build: Callable[..., Any], arguments: Mapping[str, Any]) -> tuple[Any, list[CheckResult]]:
    """The dataset and no results, or None and the result that says why it cannot be built."""
    made = []
    failed = attempt(name, lambda: made.append(build(**arguments)))
    return (made[0] if made else None), failed


def problems_of(jobs: Iterable[Callable], workers: int) -> list[str]:
    """The messages of those jobs that raise one."""

    def run(job):
        try:
            job()
        except Exception as error:  # a check goes on after whatever a damaged file causes
            return message_of(error)
        return None

    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        return [text for text in pool.map(run, jobs) if text is not None]


def check_classes(data: Any, arguments: Mapping[str, Any]) -> CheckResult:
    """How many samples each class has; in training every class should have one, unless the config says otherwise."""
    counts = np.bincount(data.labels, minlength=len(data.classes))
    empty = [name for name, count in zip(data.classes, counts, strict=True) if not count]
    text = f"{counts.min()} to {counts.max()} samples of each of {len(counts)} classes"
    fine = arguments.get("test_mode") or arguments.get("allow_missing") or arguments.get("part") == "val"
    none = f"{len(empty)} have no sample: {some(empty)}" if empty and not fine else ""
    return judge("classes", text, warning=none, hint="nothing is learned of them; look at the list or the folders")


def check_values(paths: Sequence[Path], read: Callable[[int], np.ndarray], workers: int) -> list[CheckResult]:
    """Results for the numbers of files: all finite, none huge."""
    large = [""] * len(paths)

    def look(number):
        if text := huge(float32_table(read(number), f"features {paths[number]}")):
            large[number] = f"{paths[number]} holds {text}"

    problems = problems_of([lambda n=n: look(n) for n in range(len(paths))], workers)
    bad = f"{len(problems)} files cannot be used: {some(problems)}" if problems else ""
    beyond = [text for text in large if text]
    many = f"{len(beyond)} files hold numbers that float16 cannot: {some(beyond)}" if beyond else ""
    text = f"all numbers of {len(paths)} files were read"
    return [judge("values", text, error=bad, warning=many, hint="extract these files again")]
