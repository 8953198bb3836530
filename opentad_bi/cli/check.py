"""Check and count the data sets of a config: every file, or what a run reads first, and what its windows reach."""

import logging
import math
from argparse import Namespace
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..config import dataset_config, load_config, parse_overrides, raw_config
from ..datasets.common.check import unwrap
from ..datasets.detection.annotation import write_class_map
from ..datasets.detection.check import check_dataset, check_splits
from ..datasets.detection.statistics import (
    PERCENTILES,
    Proposal,
    Subset,
    describe,
    out_of_reach,
    propose,
    pyramid,
    reached,
    read_subset,
    share_inside,
    window_settings,
)
from ..evaluation.common.tables import aligned
from ..utils.checks import NOT_CHECKED, WARNING, CheckResult, has_errors, result_table
from ..utils.files import write_json
from ..utils.logging import LOGGER, is_strict, quietly
from .common import make_writable

TRAIN = "train"
FEATURE_STEPS = {"LoadFeats", "LoadWindowFeats"}
GENERATED = {  # kind of `demo-data`: the folder where configs look for it
    "detection": "data/demo",
    "clips": "data/demo_clips",
    "features": "data/demo_features",
    "surveillance": "data/demo_surveillance",
}


def check(args: Namespace) -> int:
    """Check and print the results; returns 1 for errors and what cannot be checked, with --strict for any result."""
    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    splits = cfg.to_dict()["dataset"]
    names = args.split or [name for name in splits if name != "wrap"]
    datasets = {name: dataset_config(splits, name) for name in names}
    failed = False
    for name, dataset in datasets.items():
        if args.write_class_map:
            make_class_map(unwrap(dataset)[0])
        progress = partial(tqdm, desc=name, leave=False)
        results = check_dataset(dataset, full=not args.fast, workers=args.workers, progress=progress)
        if name == TRAIN and "model" in cfg and not has_errors(results):
            results += check_reach(cfg)
        print(f"{name}:\n{result_table(results)}\n")
        failed = failed or any(is_strict() or result.level != WARNING for result in results)
    return int(failed)


def make_class_map(cfg: Mapping[str, Any]) -> None:
    """Write the class map that a dataset config names, if it is not there."""
    path = Path(cfg["class_map"])
    if not path.is_file():
        classes = write_class_map(cfg["ann_file"], path)
        logging.getLogger(__name__).info("%s: %d classes written", path, len(classes))


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
        message = (
            "the dataset has errors, listed above; correct them, or go on all the same with --skip-check"
            if not is_strict()
            else "the dataset has errors or warnings, listed above, which --strict makes errors; --skip-check goes on"
        )
        raise ValueError(message + how_to_generate(cfg.dataset))


def how_to_generate(dataset: object) -> str:
    """A hint, where paths of a `dataset` are in the folder of a demonstration set that is not there; or ""."""
    text = str(dataset)
    missing = [kind for kind, folder in GENERATED.items() if f"'{folder}/" in text and not Path(folder).exists()]
    return f"; this set is generated by: opentad-bi demo-data {missing[0]}" if missing else ""


def check_reach(cfg) -> list[CheckResult]:
    """A warning, if the windows and points of a config can learn from less than half of the actions in training."""
    plain = cfg.to_dict()
    splits = {name: unwrap(dataset_config(plain["dataset"], name))[0] for name in plain["dataset"] if name != "wrap"}
    with quietly(logging.ERROR):
        text = out_of_reach(splits, plain["model"])
    return [CheckResult("reach", WARNING, text)] * bool(text)


