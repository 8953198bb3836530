"""Experiment 3-x by its commands: train from a pair, test every direction, and what is refused."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from close import close
from processes import run_processes

from opentad_bi.cli import train
from opentad_bi.cli.main import call

CONFIGS = "configs/actionformer/thumos_i3d_bi_exp"
LABELS = ["Run", "Jump"]
NARROW = (
    "projection.out_channels",
    "neck.in_channels",
    "neck.out_channels",
    "rpn_head.in_channels",
    "rpn_head.feat_channels",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Features of both directions of two training videos and one test video."""
    root = tmp_path_factory.mktemp("fusion")
    (root / "annotations").mkdir()
    (root / "annotations" / "category_idx.txt").write_text("\n".join(LABELS))
    database = {}
    for i, subset in enumerate(("training", "training", "validation")):
        feats = np.random.default_rng(i).normal(size=(40, 8)).astype(np.float32)
        for folder, array in (("for", feats), ("back", feats[::-1])):
            (root / folder).mkdir(exist_ok=True)
            np.save(root / folder / f"v{i}.npy", array)
        actions = [{"segment": [0.5 + k, 2.5 + k], "label": LABELS[k]} for k in range(2)]
        database[f"v{i}"] = {"subset": subset, "duration": 6.4, "frame": 160, "annotations": actions}
    (root / "annotations" / "thumos_14_anno.json").write_text(json.dumps({"database": database}))
    return root


def options(root, **more):
    values = {
        "data_root": root,
        "data_path": root / "for",
        "back_data_path": root / "back",
        "block_list": None,
        "in_channels": 8,
        "num_classes": 2,
        "trunc_len": 64,
        **{f"detector.{name}": 32 for name in NARROW},  # a checkpoint of 512 channels takes a gigabyte
        "attention_window": 3,
        "end_epoch": 1,
        "warmup_epoch": 0,
        "workflow.val_start_epoch": 0,
        "workflow.tensorboard": False,
        "solver.train.num_workers": 0,
        "solver.test.num_workers": 0,
        **more,
    }
    return ["--device", "cpu", "--cfg-options", *(f"{key}={value}" for key, value in values.items())]


@pytest.fixture(scope="module")
def pair(root):
    """Checkpoint of experiment 1."""
    words = [f"{CONFIGS}1.py", "--work-dir", root / "exp1", *options(root)]
    assert call("train", words) == 0
    return root / "exp1" / "gpu1_id0" / "checkpoint" / "best.pth"


@pytest.fixture(scope="module")
def fused(root, pair):
    """Work folder of experiment 3-3 started from it."""
    words = [f"{CONFIGS}3_3.py", "--work-dir", root / "exp3", "--for-resume", pair, "--back-resume", pair]
    assert call("train", [*words, *options(root)]) == 0
    return root / "exp3" / "gpu1_id0"


@pytest.mark.parametrize(
    ("direction", "written"),
    [
        ("fused", {"fused", "fused_for", "fused_back"}),
        ("merged", {"for", "back", "merged"}),
        ("for", set()),
        ("all", {"for", "back", "merged", "fused", "fused_for", "fused_back"}),
    ],
)
def test_every_direction_of_a_fused_run(root, fused, tmp_path, direction, written):
    numbers = tmp_path / "numbers.json"
    words = [f"{CONFIGS}3_3.py", "--work-dir", root / "exp3", "--direction", direction]
    assert call("test", [*words, "--out", numbers, "--save-dir", tmp_path, *options(root)]) == 0
    assert set(json.loads(numbers.read_text())) == ({direction} if direction != "all" else written)
    names = {f"result_detection{suffix}.json" for suffix in ("", *(f"_{d}" for d in written))}
    assert {path.name for path in tmp_path.glob("result_detection*")} == names


