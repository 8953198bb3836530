"""Extract features of whole videos by the backbone of a detector: DIR/for/*.npy and DIR/back/*.npy."""

import contextlib
import json
from pathlib import Path

from ..apis.common import windows_config
from ..config import load_config, parse_overrides
from ..datasets.common.feature_files import replaced_sources
from ..datasets.readers.base import find_video
from ..engine import Runner
from ..engine.inference import VideoRows, Windows, extract, feature_file
from ..engine.warm_start import fill
from ..ops.names import PAIR
from ..registry import DATASETS, nearest
from ..utils.distributed import close_distributed, setup_distributed
from ..utils.logging import LOGGER, setup_logging
from ..utils.provenance import check_record, named, write_records
from ..utils.weight_files import weights_digest
from .common import Parser, add_config_arguments, add_device_arguments, command, make_writable

EPILOG = """
The videos are those of dataset.test in the config, read through its sliding windows and its pipeline. A pair gives each
direction from its own network. DIR/for.json and DIR/back.json say what made the files; finished files are kept, and a
run with other settings is refused without --overwrite. After an interruption the same command goes on, an --overwrite
from the beginning.

Without --windows, a file is one row per position, (n, C). Where windows overlap, a position is taken from the window in
whose middle it lies best. Row i of DIR/for/NAME.npy is grid position i; row j of DIR/back/NAME.npy is the output on the
reversed frames at position n - 1 - j.

With --windows, a file is every window as the network gives it, padding included, (W, T, C); DIR/back/NAME.npy holds
the reversed windows in their own order, and NAME.json the first position and the valid length of each. A backbone's
output depends on the whole of its window, so this form alone gives the rest of the detector what it gets end to end:
read it by LoadWindowFeats in a ThumosSlidingDataset of the same window_size and window_overlap_ratio, as
configs/demo/pair_features.py does.

The rest of the detector starts where an end-to-end checkpoint left off with (CHECKPOINT may be one of the pair)

    python tools/train.py CONFIG --cfg-options branches.model.load_from=CHECKPOINT
    python tools/train_exp_2.py CONFIG --for_resume CHECKPOINT --back_resume CHECKPOINT

where CONFIG is the one without a backbone, and its branches have load_unexpected=["backbone.*"].
"""

FORM = {"form": VideoRows.name, "dtype": "float32"}  # of a record that does not say


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__, EPILOG)
    add_config_arguments(cli)
    cli.add_argument(
        "weights",
        nargs="?",
        metavar="checkpoint",
        help="PATH or PATH:KEY of the network (default: the branch's weights)",
    )
    add_device_arguments(cli)
    cli.add_argument("--out", required=True, metavar="DIR", help="folder of the features")
    cli.add_argument("--windows", action="store_true", help="every window as it is, instead of one row per position")
    cli.add_argument("--dtype", choices=("float32", "float16"), default="float32", help="of the files")
    cli.add_argument("--checkpoint", metavar="P", help="the same as the second word")
    cli.add_argument("--branch", metavar="NAME", help="network that makes every direction")
    cli.add_argument("--direction", choices=(*PAIR, "both"), default="both", help="which files")
    cli.add_argument("--subset", nargs="+", metavar="S", help="subsets of the annotation (default: all of the config)")
    cli.add_argument("--overwrite", action="store_true", help="make files again that are there")
    return cli


def one_checkpoint(args):
    """The checkpoint that is named as the second word or by --checkpoint, or None; ValueError if they differ."""
    if args.weights and args.checkpoint and args.weights != args.checkpoint:
        raise ValueError(f"two checkpoints are named: {args.weights} and --checkpoint {args.checkpoint}")
    return args.weights or args.checkpoint


def windows_to_see(cfg, subset):
    """Config of dataset.test over the given subsets, or over all that the config names."""
    names = []
    for name, split in cfg.dataset.items():
        if name != "wrap":
            names += [split["subset_name"]] if isinstance(split["subset_name"], str) else split["subset_name"]
    return {**windows_config(cfg), "subset_name": list(subset or dict.fromkeys(names)), "test_mode": True}


def build_windows(cfg):
    """The dataset; ValueError if it has no windows of videos."""
    dataset = DATASETS.build(cfg)
    if not hasattr(dataset, "windows"):
        raise ValueError(f"dataset.test is a {cfg['type']}; features are made over the windows of a sliding dataset")
    return dataset


