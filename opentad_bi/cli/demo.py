"""The demonstration, and the generated sets that examples and tests learn from."""

import os
from argparse import Namespace
from pathlib import Path

import torch

from ..config import load_config, raw_config
from ..evaluation.detection.io import GroundTruth, load_ground_truth, load_predictions
from ..evaluation.viz.timeline import draw_timeline
from ..models.clip.loading import load_clip
from ..ops.names import FUSED, MERGED, PAIR
from ..prepare.demo.clips import make_demo_clips
from ..prepare.demo.detection import make_demo
from ..prepare.demo.features import SPLITS, make_demo_features
from ..prepare.demo.surveillance import make_demo_surveillance
from ..prepare.layout import summary
from ..utils.files import atomic, read_json, walk_files, write_json
from ..utils.logging import LOGGER, setup_logging
from ..utils.provenance import FEATURE_RECORD
from .main import call

SENTENCES = "_base_/prompts/ucf_crime.py"
EXPERIMENTS = ("pair_exp1", "pair_exp3_3")
SHOWN = (*PAIR, MERGED, FUSED)
WIDTH = 64  # of the tiny CLIP models


def run(args: Namespace) -> int:
    """Run all steps; returns the exit code of the first that fails, else 0."""
    # half of the cores for the network, half for the loader: on small tensors more threads are slower, not faster
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    if not (args.data / "annotations" / "thumos_14_anno.json").is_file():
        make_demo(args.data)
    pair, fused = EXPERIMENTS
    best = checkpoint(args, pair)
    code = train_and_test(args, pair) or train_and_test(args, fused, "--for-resume", best, "--back-resume", best)
    if code:
        return code
    numbers = {name: read_json(args.out / name / "metrics.json") for name in EXPERIMENTS}
    write_json(args.out / "summary.json", numbers)
    evaluation = load_config(f"demo/{fused}", {"data_root": str(args.data)}).evaluation
    truth = load_ground_truth(evaluation.ground_truth_filename, evaluation.subset)
    draw(args.out, args.out / fused, truth)
    page, code = show_one(args, checkpoint(args, fused), truth.videos[0])
    for name, found in numbers.items():
        line = ", ".join(f"{d} {found[d]['average_mAP']:.3f}" for d in SHOWN if d in found)
        print(f"average mAP, {name}: {line}")
    print(f"{args.out / 'summary.json'}\n{args.out / 'timeline.png'}\n{page}   (open it in a browser)")
    return code


def checkpoint(args: Namespace, name: str) -> Path:
    """Path of the best checkpoint of one experiment."""
    return args.out / name / f"gpu1_id{args.seed}" / "checkpoint" / "best.pth"


def train_and_test(args: Namespace, name: str, *words: object) -> int:
    """Train one experiment (or resume it) and write its numbers and results; returns an exit code."""
    folder = args.out / name
    common = [f"demo/{name}", "--work-dir", folder, "--seed", args.seed, "--id", args.seed]
    options = ["--cfg-options", f"data_root={args.data}"]
    code = call("train", [*common, *words, "--resume", "auto", *options])
    return code or call("test", [*common, "--out", folder / "metrics.json", "--save-dir", folder, *options])


def draw(out: Path, results: Path, truth: GroundTruth) -> None:
    """Picture of what each direction finds, against the ground truth."""
    found = {d: load_predictions(results / f"result_detection_{d}.json").to_results() for d in SHOWN}
    draw_timeline(out / "timeline.png", found, truth)


def show_one(args: Namespace, weights: Path, video: str) -> tuple[Path, int]:
    """The page of one validation video; returns its path and an exit code."""
    out = args.out / "pages"
    words = [f"demo/{EXPERIMENTS[1]}", weights, args.data / "raw_data" / f"{video}.mp4", "--out", out]
    truth = ["--ground-truth", args.data / "annotations" / "thumos_14_anno.json"]
    return out / f"{video}.html", call("detect", [*words, *truth])


def make_detection(args: Namespace) -> int:
    """Write the set and print what is in it; returns 0."""
    database = make_demo(
        args.out, videos=args.videos, seed=args.seed, training=args.train_ratio, overwrite=args.overwrite
    )
    print(summary(args.out, database))
    return 0


def make_clips(args: Namespace) -> int:
    """Make the set; returns 0."""
    setup_logging()
    sizes = {"train": args.train_videos, "test": args.test_videos}
    counts = make_demo_clips(args.out, seed=args.seed, overwrite=args.overwrite, **sizes)
    # with a larger gain, random features of frames differ enough to be told apart
    write_tower(args.out / "tower.json", args.out / "tower.safetensors", args.seed, layers=4, patch_size=8, gain=2.0)
    LOGGER.info("%s: %d clips to learn from, %d to test on", args.out, *counts.values())
    return 0


def make_features(args: Namespace) -> int:
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


def make_surveillance(args: Namespace) -> int:
    """Make the set; returns 0."""
    setup_logging()
    sizes = {"train_videos": args.train_videos, "test_videos": args.test_videos}
    counts = make_demo_surveillance(args.out, seed=args.seed, forms=args.forms, overwrite=args.overwrite, **sizes)
    write_tower(args.out / "tower.json", args.out / "tower.safetensors", args.seed, layers=3, patch_size=4)
    LOGGER.info("%s: %d videos to learn from, %d to test on", args.out, *counts.values())
    return 0


def write_tower(
    model: Path,
    weights: Path,
    seed: int,
    *,
    embed_dim: int = WIDTH,
    layers: int = 2,
    patch_size: int = 16,
    gain: float = 1.0,
) -> None:
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