def test_the_networks_start_from_the_pair_and_the_best_checkpoint_is_by_fused(root, fused, pair):
    config = (fused / "resolved_config.py").read_text()
    assert config.count(str(pair)) == 2
    scores = json.loads((fused / "scores.json").read_text()) if (fused / "scores.json").is_file() else {}
    best = torch.load(fused / "checkpoint" / "best.pth", weights_only=True)
    assert any(name.startswith("fusion.") for name in best["state_dict_ema"])
    assert not scores or best["score"] == max(scores.values())


def refused(capsys, *words):
    assert call("test", [str(word) for word in words]) == 1
    return capsys.readouterr().err


def test_fused_without_a_fusion_is_refused(root, pair, capsys):
    words = [f"{CONFIGS}1.py", "--work-dir", root / "exp1", "--direction", "fused", *options(root)]
    message = refused(capsys, *words)
    assert "--direction fused: " in message and "has no fusion, only for_model, back_model" in message


def test_a_checkpoint_without_a_fusion_is_refused(root, pair, capsys):
    words = [f"{CONFIGS}3_3.py", "--work-dir", root / "other", "--checkpoint", pair, *options(root)]
    assert "the checkpoint holds no fusion, but the config has one" in refused(capsys, *words)


def test_another_window_than_the_fusion_was_built_for_is_refused(root, fused, capsys):
    """Whole videos in place of windows: longer than what the layers along time were built for."""
    checkpoint = fused / "checkpoint" / "best.pth"
    long = np.random.default_rng(9).normal(size=(80, 8)).astype(np.float32)
    for folder in ("for", "back"):
        (root / "long" / folder).mkdir(parents=True, exist_ok=True)
        np.save(root / "long" / folder / "v2.npy", long)
    words = options(root, data_path=root / "long" / "for", back_data_path=root / "long" / "back")
    words += ["dataset.test.type=ThumosPaddingDataset", "dataset.test.pipeline.1=None"]
    config = root / "whole.py"
    config.write_text(
        '_base_ = ["BASE"]\ndataset = dict(test=dict(_delete_=True, type="ThumosPaddingDataset", '
        'ann_file="${annotation_path}", class_map="${class_map}", data_path="${data_path}", feature_stride=4, '
        'offset_frames=8, subset_name="validation", test_mode=True, '
        'pipeline=[dict(type="LoadFeats", feat_format="npy"), dict(type="Collect", inputs="feats")]))\n'.replace(
            "BASE", str(train.Path.cwd() / f"{CONFIGS}3_3.py")
        )
    )
    words = [config, "--work-dir", root / "long", "--checkpoint", checkpoint, "--skip-check", *words[:-2]]
    assert "TimeFC was built for windows of 64 positions" in refused(capsys, *words)


def test_kept_predictions_are_not_overwritten_and_name_the_tool_where_they_lack(root, pair, tmp_path, capsys):
    words = [f"{CONFIGS}3_3.py", "--for-resume", pair, "--back-resume", pair, "--out", tmp_path, "--epochs", "2"]
    words = [str(word) for word in [*words, *options(root)]]
    assert call("cache-predictions", words) == 0
    assert len(list(tmp_path.glob("epoch*.pt"))) == 4
    assert call("cache-predictions", words) == 1
    assert "holds cached predictions already" in capsys.readouterr().err
    from opentad_bi.registry import DATASETS

    with pytest.raises(FileNotFoundError, match=r"make them with opentad-bi cache-predictions"):
        DATASETS.build({"type": "CachedPredictions", "folder": str(tmp_path / "nowhere")})