def choose_branches(cfg, directions, branch):
    """{direction: name of the branch that makes it}."""
    if branch is not None and branch not in cfg.branches:
        raise ValueError(f"--branch {branch!r}: the config has no such branch; {nearest(branch, cfg.branches)}")
    single = branch or (next(iter(cfg.branches)) if len(cfg.branches) == 1 else None)
    return {direction: single or f"{direction}_model" for direction in directions}


def load(runner, chosen, checkpoint):
    """Fill the networks from a checkpoint of the whole model, or each from its branch's `load_from` or `pretrained`."""
    if checkpoint:
        fill(runner.model, checkpoint)
        return dict.fromkeys(chosen.values(), checkpoint)
    specs = {}
    for name in dict.fromkeys(chosen.values()):
        branch = runner.branches[name]
        specs[name] = branch.cfg.get("load_from") or (branch.cfg.get("pretrained") or {}).get("path")
        if not specs[name]:
            raise ValueError(
                f"there are no weights for branch {name!r}; name a checkpoint behind the config, or set "
                f"branches.{name}.load_from"
            )
        branch.load_initial_weights()
    return specs


def backbone_of(network, name):
    """The backbone of a branch; ValueError if its detector takes features."""
    backbone = getattr(network, "backbone", None)
    if backbone is None:
        raise ValueError(f"the network of branch {name!r} has no backbone; it takes features already")
    return backbone


def describe(cfg, windows, name, backbone):
    """What the features of one direction depend on, as it reads back from JSON; `cfg` is a plain dict."""
    model = cfg["model"].get(name, cfg["model"])
    names = ("ann_file", "data_path", "window_size", "window_overlap_ratio", "feature_stride", "sample_stride")
    more = ("offset_frames", "fps", "reference_windows", "pipeline")
    seen = {key: windows[key] for key in (*names, *more) if key in windows}
    made = {"branch": name, "weights_sha256": weights_digest(backbone.state_dict()), "amp": cfg["solver"].get("amp")}
    return json.loads(json.dumps({**made, "backbone": model["backbone"], "dataset": seen}))


def sources_of(dataset):
    """{video: its file} of a dataset of windows of videos."""
    found = {}
    for name in dict.fromkeys(name for name, _, _ in dataset.windows()):
        with contextlib.suppress(FileNotFoundError):  # the pipeline says so, if it needs one
            found[name] = find_video(dataset.data_path, name, dataset.file_format)
    return found


def remove_replaced(out, directions, sources):
    """Remove features of videos that are others now, so that they are made anew; a warning tells which."""
    again, features = {}, [{name: feature_file(out, direction, name) for name in sources} for direction in directions]
    for own in features:
        again |= replaced_sources({name: path for name, path in own.items() if path.is_file()}, sources)
    if again:
        text = "%s: %d videos were replaced since their features were made, which are made anew: %s"
        LOGGER.warning(text, out, len(again), named(again))
    for name in again:
        for own in features:
            own[name].unlink(missing_ok=True)


def run(args):
    """Extract; returns 0."""
    checkpoint = one_checkpoint(args)
    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    cfg.solver.ema = {"type": "NoAverage"}
    out, directions = Path(args.out), PAIR if args.direction == "both" else (args.direction,)
    chosen, windows = choose_branches(cfg, directions, args.branch), windows_to_see(cfg, args.subset)
    dataset = build_windows(windows)
    device = setup_distributed(args.device)
    try:
        setup_logging()
        make_writable(out, "--out")
        runner = Runner(cfg, work_dir=out, device=device, seed=args.seed, training=False)
        backbones = {d: backbone_of(runner.branches[name].module, name) for d, name in chosen.items()}
        specs = load(runner, chosen, checkpoint)
        form = Windows() if args.windows else VideoRows()
        kept = {"form": form.name, "dtype": args.dtype}
        records = {}
        for direction, name in chosen.items():
            features = {**describe(cfg.to_dict(), windows, name, backbones[direction]), **kept}
            path = out / f"{direction}.json"
            check_record(path, features, overwrite=args.overwrite, part="features", defaults=FORM)
            records[path] = {"config": args.config, "weights": specs[name], "features": features}
        write_records(records, complete=False, overwrites=args.overwrite)
        size = {key: cfg.solver.test[key] for key in ("batch_size", "num_workers")}
        sources = sources_of(dataset)
        if not args.overwrite:
            remove_replaced(out, chosen, sources)
        options = {"form": form, "dtype": args.dtype, "overwrite": args.overwrite}
        written = extract(backbones, dataset, out, sources, device=device, autocast=runner.autocast, **options, **size)
        write_records(records, complete=True, overwrites=args.overwrite)
        LOGGER.info("%s: %d videos written", out, written)
        return 0
    finally:
        close_distributed()


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)
