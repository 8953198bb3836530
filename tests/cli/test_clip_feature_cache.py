"""`opentad-bi extract-clip-features --config`: features of frames that give the same losses as the frames."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from close import close
from places import ROOT

from opentad_bi.cli.extract import folder
from opentad_bi.cli.main import call
from opentad_bi.config import load_config
from opentad_bi.contracts import total_loss
from opentad_bi.engine.data import build_dataset
from opentad_bi.registry import MODELS

main = partial(call, "extract-clip-features")
CONFIG = ROOT / "configs" / "prompt" / "demo_clips" / "video_coop.py"
SIZES = {"K_train": 2, "K_val": 1, "num_frames": 4, "temporal_views": 2, "spatial_views": 3}


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    """A generated set of four classes with three videos to learn from, one to test on, and its tower."""
    folder = tmp_path_factory.mktemp("clips") / "set"
    assert call("demo-data clips", ["--out", folder, "--train-videos", 3, "--test-videos", 1]) == 0
    return folder


def words(data_root, out, *more, **sizes):
    options = {**SIZES, "data_root": data_root, **sizes}
    overrides = [f"{key}={value}" for key, value in options.items()]
    fixed = ["--config", CONFIG, "--out", out, "--device", "cpu", "--num-workers", 0]
    return [*fixed, *more, "--cfg-options", *overrides]


@pytest.fixture(scope="module")
def features(data_root, tmp_path_factory):
    """The features of all splits."""
    out = tmp_path_factory.mktemp("clips") / "features"
    assert main(words(data_root, out, "--batch-size", 10)) == 0
    return out


def config(data_root, **sizes):
    return load_config(str(CONFIG), {**SIZES, "data_root": str(data_root), **sizes})


def build_model(cfg, dataset):
    torch.manual_seed(3)
    return MODELS.build(cfg.model, classes=dataset.classes)


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_every_clip_has_its_features(data_root, features):
    cfg = config(data_root)
    names = {name for split in ("train", "val", "test") for name in build_dataset(cfg.dataset, split).videos}
    assert len(names) == 16 and set(files(features)) == {
        "features.json",
        *(f"{name}.{ending}" for name in names for ending in ("json", "npy")),
    }
    record = json.loads((features / "features.json").read_text())
    assert record["complete"] and record["trained"] and record["precision"] == "fp32" and record["dtype"] == "float32"
    assert record["pipeline"][0]["views"] == 2 and record["pipeline"][1]["views"] == 3
    array = np.load(features / f"{min(names)}.npy")
    assert array.dtype == np.float32 and array.shape == (6, 4, record["embed_dim"])


@pytest.mark.parametrize("pooling", ["MeanPooling", "AttentionPooling"])
@pytest.mark.parametrize("normalise", [True, False])
def test_losses_are_those_of_the_frames(pooling, normalise, data_root, features):
    found = {}
    for source in (None, str(features)):
        cfg = config(data_root, feature_dir=source, temporal_pooling={"type": pooling})
        cfg.model.normalise_frames = normalise
        data = build_dataset(cfg.dataset, "train")
        model = build_model(cfg, data).train()
        model.check_dataset(data)
        batch = data.collate([data[i] for i in (0, 2, 5, 7)])
        losses = model(batch)
        total_loss(losses).backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        scores = np.stack([score.probabilities for score in model.eval().predict(batch)])
        found[source] = losses["cls_loss"].detach(), gradient, torch.from_numpy(scores)
        assert batch["inputs"].dtype == (torch.float32 if source else torch.uint8)
    for one, other in zip(*found.values(), strict=True):
        close(one, other, ulps=1024)
    assert found[None][1].abs().max() > 1e-4


def test_an_interrupted_run_goes_on_and_finished_files_stay(data_root, features, tmp_path):
    assert main(words(data_root, tmp_path / "out", "--split", "test")) == 0
    assert sum(name.endswith(".npy") for name in files(tmp_path / "out")) == 4
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.npy")}
    assert main([*words(data_root, tmp_path / "out")]) == 0
    whole, now = files(features), files(tmp_path / "out")
    assert whole.keys() == now.keys() and all(p.stat().st_mtime_ns == time for p, time in times.items())
    for name in whole:
        if name.endswith(".npy"):  # passes of other sizes round otherwise
            parts = [np.load(folder / name) for folder in (features, tmp_path / "out")]
            np.testing.assert_allclose(*parts, atol=1e-5)


def test_worker_processes_change_nothing(data_root, features, tmp_path):
    more = words(data_root, tmp_path, "--batch-size", 10, "--split", "test")
    more[more.index("--num-workers") + 1] = 2
    assert main(more) == 0
    made = {name: data for name, data in files(tmp_path).items() if name.endswith(".npy")}
    assert len(made) == 4 and all(files(features)[name] == data for name, data in made.items())


def test_other_settings_are_refused(data_root, features, capsys):
    before = files(features)
    for sizes, differ in (({"temporal_views": 1}, "pipeline"), ({"clip_quick_gelu": True}, "quick_gelu")):
        assert main(words(data_root, features, **sizes)) == 1
        assert f"features made otherwise, in {differ}; choose another --out" in capsys.readouterr().err
    assert files(features) == before
    cfg = config(data_root, feature_dir=str(features), spatial_views=1)
    with pytest.raises(
        ValueError, match=r"made with SpatialViews\.views=3, but the pipeline has SpatialViews\.views=1"
    ):
        build_dataset(cfg.dataset, "test")


def test_features_of_another_tower_are_refused_by_the_model(data_root, features):
    cfg = config(data_root, feature_dir=str(features), clip_pretrained=None)
    data = build_dataset(cfg.dataset, "test")
    with pytest.raises(ValueError, match="both have to be one model"):
        build_model(cfg, data).check_dataset(data)


def test_damaged_videos_are_named_and_the_others_go_on(data_root, tmp_path, capsys):
    damaged = sorted((data_root / "videos").rglob("*.mp4"))[0]
    whole = damaged.read_bytes()
    try:
        damaged.write_bytes(whole[:200])
        assert main(words(data_root, tmp_path / "out")) == 1
        assert damaged.name in capsys.readouterr().err and damaged.read_bytes() == whole[:200]
    finally:
        damaged.write_bytes(whole)
    name = str(damaged.relative_to(data_root / "videos").with_suffix(""))
    record = json.loads((tmp_path / "out" / "features.json").read_text())
    assert list(record["failed"]) == [name] and not record["complete"]
    plain, cached = (config(data_root, feature_dir=out).dataset for out in (None, str(tmp_path / "out")))
    split = next(split for split in ("train", "val", "test") if name in build_dataset(plain, split).videos)
    failed = tmp_path / "out" / "failed.txt"
    with pytest.raises(
        FileNotFoundError, match=f"1 of [48] videos have no features in .*: {name}; make them by.*; 1 of"
    ):
        build_dataset(cached, split)
    blocked = config(data_root, feature_dir=str(tmp_path / "out"), block_list=str(failed), K_train=1).dataset
    assert name not in build_dataset(blocked, split).videos
    assert main(words(data_root, tmp_path / "out", block_list=failed, K_train=1)) == 0
    assert failed.read_text() == f"{name}\n"  # what is blocked stays on the list
    assert main(words(data_root, tmp_path / "out")) == 0
    assert json.loads((tmp_path / "out" / "features.json").read_text())["complete"] and not failed.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": ["--model", "ViT-B-16", "--reader", "pyav"]}, "--model, --reader: a config says that itself"),
        ({"more": ["--split", "vall"]}, "--split 'vall': the config has no such split; did you mean 'val'"),
        ({"more": ["videos"]}, "give one of SRC (videos) and --config"),
        ({"use_augmentation": True}, "features of frames are made once, so clips cannot be augmented"),
        ({"image_size": 40}, "the pipeline makes frames of (40, 40) pixels, the image tower takes (32, 32)"),
        ({"protocol": "basis"}, "class protocol 'basis'; did you mean 'base'"),
    ],
)
def test_mistakes_are_told(change, message, data_root, tmp_path, capsys):
    change = dict(change)
    assert main(words(data_root, tmp_path / "out", *change.pop("more", []), **change)) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.npy"))


def test_options_of_the_config_need_it(data_root, tmp_path, capsys):
    for more, message in (
        (["--split", "test", "--model", "x"], "--split: they are of --config"),
        (["--cfg-options", "a=1", "--model", "x"], "--cfg-options: they are of --config"),
        ([], "--model is missing"),
    ):
        assert main([data_root, "--out", tmp_path / "out", *more]) == 1
        assert message in capsys.readouterr().err
    config = CONFIG.parents[2] / "demo" / "single_for.py"
    assert main(["--config", config, "--out", tmp_path / "out"]) == 1
    assert "names no `clip`, whose features are made" in capsys.readouterr().err


@pytest.fixture
def swapped(data_root, features, tmp_path):
    """Copies of the set and its features, and the set's first video replaced by another of its class."""
    shutil.copytree(data_root, tmp_path / "set")
    shutil.copytree(features, tmp_path / "features")
    one, other = sorted((tmp_path / "set/videos/Open").iterdir())[:2]
    one.write_bytes(other.read_bytes())
    return tmp_path


