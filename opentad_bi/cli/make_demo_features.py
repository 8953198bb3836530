"""Make a generated set of features with known classes and events, and a tiny random CLIP model they belong to.

Below --out: train/ and test/ with class folders of .npy files, annotations/, Temporal_Anomaly_Annotation.txt and
test_videos.txt as UCF-Crime has them, tower.json and tower.safetensors, and prompts.json with a sentence per class.
"""

from pathlib import Path

import torch

from ..config import raw_config
from ..models.clip.loading import load_clip
from ..prepare.demo.features import SPLITS, make_demo_features
from ..utils.files import atomic, walk_files, write_json
from ..utils.logging import LOGGER, setup_logging
from ..utils.provenance import FEATURE_RECORD
from .common import Parser, command

ROOT = Path(__file__).resolve().parents[2]
SENTENCES = ROOT / "configs" / "_base_" / "prompts" / "ucf_crime.py"
WIDTH = 64


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__)
    cli.add_argument("--out", type=Path, default=ROOT / "data" / "demo_features", help="folder of the set")
    cli.add_argument("--train_videos", type=int, default=8, help="videos of each class to learn from")
    cli.add_argument("--test_videos", type=int, default=4, help="videos of each class to test on")
    cli.add_argument("--noise", type=float, default=0.15, help="deviation of every number of a feature of length 1")
    cli.add_argument("--seed", type=int, default=0, help="seed of features and model")
    cli.add_argument("--overwrite", action="store_true", help="make a generated set again")
    return cli


def run(args):
    """Make the set; returns 0."""
    setup_logging()
    sizes = {"train_videos": args.train_videos, "test_videos": args.test_videos}
    options = {"noise": args.noise, "seed": args.seed, "overwrite": args.overwrite}
    make_demo_features(args.out, dim=WIDTH, **sizes, **options)
    model, weights = args.out / "tower.json", args.out / "tower.safetensors"
    write_tower(model, weights, args.seed)
    digest = load_clip(str(model), str(weights)).digest
    made = {"model": f"../{model.name}", "pretrained": f"../{weights.name}", "weights_sha256": digest}
    for split in SPLITS:
        write_json(args.out / split / FEATURE_RECORD, made | {"embed_dim": WIDTH, "unit_sec": 1, "complete": True})
    write_json(args.out / "prompts.json", raw_config(SENTENCES).class_prompts.to_dict())
    LOGGER.info("%s: %d files of features", args.out, len(walk_files(args.out, (".npy",))))
    return 0


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)


def write_tower(model, weights, seed, *, embed_dim=WIDTH, layers=2, patch_size=16, gain=1.0):
    """Write the configuration and random weights of a CLIP model of a few layers with the real vocabulary.

    Weights inside the residual blocks are `gain` times those that training would start from.
    """
    from safetensors.torch import save_file

    vision = {"image_size": 32, "layers": layers, "width": WIDTH, "patch_size": patch_size, "head_width": 32}
    text = {"context_length": 77, "vocab_size": 49408, "width": WIDTH, "heads": 2, "layers": layers}
    write_json(model, {"embed_dim": embed_dim, "vision_cfg": vision, "text_cfg": text})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = load_clip(str(model)).module.state_dict()
    for name, tensor in state.items():
        if "resblocks" in name and name.endswith("weight") and ".ln_" not in name:
            tensor *= gain
    with atomic(weights) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, temporary)
