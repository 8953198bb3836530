"""Extract CLIP features of videos: one of every second, or those of all frames of the clips of a config."""

import argparse
from argparse import Namespace
from pathlib import Path

from ..arguments import Parser, add_device_arguments, positive

EPILOG = """
SRC is a folder of class folders, a folder of videos, or one video; its folders are kept below OUT. Row i of a file is
the mean of the L2-normalised embeddings of the frames that appear in second i, by the times in the file; the last,
shorter second counts. Beside NAME.npy lies NAME.json: fps, frames, duration_sec and rows.

OUT/features.json says what made the files. Finished files are kept, so that the same command resumes after an
interruption, and a run with other settings is refused without --overwrite. Videos that cannot be read are named at the
end, and the exit code is then 1; all others have their files.

    opentad-bi extract-clip-features VIDEOS --out FEATURES --model ViT-B-16-quickgelu --pretrained ViT-B-16.pt
    torchrun --nproc_per_node=8 -m opentad_bi extract-clip-features ...          # the videos are shared between GPUs

With --config in place of SRC, the videos are those of the config's datasets, the frames those of their pipeline, and
the network the config's CLIP: OUT/<path of the video>.npy is (views, frames, channels), not normalised. The config
trains on them in place of frames when its dataset has features="OUT"; a pipeline that augments has none. Videos that
could not be read are listed in OUT/failed.txt, which block_list=OUT/failed.txt leaves out.

    opentad-bi extract-clip-features --config CONFIG --out FEATURES
    opentad-bi train CONFIG --cfg-options feature_dir=FEATURES
"""


def parser() -> Parser:
    """The arguments of the command."""
    cli = Parser(__doc__, EPILOG)
    cli.add_argument("src", nargs="?", metavar="SRC", help="folder of class folders, folder of videos, or one video")
    cli.add_argument("--config", metavar="CONFIG", help="in place of SRC: a config with datasets of clips")
    cli.add_argument("--split", metavar="S", help="with --config: one of its datasets (default: all)")
    cli.add_argument("--cfg-options", nargs="+", default=[], metavar="a.b=v", help="overrides of keys of the config")
    cli.add_argument("--out", required=True, metavar="DIR", help="folder of the features")
    cli.add_argument("--model", metavar="M", help="with SRC: name in open_clip, local-dir:DIR, or a JSON file")
    cli.add_argument("--pretrained", metavar="P", help="file of weights, or the name of weights that open_clip fetches")
    cli.add_argument(
        "--quick-gelu",
        action=argparse.BooleanOptionalAction,
        help="run OpenAI's approximate GELU, or the exact one; needed where neither weights nor model say which",
    )
    cli.add_argument("--batch-size", type=positive, default=64, metavar="N", help="frames per pass of the network")
    cli.add_argument(
        "--frames-per-second", type=positive, metavar="N", help="N evenly spaced frames of each second (default: all)"
    )
    cli.add_argument(
        "--precision",
        choices=("fp32", "fp16", "bf16"),
        help="of the network (default: fp16 on a GPU with SRC, else fp32)",
    )
    cli.add_argument(
        "--dtype", choices=("float16", "float32"), help="of the files (default: float16, with --config float32)"
    )
    add_device_arguments(cli)
    cli.add_argument(
        "--num-workers", type=int, default=2, metavar="N", help="processes that decode, each its own video"
    )
    cli.add_argument("--reader", metavar="R", help="video reader (default: pyav)")
    cli.add_argument("--overwrite", action="store_true", help="make files again that are there")
    return cli


def run(args: Namespace) -> int:
    """Extract; returns 0, or 1 if a video could not be read."""
    from ...utils.distributed import close_distributed, setup_distributed
    from ...utils.logging import setup_logging
    from .clips import of_config, of_videos

    check_options(args)
    videos = {} if args.config else find_videos(args.src)
    device = setup_distributed(args.device)
    try:
        setup_logging()
        return 1 if (of_config(args, device) if args.config else of_videos(args, device, videos)) else 0
    finally:
        close_distributed()


def find_videos(src: str | Path) -> dict[str, Path]:
    """{name: path} of the videos below `src`; a name is the path below it without extension.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: no videos, or two whose features would have the same name.
    """
    from ...ops.names import VIDEO_SUFFIXES
    from ...utils.files import walk_files
    from ...utils.provenance import FEATURE_RECORD

    src = Path(src)
    if not src.exists():
        raise FileNotFoundError(f"SRC {src} does not exist")
    paths = [src] if src.is_file() else walk_files(src, VIDEO_SUFFIXES)
    if not paths:
        raise ValueError(f"SRC {src} holds no videos ({', '.join(VIDEO_SUFFIXES)})")
    videos: dict[str, Path] = {}
    for path in paths:
        name = path.stem if src.is_file() else str(path.relative_to(src).with_name(path.stem))
        if name in videos:
            raise ValueError(f"{videos[name]} and {path} would have the same features {name}.npy; rename one")
        if f"{name}.json" == FEATURE_RECORD:
            raise ValueError(
                f"{path}: its {FEATURE_RECORD} would be taken for the record of all features; rename the video"
            )
        videos[name] = path
    return videos


def check_options(args: Namespace) -> None:
    """Refuse options that do not go together, and fill in what SRC alone has."""
    if (args.src is None) == (args.config is None):
        raise ValueError("give one of SRC (videos) and --config (a config with datasets of clips)")
    names: tuple[str, ...] = (
        ("model", "pretrained", "quick_gelu", "frames_per_second", "reader") if args.config else ("split",)
    )
    names += () if args.config else ("cfg_options",)
    given = [f"--{name.replace('_', '-')}" for name in names if vars(args)[name] or vars(args)[name] is False]
    if given:
        what = "a config says that itself; see --cfg-options" if args.config else "they are of --config"
        raise ValueError(f"{', '.join(given)}: {what}")
    if not args.config and not args.model:
        raise ValueError("--model is missing: a name in open_clip, local-dir:DIR, or a JSON file")
