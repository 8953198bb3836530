"""The fast check of the data at the start of training and test: annotation, headers of files, reach of windows."""

import logging
from collections.abc import Sequence

from ..config import dataset_config
from ..datasets.common.check import unwrap
from ..datasets.detection.check import check_dataset, check_splits
from ..datasets.detection.statistics import out_of_reach
from ..utils.checks import NOT_CHECKED, WARNING, CheckResult, has_errors, result_table
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
    if splits is None:
        splits = [name for name in (TRAIN, "val", "test") if name in cfg.dataset]
    seen, failed, passed = [], False, set()
    for split in splits:
        data = dataset_config(cfg.dataset, split)
        if data in seen:
            continue
        seen.append(data)
        with quietly(logging.ERROR):  # what building the set warns of is logged when the run builds it
            found = check_dataset(data, full=False)
        if training and split == TRAIN and not has_errors(found):
            found += check_reach(cfg)
        for result in found:
            if result.level == NOT_CHECKED and result not in passed:
                passed.add(result)
                LOGGER.info("not checked: %s: %s", result.name, result.found)
        found = [result for result in found if result.level != NOT_CHECKED]
        if found:
            LOGGER.warning("dataset check, %s\n%s", split, result_table(found))
        failed = failed or has_errors(found) or bool(found and is_strict())
    between = check_splits(cfg.dataset) if training and not failed else []
    if between:
        LOGGER.warning("dataset check, splits\n%s", result_table(between))
    failed = failed or has_errors(between) or bool(between and is_strict())
    if failed:
        raise ValueError(
            "the dataset has errors, listed above; correct them, or go on all the same with --skip_check"
            if not is_strict()
            else "the dataset has errors or warnings, listed above, which --strict makes errors; --skip_check goes on"
        )


def check_reach(cfg) -> list[CheckResult]:
    """A warning, if the windows and points of a config can learn from less than half of the actions in training."""
    plain = cfg.to_dict()
    splits = {name: unwrap(dataset_config(plain["dataset"], name))[0] for name in plain["dataset"] if name != "wrap"}
    with quietly(logging.ERROR):
        text = out_of_reach(splits, plain["model"])
    return [CheckResult("reach", WARNING, text)] * bool(text)
