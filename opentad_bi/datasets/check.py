"""Is a data set fit for training?  Everything that can be known before the first epoch, in one list."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from ..registry import DATASETS
from ..utils.checks import OK
from .base import AnnotationDataset, number_problem
from .check_annotation import check_annotation
from .check_fit import entry_fit
from .check_media import MediaCheck

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


def check_dataset(cfg, *, full=True, workers=4, progress=None):
    """Check a dataset config: its annotation and class map, that the files are there and fit the annotation.

    Args:
        cfg: config of a dataset, or of a `PairedDataset` of one.
        full: read every file too: decode every frame, count them, look at every feature. Else the headers of some
            files are read, spread evenly over the set.
        workers: files opened at the same time.
        progress: wraps the iteration over finished files, such as `tqdm`; called with (iterable, total=).
    Returns:
        list of `Finding`, errors first; one of level "not checked" for a dataset that is neither over an annotation
        file nor brings a check of its own, see `own_verdicts`.
    """
    inner, back_data_path = unwrap(cfg)
    own = own_verdicts(inner, full=full, workers=workers)
    if own is not None:
        findings = [Finding(verdict.level, "", verdict.problem) for verdict in own if verdict.level != OK]
        return sorted(findings, key=lambda finding: finding.level)
    if name := unchecked(cfg):
        text = f"{name} is not over an annotation file, and has no `verdicts` that would check it"
        return [Finding(NOT_CHECKED, "", text)]
    arguments = dict(inner)
    del arguments["type"]
    if problem := number_problem(arguments):
        return [Finding("error", "", problem)]
    findings, entries = check_annotation(arguments)
    media = MediaCheck(arguments, back_data_path, full=full)
    findings += media.check_pipeline()
    chosen, fits = media.sample(list(entries)), []
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        jobs = [pool.submit(media.check_video, name, entry, name in chosen) for name, entry in entries.items()]
        done = as_completed(jobs)
        for job in progress(done, total=len(jobs)) if progress else done:
            found, lengths = job.result()
            findings += found
            fits += lengths
    fits += filter(None, (entry_fit(name, entry) for name, entry in entries.items()))
    findings += media.summary(sorted(fits, key=lambda fit: fit.video))
    return sorted((Finding(*row) for row in set(findings)), key=lambda f: (f.level, f.video, f.problem))


def own_verdicts(cfg, *, full=True, workers=4):
    """What a dataset's own check says: the list of `Verdict` of its `verdicts(arguments, full=, workers=)`, or None.

    Args:
        cfg: config of the dataset itself.
        full, workers: see `check_dataset`.
    """
    arguments = dict(cfg)
    cls = DATASETS.find(arguments.pop("type"))
    return cls.verdicts(arguments, full=full, workers=workers) if hasattr(cls, "verdicts") else None


def unchecked(cfg):
    """The type of a (paired) dataset config for which there is no check, else None."""
    cls = DATASETS.find(unwrap(cfg)[0]["type"])
    return None if issubclass(cls, AnnotationDataset) or hasattr(cls, "verdicts") else cls.__name__


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
