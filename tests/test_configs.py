"""Every config in configs/ is built on tiny real files, shrunk, trained for one epoch of one step, and evaluated."""

import json

import numpy as np
import pytest
import torch
from places import ROOT

from opentad_bi.cli.demo import write_tower
from opentad_bi.config import load_config, raw_config
from opentad_bi.datasets.detection.cached_predictions import write_cached, write_record
from opentad_bi.engine import Runner
from opentad_bi.ops.names import PAIR
from opentad_bi.ops.records import SampleMeta
from opentad_bi.prepare.demo import surveillance
from opentad_bi.prepare.demo.clips import CLASSES, make_demo_clips
from opentad_bi.prepare.demo.features import make_demo_features
from opentad_bi.prepare.demo.surveillance import make_demo_surveillance

CONFIGS = sorted(p.relative_to(ROOT) for p in (ROOT / "configs").rglob("*.py") if "_base_" not in p.parts)
FAULTS = sorted(p.relative_to(ROOT) for p in (ROOT / "benchmarks" / "faults").glob("*.py") if p.name != "modules.py")
FPS, FRAMES, SIZE = 25, 150, 48

# tiny values for the helpers that configs derive their numbers from
SMALL = {
    "window_size": 64,
    "trunc_len": 64,
    "attention_window": 3,
    "max_seq_len": 64,
    "image_size": SIZE,
    "resize_size": SIZE + 8,
    "embed_dims": 32,
    "depth": 2,
    "num_heads": 2,
    "patch_size": 16,
    "pretrained": None,
    "in_channels": 32,
    "end_epoch": 1,
    "warmup_epoch": 0,
    "batch_size": 2,
}
# the same for configs of clips of videos
CLIPS = {
    "image_size": 32,
    "num_frames": 2,
    "temporal_views": 2,
    "group": None,
    "K_train": 2,
    "K_val": 1,
    "tolerate": 0.0,
    "frame_cache": None,
    "batches_per_backprop": 2,
    "mapped_text_layers": [0],
    "mapped_visual_layers": [1],
    "transfer_layers": [0, 1],
    "summary_heads": 2,
}
# the same for configs of captioned videos
REGIONS = {
    "image_size": 32,
    "num_frames": 4,
    "min_region_frames": 1,
    "batch_size": 4,
    "ann_files": "${data_root}/train.json",
    "xd_videos": "${data_root}/Videos",
    "clip_model": "${data_root}/tower.json",
    "clip_pretrained": "${data_root}/tower.safetensors",
}
NARROW = ("projection.out_channels", "neck.in_channels", "neck.out_channels", "rpn_head.in_channels")
SMALL |= {f"detector.{name}": 32 for name in (*NARROW, "rpn_head.feat_channels")}  # a checkpoint of 512 is over 1 GB


def write_video(path, seed):
    """A short H.264 file of noise."""
    import av

    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for _ in range(FRAMES):
            image = rng.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory):
    """A folder in the THUMOS layout, two training videos and one of test, with features and windows both ways."""
    root = tmp_path_factory.mktemp("tiny")
    for folder in ("annotations", "raw_data", "features", "back_features", "windows", "back_windows"):
        (root / folder).mkdir()
    labels = [f"Class{i}" for i in range(4)]
    (root / "annotations" / "category_idx.txt").write_text("\n".join(labels))
    database = {}
    for i, subset in enumerate(("training", "training", "validation")):
        write_video(root / "raw_data" / f"v{i}.mp4", i)
        for back in ("", "back_"):
            rng = np.random.default_rng(i)
            np.save(root / f"{back}features" / f"v{i}.npy", rng.normal(size=(40, 32)).astype(np.float32))
            np.save(root / f"{back}windows" / f"v{i}.npy", rng.normal(size=(1, 64, 32)).astype(np.float32))
            (root / f"{back}windows" / f"v{i}.json").write_text('{"starts": [0], "valid": [38]}')
        actions = [{"segment": [0.5 + k, 1.5 + k], "label": labels[k]} for k in range(4)]
        database[f"v{i}"] = {
            "subset": subset, "duration": FRAMES / FPS, "frame": FRAMES, "annotations": actions,
        }  # fmt: skip
    (root / "annotations" / "thumos_14_anno.json").write_text(json.dumps({"database": database}))
    keep_predictions(root / "predictions")
    make_demo_features(root / "units", dim=32, train_videos=1, test_videos=1, seconds=(12, 14))
    write_tower(root / "units" / "tower.json", root / "units" / "tower.safetensors", 0, embed_dim=32)
    make_demo_clips(root / "clips", train=3, test=1)
    make_short_surveillance(root / "surveillance")
    return root