def test_training_on_features_of_a_replaced_video_is_refused(swapped):
    cfg = config(swapped / "set", feature_dir=str(swapped / "features"), K_train=3, K_val=0)
    with pytest.raises(ValueError, match=r"1 of 12 files of features in .*Open_001 has \d+ bytes and had \d+"):
        build_dataset(cfg.dataset, "train")


def test_a_replaced_video_has_its_features_made_anew_and_a_copy_has_not(swapped, capsys):
    out, before = swapped / "features", files(swapped / "features")
    assert main(words(swapped / "set", out)) == 0
    assert "1 of 16 videos were replaced since their features were made" in capsys.readouterr().err
    after = files(out)
    made = {name for name in before if name.endswith(".npy") and before[name] != after[name]}
    assert made == {"Open/Open_001.npy"} and after["Open/Open_001.npy"] == after["Open/Open_002.npy"]
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.npy")}
    assert main(words(swapped / "set", out)) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.npy")} == times
    assert "were replaced" not in capsys.readouterr().err
    build_dataset(config(swapped / "set", feature_dir=str(out)).dataset, "train")


def test_features_of_an_older_version_are_taken_with_a_warning(swapped, capsys):
    for path in (swapped / "features").glob("*/*.json"):
        path.unlink()
    build_dataset(config(swapped / "set", feature_dir=str(swapped / "features")).dataset, "train")
    assert main(words(swapped / "set", swapped / "features")) == 0
    assert "16 of 16 files of features do not say which video" in capsys.readouterr().err


def test_an_extraction_that_is_killed_leaves_no_features_of_the_replaced_video(swapped, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(folder.np, "save", fail)
    assert main(words(swapped / "set", swapped / "features")) == 130
    assert not (swapped / "features/Open/Open_001.npy").exists()
