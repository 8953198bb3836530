"""Extract CLIP features of videos: one of every second, or those of all frames of the clips of a config."""

import argparse
from pathlib import Path

import torch
from tqdm import tqdm

from ..datasets.common.feature_files import feature_path
from ..datasets.common.stream import SecondFrames, batches_ahead
from ..engine.inference import in_dtype
from ..models.clip.loading import load_clip
from ..models.clip.preprocess import FrameEncoder, FramePreprocess
from ..ops.names import VIDEO_SUFFIXES
from ..ops.windows import SecondMeans
from ..registry import READERS
from ..utils.distributed import close_distributed, is_main, setup_distributed
from ..utils.files import walk_files
from ..utils.logging import LOGGER, setup_logging
from ..utils.provenance import FEATURE_RECORD
from ._clip_features import ALL, run_config
from ._feature_files import check_out, make_features, write_features
from .common import Parser, add_device_arguments, command, make_writable

POOLING = "mean of the L2-normalised image embeddings of the frames that appear in each second"
EPILOG = """
SRC is a folder of class folders, a folder of videos, or one video; its folders are kept below OUT. Row i of a file is
the mean of the L2-normalised embeddings of the frames that appear in second i, by the times in the file; the last,
shorter second counts. Beside NAME.npy lies NAME.json: fps, frames, duration_sec and rows.

OUT/features.json says what made the files. Finished files are kept, so that the same command goes on after an
interruption, and a run with other settings is refused without --overwrite. Videos that cannot be read are named at the
end, and the exit code is then 1; all others have their files.

    python tools/extract_clip_features.py VIDEOS --out FEATURES --model ViT-B-16-quickgelu --pretrained ViT-B-16.pt
    torchrun --nproc_per_node=8 tools/extract_clip_features.py ...          # the videos are shared between GPUs

With --config in place of SRC, the videos are those of the config's datasets, the frames those of their pipeline, and
the network the config's CLIP: OUT/<path of the video>.npy is (views, frames, channels), not normalised. The config
trains on them in place of frames when its dataset has features="OUT"; a pipeline that augments has none. Videos that
could not be read stand in OUT/failed.txt, which block_list=OUT/failed.txt leaves out.

    python tools/extract_clip_features.py --config CONFIG --out FEATURES
    python tools/train.py CONFIG --cfg-options feature_dir=FEATURES
"""


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__, EPILOG)
    cli.add_argument("src", nargs="?", metavar="SRC", help="folder of class folders, folder of videos, or one video")
    cli.add_argument("--config", metavar="CONFIG", help="in place of SRC: a config with datasets of clips")
    cli.add_argument("--split", metavar="S", help=f"with --config: one of its datasets (default: {ALL})")
    cli.add_argument("--cfg-options", nargs="+", default=[], metavar="a.b=v", help="overrides of keys of the config")
    cli.add_argument("--out", required=True, metavar="DIR", help="folder of the features")
    cli.add_argument("--model", metavar="M", help="with SRC: name in open_clip, local-dir:DIR, or a JSON file")
    cli.add_argument("--pretrained", metavar="P", help="file of weights, or the name of weights that open_clip fetches")
    cli.add_argument(
        "--quick-gelu",
        action=argparse.BooleanOptionalAction,
        help="run OpenAI's approximate GELU, or the exact one; needed where neither weights nor model say which",
    )
    cli.add_argument("--batch-size", type=_positive, default=64, metavar="N", help="frames per pass of the network")
    cli.add_argument(
        "--frames-per-second", type=_positive, metavar="N", help="N evenly spaced frames of each second (default: all)"
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


def _positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of 1 or more")
    return int(text)


def find_videos(src):
    """{name: path} of the videos below `src`; a name is the path below it without extension.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: no videos, or two whose features would have the same name.
    """
    src = Path(src)
    if not src.exists():
        raise FileNotFoundError(f"SRC {src} does not exist")
    paths = [src] if src.is_file() else walk_files(src, VIDEO_SUFFIXES)
    if not paths:
        raise ValueError(f"SRC {src} holds no videos ({', '.join(VIDEO_SUFFIXES)})")
    videos = {}
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


def check_options(args):
    """Refuse options that do not go together, and fill in what SRC alone has."""
    if (args.src is None) == (args.config is None):
        raise ValueError("give one of SRC (videos) and --config (a config with datasets of clips)")
    names = ("model", "pretrained", "quick_gelu", "frames_per_second", "reader") if args.config else ("split",)
    names += () if args.config else ("cfg_options",)
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(args, name) or getattr(args, name) is False]
    if given:
        what = "a config says that itself; see --cfg-options" if args.config else "they are of --config"
        raise ValueError(f"{', '.join(given)}: {what}")
    if not args.config and not args.model:
        raise ValueError("--model is missing: a name in open_clip, local-dir:DIR, or a JSON file")


def extract(encode, frames, names, save, *, workers=0):
    """Encode every batch and `save(name, means, facts)` each video as it ends.

    Args:
        encode: images of a batch -> float32 (N, D) array.
        frames: a `SecondFrames`.
        names: name of each of its videos.
        workers: processes that decode.
    Returns:
        {name: what is wrong} of the videos that could not be read.
    """
    means, failed = {}, {}
    with (
        tqdm(total=len(names), desc="extract", unit="video", disable=not is_main()) as progress,
        batches_ahead(frames, min(workers, len(names))) as parts,
    ):
        for part in parts:
            name = names[part.video]
            if part.error:
                failed[name] = part.error
                LOGGER.warning("%s", part.error)
            else:
                features = encode(part.images)
                if name not in means:
                    means[name] = SecondMeans(part.facts["rows"], features.shape[1])
                means[name].add(features, part.seconds)
                if part.last:
                    save(name, means[name].means(), part.facts)
            if part.last:
                means.pop(name, None)
                progress.update()
    return failed


def save_into(out, dtype, videos):
    """A function that writes the features of a video and what they came from.

    Args:
        out, dtype: folder and type of the files.
        videos: {name: video file}.
    """

    def save(name, means, facts):
        write_features(feature_path(out, name), in_dtype(means, dtype, name), videos[name], facts)

    return save


def run(args):
    """Extract; returns 0, or 1 if a video could not be read."""
    check_options(args)
    if args.config:
        return run_config(args)
    videos, out, reader = find_videos(args.src), Path(args.out), args.reader or "pyav"
    READERS.find(reader)
    device = setup_distributed(args.device)
    try:
        setup_logging()
        check_out(videos, args.src, out, args.overwrite)
        make_writable(out, "--out")
        torch.manual_seed(args.seed)
        clip = load_clip(args.model, args.pretrained, quick_gelu=args.quick_gelu)
        amp = args.precision or ("fp16" if device.type == "cuda" else "fp32")
        options = {"frames_per_second": args.frames_per_second, "reader": reader}
        kept = {"precision": amp, "dtype": args.dtype or "float16", "unit_sec": 1, "pooling": POOLING}

        def work(todo, cast):
            resize = FramePreprocess(clip.preprocess).resize
            frames = SecondFrames(todo.values(), resize, batch_size=args.batch_size, **options)
            encode, save = FrameEncoder(clip, device, cast), save_into(out, kept["dtype"], todo)
            return extract(encode, frames, list(todo), save, workers=args.num_workers)

        shared = {"clip": clip, "device": device, "overwrite": args.overwrite}
        return 1 if make_features(out, videos, work, settings={**options, **kept}, **shared) else 0
    finally:
        close_distributed()


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)