def test_kept_predictions_of_other_weights_or_replaced_features_are_refused(root, pair, tmp_path, capsys):
    cached, work = tmp_path / "cached", ["--work-dir", str(tmp_path / "run"), "--skip-check"]
    data = tmp_path / "set"
    shutil.copytree(root, data, ignore=shutil.ignore_patterns("exp*", "long", "other"))
    words = [f"{CONFIGS}3_3.py", "--for-resume", pair, "--back-resume", pair, "--out", cached, "--epochs", "1"]
    assert call("cache-predictions", [str(word) for word in [*words, *options(data)]]) == 0
    state = torch.load(pair, weights_only=True)
    name = next(name for name in state["state_dict_ema"] if name.startswith("back_model.") and name.endswith("weight"))
    state["state_dict_ema"][name] += 1
    torch.save(state, tmp_path / "other.pth")
    config = tmp_path / "cached.py"
    config.write_text(
        f'_base_ = ["{train.Path.cwd()}/{CONFIGS}3_3.py"]\n'
        f'dataset = dict(train=dict(_delete_=True, type="CachedPredictions", folder="{cached}"))\n'
        "branch = dict(trainable=[])\nmodel = dict(aux_loss_weight=0.0)\n"
    )

    def words_from(back):
        return [str(word) for word in [config, "--for-resume", pair, "--back-resume", back, *work, *options(data)]]

    assert call("train", words_from(tmp_path / "other.pth")) == 1
    assert "were made by other weights than those of back here" in capsys.readouterr().err
    assert call("train", words_from(pair)) == 0
    np.save(data / "back" / "v0.npy", np.load(data / "back" / "v1.npy"))
    assert call("train", [*words_from(pair), "--id", "1"]) == 1
    assert "are of 1 files that were replaced since" in capsys.readouterr().err


def test_two_processes_keep_what_one_keeps_and_train_a_fusion_on_it(root, pair, tmp_path):
    common = [f"{CONFIGS}3_3.py", "--for-resume", pair, "--back-resume", pair]
    kept = [*common, "--epochs", "2", *options(root)]
    run_processes(2, partial(call, "cache-predictions"), [str(word) for word in ["--out", tmp_path / "two", *kept]])
    assert call("cache-predictions", [str(word) for word in ["--out", tmp_path / "one", *kept]]) == 0
    files = [sorted((tmp_path / folder).glob("epoch*.pt")) for folder in ("one", "two")]
    assert [path.name for path in files[0]] == [path.name for path in files[1]]

    def content(paths):
        samples = [torch.load(path, weights_only=True) for path in paths]
        return {(path.name[:8], s["video"]): s["raw"] for path, s in zip(paths, samples, strict=True)}

    one, two = map(content, files)
    assert one.keys() == two.keys() and len(one) == 4
    for key, raw in one.items():
        for direction in ("for", "back"):
            close(raw[direction], two[key][direction])
    words = [*common, "--work-dir", tmp_path / "run", *options(root)]
    run_processes(2, partial(call, "train"), [str(word) for word in words])
    best = torch.load(tmp_path / "run" / "gpu2_id0" / "checkpoint" / "best.pth", weights_only=True)
    assert any(name.startswith("fusion.") for name in best["state_dict_ema"])


@pytest.mark.parametrize(
    ("video", "command"), [("v2", "test"), ("v0", "cache")], ids=["evaluation", "cached predictions"]
)
def test_features_that_are_not_finite_end_a_command_with_the_name_of_the_video(
    root, pair, tmp_path, capsys, video, command
):
    for folder in ("for", "back"):
        (tmp_path / folder).mkdir()
        for path in (root / folder).glob("*.npy"):
            feats = np.load(path)
            feats[5, 3] = np.nan if path.stem == video else feats[5, 3]
            np.save(tmp_path / folder / path.name, feats)
    own = options(root, data_path=tmp_path / "for", back_data_path=tmp_path / "back")
    words = [f"{CONFIGS}1.py", "--checkpoint", pair]
    if command == "test":
        err = refused(capsys, *words, "--save-dir", tmp_path, *own)
    else:
        words += ["--out", tmp_path / "kept", "--epochs", 1, *own]
        assert call("cache-predictions", [str(word) for word in words]) == 1
        err = capsys.readouterr().err
        assert not list((tmp_path / "kept").glob("*.pt"))
    assert f"{video}.npy" in err and "1 NaN or infinite number" in err
