"""Keep what a trained pair finds in its training windows, so that a fusion can train without the detectors."""

import contextlib
from argparse import Namespace
from pathlib import Path
from typing import Any

from ..arguments import Parser, add_config_arguments, add_device_arguments, add_weight_arguments

EPILOG = """
The windows are those of dataset.train in the config, sampled anew in each of as many epochs as asked for. A config that
trains on them names dataset.train = dict(type="CachedPredictions", folder=DIR) and freezes both networks
(trainable=[]); see configs/demo/pair_exp3_3_cached.py. Its networks start from the same weights as here.
"""


def parser() -> Parser:
    """The arguments of the command."""
    cli = Parser(__doc__, EPILOG)
    add_config_arguments(cli)
    add_device_arguments(cli)
    add_weight_arguments(cli)
    cli.add_argument("--checkpoint", metavar="P", help="PATH or PATH:KEY of the pair (or --for-resume, --back-resume)")
    cli.add_argument("--out", required=True, metavar="DIR", help="folder of the files")
    cli.add_argument("--epochs", type=int, default=5, help="passes over the training set, each sampled anew")
    return cli


def run(args: Namespace) -> int:
    """Write the files; returns 0."""
    from ...contracts import RawMaps
    from ...datasets.detection.cached_predictions import write_record
    from ...engine import Runner
    from ...engine.checkpoint import class_names
    from ...utils.distributed import close_distributed, gather_objects, is_main, setup_distributed
    from ...utils.files import list_folder
    from ...utils.logging import LOGGER, setup_logging
    from ..common import config_of, make_writable
    from ..test import load_model

    cfg, out = config_of(args), Path(args.out)
    device = setup_distributed(args.device)
    try:
        setup_logging()
        if any(gather_objects(bool(list_folder(out, "*.pt", absent=True)))):  # before any process writes
            raise ValueError(f"--out {out} holds cached predictions already; choose another folder, or move them away")
        make_writable(out, "--out")
        cfg.solver.ema = {"type": "NoAverage"}
        runner = Runner(cfg, work_dir=out, device=device, seed=args.seed, training=False)
        if not isinstance(runner.model, RawMaps):
            raise ValueError(f"{args.config} describes a {cfg.model.type}; only a pair has two directions to keep")
        classes = class_names(runner.dataset("train")).get("classes")
        load_model(runner, args, out, classes)
        count = cache(runner, out, args.epochs)
        counts = gather_objects(count)
        if is_main():
            weights = args.checkpoint or [args.for_resume, args.back_resume]
            sources = {"networks": runner.model.network_digests(), "sources": sources_of(cfg, runner.dataset("train"))}
            made = sources | {"config": args.config, "weights": weights, "epochs": args.epochs, "seed": args.seed}
            write_record(out, windows=sum(counts), classes=classes, **made)
        LOGGER.info("%s: %d windows written by this process", out, count)
        return 0
    finally:
        close_distributed()


def sources_of(cfg: Any, dataset: Any) -> dict[str, dict[str, Any]]:
    """{name: stamp} of the annotation and of the files of all videos of the training set."""
    from ...contracts import innermost
    from ...datasets.readers.base import find_video
    from ...utils.provenance import source_stamps
    from .._made_of import flat

    inner, texts = innermost(dataset), flat(cfg.dataset.train.to_dict()).values()
    found: dict[str, str | Path] = {str(text): text for text in texts if isinstance(text, str) and Path(text).is_file()}
    places = [vars(inner).get("data_path"), vars(dataset).get("back_data_path")]
    for folder in [folder for own in places for folder in ([own] if isinstance(own, (str, Path)) else own or [])]:
        for name in [video.name for video in inner.videos]:
            features = Path(folder, f"{name}.npy")
            with contextlib.suppress(FileNotFoundError):  # of another form: not compared
                path = features if features.is_file() else find_video(folder, name, inner.file_format)
                found[str(path)] = path
    return source_stamps(found)


def cache(runner: Any, out: Path, epochs: int) -> int:
    """Write the training windows of `epochs` passes (whole batches only); returns how many this process wrote."""
    import torch
    from tqdm import tqdm

    from ...datasets.detection.cached_predictions import write_cached
    from ...engine.data import to_device, train_loader
    from ...ops.names import FORWARD
    from ...utils.distributed import is_main, rank, world_size

    size = runner.cfg.solver.train
    loader: Any = train_loader(
        runner.dataset("train"),
        batch_size=size.batch_size,
        num_workers=size.num_workers,
        accumulate=1,
        seed=runner.seed,
        pin_memory=runner.device.type == "cuda",
    )
    runner.model.eval()
    count = 0
    for epoch in range(epochs):
        loader.sampler.epoch = epoch
        index = rank() * (loader.sampler.used // world_size())
        for batch in tqdm(loader, desc=f"epoch {epoch}", unit="batch", disable=not is_main(), leave=False):
            moved = to_device(batch, runner.device)
            with torch.no_grad(), runner.autocast():
                maps = runner.model.raw_maps(moved)
            side = batch.get(FORWARD, batch)
            write_cached(out, epoch, index, side, maps)
            index, count = index + len(side["meta"]), count + len(side["meta"])
    return count