def stats(args: Namespace) -> int:
    """Count and print; returns 0."""
    if args.out:
        make_writable(Path(args.out).parent, "--out")
    cfg = load_config(args.config, parse_overrides(args.cfg_options)).to_dict()
    names = [name for name in ("train", "val", "test") if name == "train" or name in cfg["dataset"]]
    splits = {name: unwrap(dataset_config(cfg["dataset"], name))[0] for name in names}
    subsets = {name: read_subset(split) for name, split in splits.items()}
    network = detector(cfg["model"])
    windows = window_settings(splits, args.window, args.overlap)
    proposal = propose_for(subsets["train"], splits["train"], network, windows["overlap"], args.coverage, args.context)
    report = {"config": args.config, **windows, "subsets": {}}
    for name, subset in subsets.items():
        report["subsets"][name] = {"name": subset.name, **describe(subset), **reach(subset, network, windows)}
    report["proposal"] = asdict(proposal) | proposed_reach(subsets["train"], network, windows, proposal)
    report["proposal"]["config"] = snippet(proposal, raw_config(args.config).to_dict(), args.config, cfg, network)
    print(text(report))
    if args.out:
        write_json(args.out, report)
    return 0


def detector(model: dict[str, Any]) -> dict[str, Any]:
    """Config of the (forward) detector; ValueError if it has no points."""
    network = pyramid(model)
    if network is None:
        raise ValueError(
            f"model {model.get('type')!r} has no rpn_head.prior_generator, so no pyramid whose levels can be counted; "
            "give the config of a detector"
        )
    return network


def attention_window(network: dict[str, Any]) -> int:
    """Positions that local attention of the projection sees, at most 1 for all; the largest of its levels."""
    size = (network["projection"].get("attn_cfg") or {}).get("n_mha_win_size", -1)
    return size if isinstance(size, int) else max(size)


def propose_for(
    subset: Subset, split: Mapping[str, Any], network: dict[str, Any], overlap: float, coverage: float, context: float
) -> Proposal:
    """Settings for the training set."""
    lengths = np.concatenate([video.segments[:, 1] - video.segments[:, 0] for video in subset.videos])
    loads_features = any(step["type"] in FEATURE_STEPS for step in split["pipeline"])
    scale = next((step["scale_factor"] for step in split["pipeline"] if step.get("scale_factor")), 1)
    return propose(
        lengths,
        [video.frames for video in subset.videos],
        coverage=coverage,
        context=context,
        overlap=overlap or 0.5,
        unit=math.lcm(scale, split.get("sample_stride", 1)),
        stride=subset.stride if loads_features else None,
        attention=attention_window(network),
    )