def make_short_surveillance(folder):
    """Captioned videos of a few seconds, and a tower of two layers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surveillance, "LENGTH", (130, 151))
        patch.setattr(surveillance, "EVENT", (40, 61))
        make_demo_surveillance(folder, train_videos=1, test_videos=1)
    write_tower(folder / "tower.json", folder / "tower.safetensors", 0)


def keep_predictions(folder):
    """What a pair with four classes and the demonstration's five levels said of two windows of 64 positions."""
    points = sum(64 // stride for stride in (1, 2, 4, 8, 16))
    side = {
        "masks": torch.arange(64).expand(2, -1) < 38,
        "gt_segments": [torch.tensor([[2.0, 9.0]])] * 2,
        "gt_labels": [torch.tensor([1])] * 2,
        "meta": [SampleMeta("v0", 25.0, 6.0, 4)] * 2,
    }
    write_cached(folder, 0, 0, side, {direction: torch.rand(2, 4 + 2, points) for direction in PAIR})
    write_record(folder, windows=2, classes=None)


def tiny_overrides(path, root):
    """Overrides that shrink the config at `path` and point it at `root`; only those whose helpers it has."""
    helpers = raw_config(ROOT / path).to_dict()
    features = "windows" if "LoadWindowFeats" in str(helpers) else "features"
    paths = {
        "data_root": str(root),
        "annotation_path": str(root / "annotations" / "thumos_14_anno.json"),
        "class_map": str(root / "annotations" / "category_idx.txt"),
        "data_path": str(root / (features if "feature_root" in helpers else "raw_data")),
        "back_data_path": str(root / (f"back_{features}" if "feature_root" in helpers else "raw_data")),
        "cache_path": str(root / "predictions"),
        "block_list": None,
    }
    values = {**SMALL, **paths, "num_classes": 4, "work_dir": str(root / "exps")}
    if "clip_model" in helpers:  # prompts on features: a set and a tower of their own
        tower = {"clip_model": "tower.json", "clip_pretrained": "tower.safetensors"}
        tower = {key: str(root / "units" / name) for key, name in tower.items()} | {"clip_quick_gelu": None}
        values |= {"data_root": str(root / "units"), "batch_size": 64, **tower}
    if "temporal_views" in helpers:
        lists = {
            split: {
                "type": "numbered",
                "list_file": str(root / "clips" / "annotations" / f"{split.removesuffix('_videos')}.txt"),
                "classes": list(CLASSES),
            }
            for split in ("train_videos", "test_videos")
        }
        values |= {**CLIPS, **lists, "video_root": str(root / "clips" / "videos"), "batch_size": 2}
        values["artifacts"] = str(root / "models")
    if "frame_stride" in helpers:
        values |= {**REGIONS, "data_root": str(root / "surveillance")}
        truth = str(root / "surveillance" / "Temporal_Anomaly_Annotation.txt")
        values |= {"test_videos": truth, "frame_annotation": truth}
    return {key: value for key, value in values.items() if key.split(".")[0] in helpers}


@pytest.fixture(scope="module")
def drawn():
    """Metrics that have drawn their pictures, which take longer than all the rest of a config."""
    return set()


def draw_once(evaluation, drawn):
    """Leave the pictures of a metric to the first config that has it."""
    for metric in evaluation.get("metrics", [evaluation]):
        if metric.type in drawn:
            metric.update({"Accuracy": {"plots": False}, "FrameAnomaly": {"curves": 0}}.get(metric.type, {}))
        drawn.add(metric.type)


@pytest.mark.parametrize("path", CONFIGS + FAULTS, ids=str)
def test_config_builds_trains_a_step_and_predicts(path, tiny_set, drawn, tmp_path):
    cfg = load_config(ROOT / path, tiny_overrides(path, tiny_set))
    draw_once(cfg.evaluation, drawn)
    cfg.solver.amp = None
    cfg.solver.accumulate = min(cfg.solver.get("accumulate", 1), 2)  # the sets are tiny
    for branch in cfg.branches.values():
        branch.load_required = False
    for split in cfg.solver.values():
        if isinstance(split, dict) and "num_workers" in split:
            split.num_workers = 0
    cfg.workflow.update(end_epoch=1, tensorboard=False, val_start_epoch=0, val_eval_interval=1)
    (tmp_path / "checkpoint").mkdir()
    runner = Runner(cfg, work_dir=tmp_path, device=torch.device("cpu"))
    frozen = {n: p.clone() for n, p in runner.model.named_parameters() if not p.requires_grad}
    runner.train()
    assert runner.losses
    assert all(np.isfinite(v) for v in runner.losses.values())
    assert (tmp_path / "checkpoint" / "epoch_0.pth").is_file()
    assert {"average_mAP", "top1", "auc", "region_to_text_r1"} & set(next(iter(runner.metrics.values())))
    for name, value in frozen.items():
        assert torch.equal(value, runner.model.get_parameter(name)), name


def test_leaves_are_small_edits():
    for path in CONFIGS:
        assert len((ROOT / path).read_text().splitlines()) <= 40, path
