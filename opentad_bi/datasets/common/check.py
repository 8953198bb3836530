"""Checks of data sets, of every family: one result for each thing that can be wrong."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ...errors import some
from ...utils.arrays import float32_table, huge
from ...utils.checks import attempt, judge

MANY, SEVERAL = 1000, 64  # headers of arrays, and containers or files, that are read where not all are
FETCH = "get these files again, or take them out"


NOT_CHECKED = "not checked"  # the level of what nobody has looked at


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Args:
        level: "error": training or evaluation fails or is wrong. "warning": may be. "not checked": not known.
        video: name of the video, or "" if it is not about one.
        problem: what is wrong, with the value, in one line.
    """

    level: str
    video: str
    problem: str


def unwrap(cfg):
    """The dataset with the annotation in a (paired) dataset config, and the folder of reversed files or None."""
    if not isinstance(cfg, dict) or "type" not in cfg:
        raise ValueError(f"a dataset is described by a dict with the key 'type'; got {cfg!r}")
    if "dataset" not in cfg:
        return cfg, None
    inner, _ = unwrap(cfg["dataset"])
    return inner, cfg.get("back_data_path") if cfg.get("source") == "files" else None


def table(findings):
    """The findings as text: one line each, and a line that counts them."""
    width = max((len(finding.video) for finding in findings), default=0)
    lines = [f"{f.level:<{11 if f.level == NOT_CHECKED else 7}}  {f.video:<{width}}  {f.problem}" for f in findings]
    counts = Counter(finding.level for finding in findings)
    told = [f"{counts[level]} {level}{'s' * (counts[level] != 1)}" for level in ("error", "warning")]
    told += [NOT_CHECKED] * bool(counts[NOT_CHECKED])
    return "\n".join([*lines, ", ".join(told)])


def unreadable(data: Sequence, workers: int = 4) -> list[str]:
    """What is wrong with those samples of a dataset that cannot be read."""
    return _problems([lambda n=n: data[n] for n in range(len(data))], workers)


def spread(count: int, most: int) -> Sequence[int]:
    """At most `most` of the numbers below `count`, spread evenly."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()


def _built(name, build, arguments):
    """The dataset and None, or None and the verdict on why it cannot be built."""
    made = []
    failed = attempt(name, lambda: made.append(build(**arguments)))
    return (None, failed) if failed else (made[0], None)


def _problems(jobs: Iterable[Callable], workers: int) -> list[str]:
    """The messages of those jobs that raise one."""

    def run(job):
        try:
            job()
        except Exception as error:  # a check goes on after whatever a damaged file causes
            text = str(error.args[0] if isinstance(error, KeyError) and error.args else error).strip()
            return text or type(error).__name__
        return None

    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        return [text for text in pool.map(run, jobs) if text is not None]


def _classes(data, arguments):
    """How many samples each class has; in training every class should have one, unless the config says otherwise."""
    counts = np.bincount(data.labels, minlength=len(data.classes))
    empty = [name for name, count in zip(data.classes, counts, strict=True) if not count]
    told = f"{counts.min()} to {counts.max()} samples of each of {len(counts)} classes"
    fine = arguments.get("test_mode") or arguments.get("allow_missing") or arguments.get("part") == "val"
    none = f"{len(empty)} have no sample: {some(empty)}" if empty and not fine else ""
    return judge("classes", told, warning=none, cure="nothing is learned of them; look at the list or the folders")


def _values(paths, read, workers):
    """Verdicts on the numbers of files: all finite, none huge."""
    large = [""] * len(paths)

    def look(number):
        if text := huge(float32_table(read(number), f"features {paths[number]}")):
            large[number] = f"{paths[number]} holds {text}"

    problems = _problems([lambda n=n: look(n) for n in range(len(paths))], workers)
    bad = f"{len(problems)} files cannot be used: {some(problems)}" if problems else ""
    beyond = [text for text in large if text]
    many = f"{len(beyond)} files hold numbers that float16 cannot: {some(beyond)}" if beyond else ""
    told = f"all numbers of {len(paths)} files were read"
    return [judge("values", told, error=bad, warning=many, cure="extract these files again")]
