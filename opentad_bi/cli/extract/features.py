"""Extract features of whole videos by the backbone of a detector: DIR/for/*.npy and DIR/back/*.npy."""

import contextlib
from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..arguments import Parser, add_config_arguments, add_device_arguments

EPILOG = """
The videos are those of dataset.test in the config, read through its sliding windows and its pipeline. A pair gives each
direction from its own network. DIR/for.json and DIR/back.json say what made the files; finished files are kept, and a
run with other settings is refused without --overwrite. After an interruption the same command resumes, an --overwrite
starts again.

Without --windows, a file is one row per position, (n, C). Where windows overlap, a position is taken from the window in
whose middle it lies best. Row i of DIR/for/NAME.npy is grid position i; row j of DIR/back/NAME.npy is the output on the
reversed frames at position n - 1 - j.

With --windows, a file is every window as the network gives it, padding included, (W, T, C); DIR/back/NAME.npy holds
the reversed windows in their own order, and NAME.json the first position and the valid length of each. A backbone's
output depends on the whole of its window, so this form alone gives the rest of the detector what it gets end to end:
read it by LoadWindowFeats in a ThumosSlidingDataset of the same window_size and window_overlap_ratio, as
configs/demo/pair_features.py does.

The rest of the detector starts where an end-to-end checkpoint left off with (CHECKPOINT may be one of the pair)

    opentad-bi train CONFIG --cfg-options branches.model.load_from=CHECKPOINT
    opentad-bi train CONFIG --for-resume CHECKPOINT --back-resume CHECKPOINT

where CONFIG is the one without a backbone, and its branches have load_unexpected=["backbone.*"].
"""

DIRECTIONS = ("for", "back")


def parser() -> Parser:
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
    cli.add_argument("--direction", choices=(*DIRECTIONS, "both"), default="both", help="which files")
    cli.add_argument("--subset", nargs="+", metavar="S", help="subsets of the annotation (default: all of the config)")
    cli.add_argument("--overwrite", action="store_true", help="make files again that are there")
    return cli


def run(args: Namespace) -> int:
    """Extract; returns 0."""
    from ...config import load_config, parse_overrides
    from ...engine import Runner
    from ...engine.extract import VideoRows, Windows, extract, plan_parts, window_pieces
    from ...utils.distributed import close_distributed, setup_distributed
    from ...utils.logging import setup_logging
    from ..common import make_writable
    from .folder import FeatureFolder

    checkpoint = one_checkpoint(args)
    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    cfg.solver.ema = {"type": "NoAverage"}
    out, directions = Path(args.out), DIRECTIONS if args.direction == "both" else (args.direction,)
    chosen, windows = choose_branches(cfg, directions, args.branch), windows_to_see(cfg, args.subset)
    dataset, form = build_windows(windows), Windows if args.windows else VideoRows
    device = setup_distributed(args.device)
    try:
        setup_logging()
        make_writable(out, "--out")
        runner = Runner(cfg, work_dir=out, device=device, seed=args.seed, training=False)
        backbones = {d: backbone_of(runner.branches[name].module, name) for d, name in chosen.items()}
        specs = load(runner, chosen, checkpoint)
        folder = FeatureFolder(out, sources_of(dataset), kinds=directions, dtype=args.dtype, overwrite=args.overwrite)
        for direction, name in chosen.items():
            made = describe(cfg.to_dict(), windows, name, backbones[direction])
            made |= {"form": form.name, "dtype": args.dtype}
            about = {"config": args.config, "weights": specs[name]}
            defaults = {"form": VideoRows.name, "dtype": "float32"}  # of a record that does not say
            folder.begin(f"{direction}.json", made, about, part="features", defaults=defaults)
        parts = plan_parts(dataset.windows())
        names = list(dict.fromkeys(part.video for part in parts))
        todo = set(folder.todo(names))
        parts = [part for part in parts if part.video in todo]
        size = {key: cfg.solver.test[key] for key in ("batch_size", "num_workers")}
        pieces = window_pieces(backbones, dataset, parts, device=device, autocast=runner.autocast, **size)
        extract(pieces, form, folder.save, total=len(parts), unit="window")
        folder.end(len(names))
        return 0
    finally:
        close_distributed()


