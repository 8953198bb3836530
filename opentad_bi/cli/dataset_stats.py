"""Count what a data set holds, what of it the config's windows and pyramid reach, and propose settings."""

import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from ..config import dataset_config, load_config, parse_overrides, raw_config
from ..datasets.common.check import unwrap
from ..datasets.detection.statistics import (
    PERCENTILES,
    describe,
    propose,
    pyramid,
    reached,
    read_subset,
    share_inside,
    window_settings,
)
from ..evaluation.common.tables import aligned
from ..utils.files import write_json
from .common import Parser, add_config_arguments, command, make_writable

EPILOG = """
Videos are not needed: all numbers follow from the annotation. Lengths are in seconds, and in grid positions of
feature_stride frames. "inside": actions that lie wholly in one of the sliding windows. "actions" of a level: those for
which a point of that level answers in some window, by the assignment that training uses; an action may have several
levels. "points": how the points that answer for an action are spread over the levels. "unanswered": in a window, but
no point answers. "outside": in no window by the share that training asks for.

The proposal is made from the training set. Its stride is the largest at which an action of the 5th percentile spans 4
positions. Its pyramid has levels until half the length of --share of the actions ends before the last. Its window
holds such an action wherever it lies, with --context times its length on either side; more shows the network more and
costs memory. Features that are there keep their stride.
"""
FEATURE_STEPS = {"LoadFeats", "LoadWindowFeats"}


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__, EPILOG)
    add_config_arguments(cli)
    cli.add_argument("--window", type=int, metavar="T", help="grid positions of a window (default: the config's)")
    cli.add_argument("--overlap", type=float, metavar="O", help="of the sliding windows (default: the config's)")
    cli.add_argument("--share", type=float, default=0.99, help="share of the actions that the proposal must hold")
    cli.add_argument("--context", type=float, default=1.0, help="lengths of an action to be seen on either side of it")
    cli.add_argument("--out", metavar="JSON", help="write the numbers to this file")
    return cli


def run(args):
    """Count and print; returns 0."""
    if args.out:
        make_writable(Path(args.out).parent, "--out")
    cfg = load_config(args.config, parse_overrides(args.cfg_options)).to_dict()
    names = [name for name in ("train", "val", "test") if name == "train" or name in cfg["dataset"]]
    splits = {name: unwrap(dataset_config(cfg["dataset"], name))[0] for name in names}
    subsets = {name: read_subset(split) for name, split in splits.items()}
    network = detector(cfg["model"])
    windows = window_settings(splits, args.window, args.overlap)
    proposal = propose_for(subsets["train"], splits["train"], network, windows, args)
    report = {"config": args.config, **windows, "subsets": {}}
    for name, subset in subsets.items():
        report["subsets"][name] = {"name": subset.name, **describe(subset), **reach(subset, network, windows)}
    report["proposal"] = asdict(proposal) | proposed_reach(subsets["train"], network, windows, proposal)
    report["proposal"]["config"] = snippet(proposal, raw_config(args.config).to_dict(), args.config, cfg, network)
    print(text(report))
    if args.out:
        write_json(args.out, report)
    return 0


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)


def detector(model):
    """Config of the (forward) detector; ValueError if it has no points."""
    network = pyramid(model)
    if network is None:
        raise ValueError("the model has no rpn_head.prior_generator, so there is no pyramid to look at")
    return network


def attention_window(network):
    """Positions that local attention of the projection sees, at most 1 for all; the largest of its levels."""
    size = (network["projection"].get("attn_cfg") or {}).get("n_mha_win_size", -1)
    return size if isinstance(size, int) else max(size)


def propose_for(subset, split, network, windows, args):
    """Settings for the training set."""
    lengths = np.concatenate([video.segments[:, 1] - video.segments[:, 0] for video in subset.videos])
    loads_features = any(step["type"] in FEATURE_STEPS for step in split["pipeline"])
    scale = next((step["scale_factor"] for step in split["pipeline"] if step.get("scale_factor")), 1)
    return propose(
        lengths,
        [video.frames for video in subset.videos],
        share=args.share,
        context=args.context,
        overlap=windows["overlap"] or 0.5,
        unit=math.lcm(scale, split.get("sample_stride", 1)),
        stride=subset.stride if loads_features else None,
        attention=attention_window(network),
    )


def reach(subset, network, windows):
    """What windows of several sizes hold of a subset, and what the levels of the config answer for."""
    spans, positions, window = subset.spans(), subset.positions(), windows["window"]
    sizes = sorted({window // 4, window // 2, window, 2 * window} - {0})
    return {
        "inside": {str(size): share_inside(spans, positions, size, windows["overlap"]) for size in sizes},
        "levels": reached(subset, network, network["rpn_head"]["prior_generator"], windows),
    }


def proposed_reach(subset, network, windows, proposal):
    """The same of the proposal."""
    subset = replace(subset, stride=proposal.feature_stride)
    windows = {**windows, "window": proposal.window_size, "overlap": proposal.window_overlap_ratio}
    points = {"strides": proposal.strides, "regression_range": proposal.regression_range}
    points = {**network["rpn_head"]["prior_generator"], **points}
    held = share_inside(subset.spans(), subset.positions(), proposal.window_size, proposal.window_overlap_ratio)
    return {"inside": held, "levels": reached(subset, network, points, windows)}


def snippet(proposal, helpers, path, cfg, network):
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


def _set(helpers, names, value):
    """The lines that set those of the helpers that the config has; a comment where it has none."""
    found = [f"{name} = {value}" for name in names if name in helpers]
    return found or [f"# {' or '.join(names)}: {value}, where the config says it"]


def text(report):
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


def _subset_text(report, split, found):
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


def level_table(levels):
    """What each level answers for."""
    rows = [["level", "stride", "range", "actions", "points"]]
    for i, (stride, (low, high)) in enumerate(zip(levels["strides"], levels["ranges"], strict=True)):
        rows.append(
            [str(i), str(stride), f"{low:g}-{high:g}", *(_percent(levels[k][i]) for k in ("actions", "points"))]
        )
    rest = f"unanswered: {_percent(levels['unanswered'])}, outside: {_percent(levels['outside'])}"
    return f"{aligned(rows)}\n{rest}"


def _percent(share):
    return f"{100 * share:.1f} %"
