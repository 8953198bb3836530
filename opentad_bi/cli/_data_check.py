"""The fast check of the data at the start of training and test: annotation, headers of files, reach of windows."""

import logging
from collections.abc import Sequence

from ..config import dataset_config
from ..datasets.common.check import NOT_CHECKED, Finding, table, unwrap
from ..datasets.detection.check import check_dataset, check_splits
from ..datasets.detection.statistics import out_of_reach
from ..utils.logging import LOGGER, is_strict, quietly

TRAIN = "train"


def check_data(cfg, splits: Sequence[str] | None = None) -> None:
    """Log what the fast check finds in some sets; errors end the run before it starts.

    Args:
        cfg: the config.
        splits: of its `dataset`; None: those of a training, of which windows and points are looked at, too.
    Raises:
        ValueError: there are errors, or under `strictly()` warnings.
    """
    training = splits is None
    splits = [name for name in (TRAIN, "val", "test") if name in cfg.dataset] if training else splits
    seen, failed, passed = [], False, set()
    for split in splits:
        data = dataset_config(cfg.dataset, split)
        if data in seen:
            continue
        seen.append(data)
        with quietly(logging.ERROR):  # what building the set warns of is logged when the run builds it
            found = check_dataset(data, full=False)
        if training and split == TRAIN and not any(finding.level == "error" for finding in found):
            found += reach_findings(cfg)
        bare = [finding for finding in found if finding.level == NOT_CHECKED and finding.problem not in passed]
        passed |= {finding.problem for finding in bare}
        for finding in bare:
            LOGGER.info("not checked: %s", finding.problem)
        found = [finding for finding in found if finding.level != NOT_CHECKED]
        if found:
            LOGGER.warning("dataset check, %s\n%s", split, table(found))
        failed = failed or any(is_strict() or finding.level == "error" for finding in found)
    between = check_splits(cfg.dataset) if training and not failed else []
    if between:
        LOGGER.warning("dataset check, splits\n%s", table(between))
    failed = failed or any(is_strict() or finding.level == "error" for finding in between)
    if failed:
        raise ValueError(
            "the dataset has errors, listed above; correct them, or go on all the same with --skip_check"
            if not is_strict()
            else "the dataset has errors or warnings, listed above, which --strict makes errors; --skip_check goes on"
        )


def reach_findings(cfg) -> list[Finding]:
    """A warning, if the windows and points of a config can learn from less than half of the actions in training."""
    plain = cfg.to_dict()
    splits = {name: unwrap(dataset_config(plain["dataset"], name))[0] for name in plain["dataset"] if name != "wrap"}
    with quietly(logging.ERROR):
        text = out_of_reach(splits, plain["model"])
    return [Finding("warning", "", text)] * bool(text)