def one_checkpoint(args: Namespace) -> str | None:
    """The checkpoint that is named as the second word or by --checkpoint, or None; ValueError if they differ."""
    if args.weights and args.checkpoint and args.weights != args.checkpoint:
        raise ValueError(f"two checkpoints are named: {args.weights} and --checkpoint {args.checkpoint}")
    return args.weights or args.checkpoint


def windows_to_see(cfg: Any, subset: Sequence[str] | None) -> dict[str, Any]:
    """Config of dataset.test over the given subsets, or over all that the config names."""
    from ...apis.common import windows_config

    names: list[str] = []
    for name, split in cfg.dataset.items():
        if name != "wrap":
            names += [split["subset_name"]] if isinstance(split["subset_name"], str) else split["subset_name"]
    return {**windows_config(cfg), "subset_name": list(subset or dict.fromkeys(names)), "test_mode": True}


def build_windows(cfg: dict[str, Any]) -> Any:
    """The dataset; ValueError if it has no windows of videos."""
    from ...contracts import Windowed
    from ...registry import DATASETS

    dataset = DATASETS.build(cfg)
    if not isinstance(dataset, Windowed):
        raise ValueError(f"dataset.test is a {cfg['type']}; features are made over the windows of a sliding dataset")
    return dataset


def choose_branches(cfg: Any, directions: Iterable[str], branch: str | None) -> dict[str, str]:
    """{direction: name of the branch that makes it}."""
    from ...registry import nearest

    if branch is not None and branch not in cfg.branches:
        raise ValueError(f"--branch {branch!r}: the config has no such branch; {nearest(branch, cfg.branches)}")
    single = branch or (next(iter(cfg.branches)) if len(cfg.branches) == 1 else None)
    return {direction: single or f"{direction}_model" for direction in directions}


def load(runner: Any, chosen: dict[str, str], checkpoint: str | None) -> dict[str, str]:
    """Fill the networks from a checkpoint of the whole model, or each from its branch's `load_from` or `pretrained`."""
    from ...engine.warm_start import fill

    if checkpoint is not None:
        fill(runner.model, checkpoint)
        return dict.fromkeys(chosen.values(), checkpoint)
    specs: dict[str, str] = {}
    for name in dict.fromkeys(chosen.values()):
        branch = runner.branches[name]
        spec = branch.cfg.get("load_from") or (branch.cfg.get("pretrained") or {}).get("path")
        if not spec:
            raise ValueError(
                f"there are no weights for branch {name!r}; name a checkpoint behind the config, or set "
                f"branches.{name}.load_from"
            )
        branch.load_initial_weights()
        specs[name] = spec
    return specs


def backbone_of(network: Any, name: str) -> Any:
    """The backbone of a branch; ValueError if its detector takes features."""
    backbone = dict(network.named_children()).get("backbone")
    if backbone is None:
        raise ValueError(f"the network of branch {name!r} has no backbone; it takes features already")
    return backbone


def describe(cfg: dict[str, Any], windows: dict[str, Any], name: str, backbone: Any) -> dict[str, Any]:
    """What the features of one direction depend on; `cfg` is a plain dict."""
    from ...utils.weight_files import weights_digest

    model = cfg["model"].get(name, cfg["model"])
    names = ("ann_file", "data_path", "window_size", "window_overlap_ratio", "feature_stride", "sample_stride")
    more = ("offset_frames", "fps", "reference_windows", "pipeline")
    seen = {key: windows[key] for key in (*names, *more) if key in windows}
    made = {"branch": name, "weights_sha256": weights_digest(backbone.state_dict()), "amp": cfg["solver"].get("amp")}
    return {**made, "backbone": model["backbone"], "dataset": seen}


def sources_of(dataset: Any) -> dict[str, Path]:
    """{video: its file} of a dataset of windows of videos."""
    from ...datasets.readers.base import find_video

    found = {}
    for name in dict.fromkeys(name for name, _, _ in dataset.windows()):
        with contextlib.suppress(FileNotFoundError):  # the pipeline says so, if it needs one
            found[name] = Path(find_video(dataset.data_path, name, dataset.file_format))
    return found