def reach(subset: Subset, network: dict[str, Any], windows: dict[str, Any]) -> dict[str, Any]:
    """What windows of several sizes hold of a subset, and what the levels of the config answer for."""
    spans, positions, window = subset.spans(), subset.positions(), windows["window"]
    sizes = sorted({window // 4, window // 2, window, 2 * window} - {0})
    return {
        "inside": {str(size): share_inside(spans, positions, size, windows["overlap"]) for size in sizes},
        "levels": reached(subset, network, network["rpn_head"]["prior_generator"], windows),
    }


def proposed_reach(
    subset: Subset, network: dict[str, Any], windows: dict[str, Any], proposal: Proposal
) -> dict[str, Any]:
    """The same of the proposal."""
    subset = replace(subset, stride=proposal.feature_stride)
    windows = {**windows, "window": proposal.window_size, "overlap": proposal.window_overlap_ratio}
    points = {"strides": proposal.strides, "regression_range": proposal.regression_range}
    points = {**network["rpn_head"]["prior_generator"], **points}
    held = share_inside(subset.spans(), subset.positions(), proposal.window_size, proposal.window_overlap_ratio)
    return {"inside": held, "levels": reached(subset, network, points, windows)}


def snippet(
    proposal: Proposal, helpers: Collection[str], path: Path | str, cfg: Mapping[str, Any], network: dict[str, Any]
) -> str:
    """The proposal as a config that is an edit of the one at `path`, in the same folder."""
    split = unwrap(dataset_config(cfg["dataset"], "train"))[0]
    kinds = {step["type"] for step in split["pipeline"]}
    lines = [f'_base_ = ["{Path(path).name}"]', ""]
    if not kinds & FEATURE_STEPS:
        lines += _set(helpers, ["feature_stride"], proposal.feature_stride // split.get("sample_stride", 1))
    lines += _set(helpers, ["trunc_len", "window_size"], proposal.window_size)
    if "LoadWindowFeats" in kinds:
        lines.append("# the features of windows of another size must be extracted anew")
    levels = len(proposal.strides)
    arch, attention = network["projection"].get("arch", (2, 2, 5)), network["projection"].get("attn_cfg") or {}
    projection = [f"arch={(*arch[:2], levels - 1)}"]
    if isinstance(attention.get("n_mha_win_size"), list | tuple):
        projection.append(f"attn_cfg=dict(n_mha_win_size={[attention_window(network)] * levels})")
    neck = [f"    neck=dict(num_levels={levels}),"] if "num_levels" in (network.get("neck") or {}) else []
    name = "detector" if "detector" in helpers else "model"
    lines += [f"{name} = dict(", f"    projection=dict({', '.join(projection)}),", *neck]
    lines += ["    rpn_head=dict(", "        prior_generator=dict(", f"            strides={proposal.strides},"]
    lines += [f"            regression_range={proposal.regression_range},", "        ),", "    ),", ")"]
    return "\n".join(lines)


def _set(helpers: Collection[str], names: Sequence[str], value: int) -> list[str]:
    """The lines that set those of the helpers that the config has; a comment where it has none."""
    found = [f"{name} = {value}" for name in names if name in helpers]
    return found or [f"# {' or '.join(names)}: {value}, where the config says it"]


def text(report: Mapping[str, Any]) -> str:
    """The report as tables."""
    parts = [_subset_text(report, split, found) for split, found in report["subsets"].items()]
    proposal = report["proposal"]
    heading = (
        f"Proposal: window {proposal['window_size']} of stride {proposal['feature_stride']}, overlap "
        f"{proposal['window_overlap_ratio']:g}, {len(proposal['strides'])} levels; "
        f"{_percent(proposal['inside'])} of the actions in training inside"
    )
    beside = f"As a config in the folder of {report['config']}:"
    return "\n\n".join([*parts, heading, level_table(proposal["levels"]), beside, proposal["config"]])


def _subset_text(report: Mapping[str, Any], split: str, found: Mapping[str, Any]) -> str:
    counts = found["counts"]
    heading = (
        f"{split}: {found['name']}, {counts['videos']} videos ({counts['videos_without_actions']} without actions), "
        f"{counts['actions']} actions, {counts['classes']} of {counts['classes_in_class_map']} classes; "
        f"{_percent(counts['overlapping_actions'])} of the actions share time with another"
    )
    names = {0: "min", 50: "median", 100: "max"}
    rows = [["", *(names.get(p, f"{p}%") for p in PERCENTILES)]]
    rows += [[what, *(f"{v:.2f}".rstrip("0").rstrip(".") for v in values.values())]
             for what, values in found["percentiles"].items()]  # fmt: skip
    inside = ", ".join(f"{size}: {_percent(share)}" for size, share in found["inside"].items())
    windows = f"windows of {report['window']}, overlap {report['overlap']:g}; actions inside one of\n  {inside}"
    return "\n\n".join([heading, aligned(rows), windows, level_table(found["levels"])])


def level_table(levels: Mapping[str, Any]) -> str:
    """What each level answers for."""
    rows = [["level", "stride", "range", "actions", "points"]]
    for i, (stride, (low, high)) in enumerate(zip(levels["strides"], levels["ranges"], strict=True)):
        rows.append(
            [str(i), str(stride), f"{low:g}-{high:g}", *(_percent(levels[k][i]) for k in ("actions", "points"))]
        )
    rest = f"unanswered: {_percent(levels['unanswered'])}, outside: {_percent(levels['outside'])}"
    return f"{aligned(rows)}\n{rest}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
