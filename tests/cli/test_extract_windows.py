"""`opentad-bi extract-features --windows`: a detector on the files gives what it gives end to end, window by window."""

import json
import re
from functools import partial

import numpy as np
import pytest
import torch
from close import close
from noise_video import write_noise
from places import ROOT

from opentad_bi.cli.main import call
from opentad_bi.config import load_config
from opentad_bi.datasets.detection.features import open_windows
from opentad_bi.engine import Runner
from opentad_bi.engine.data import build_dataset
from opentad_bi.engine.extract import in_dtype
from opentad_bi.registry import MODELS

main = partial(call, "extract-features")
BASES = ROOT / "configs" / "_base_"
FPS, SIZE, STRIDE, WINDOW, STEP, WIDTH = 25, 32, 2, 32, 24, 16
FRAMES = {"long": 150, "short": 21, "other": 90}
# first positions and valid lengths: whole windows, one moved back to end with the video, and a padded one
STARTS = {"long": [0, 24, 43], "short": [0], "other": [0, 13]}
VALID = {"long": [32, 32, 32], "short": [11], "other": [32, 32]}

FRAME_CONFIG = """
_base_ = ["{bases}/datasets/thumos14_e2e.py", "{bases}/models/adatad.py", "{bases}/schedules/adatad.py"]
data_root = "{root}"
num_classes, window_size, feature_stride, image_size = 2, {window}, {stride}, {size}
embed_dims, depth, num_heads, patch_size = {width}, 2, 2, 16
detector = dict(
    projection=dict(out_channels=16, arch=(2, 1, 2), path_pdrop=0.0),
    neck=dict(in_channels=16, out_channels=16, num_levels=3),
    rpn_head=dict(
        in_channels=16,
        feat_channels=16,
        reg_prior=1.0,
        prior_generator=dict(strides=[1, 2, 4], regression_range=[(0, 4), (4, 8), (8, 10000)]),
    ),
)
windows = dict(type="ThumosSlidingDataset", window_overlap_ratio=0.25)
dataset = dict(train=dict(window_size="${{window_size}}", pipeline="${{frames}}", **windows), test=windows)
del windows
frames = [
    dict(type="LoadFrames", method="sliding_window"),
    dict(type="DecodeFrames"),
    dict(type="Resize", scale=[-1, "${{image_size}}"]),
    dict(type="Collect"),
]
solver = dict(train=dict(batch_size=2, num_workers=0), test=dict(batch_size=2, num_workers=0), amp=None)
workflow = dict(end_epoch=1, tensorboard=False, val_eval_interval=0)
work_dir = "{work_dir}"
"""
PAIR = """
model = dict(_delete_=True, type="BiDirectional", for_model="${detector}", back_model="${detector}")
branches = dict(_delete_=True, for_model="${branch}", back_model="${branch}")
dataset["wrap"] = dict(type="PairedDataset", source="device")
"""
FEATURES = """
frames = [dict(type="LoadWindowFeats"), dict(type="Collect", inputs="feats")]
dataset["test"]["pipeline"] = "${{frames}}"
data_path = "{features}/for"
detector["backbone"] = None
branch = dict(trainable=None, pretrained=None, optimizer=dict(backbone=None), load_unexpected=["backbone.*"])
"""
PAIRED_FILES = 'dataset["wrap"] = dict(type="PairedDataset", source="files", back_data_path="{features}/back")\n'


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder in the THUMOS layout with three short videos of noise that brightens."""
    root = tmp_path_factory.mktemp("windows")
    for folder in ("annotations", "raw_data"):
        (root / folder).mkdir()
    database = {}
    for i, (name, count) in enumerate(FRAMES.items()):
        path = root / "raw_data" / f"{name}.mp4"
        write_noise(path, i, count, size=SIZE, fps=FPS, low=lambda n: n, high=lambda n: 100 + n)
        actions = [{"segment": [0.1, 0.7], "label": "a"}, {"segment": [0.5, 0.8], "label": "b"}]
        if name == "long":
            actions += [{"segment": [2.1, 3.9], "label": "a"}, {"segment": [4.5, 5.9], "label": "b"}]
        subset = "validation" if name == "other" else "training"
        database[name] = {"subset": subset, "duration": count / FPS, "frame": count, "annotations": actions}
    (root / "annotations" / "category_idx.txt").write_text("a\nb\n")
    (root / "annotations" / "thumos_14_anno.json").write_text(json.dumps({"database": database}))
    return root


@pytest.fixture(params=["single", "pair"])
def case(request, root, tmp_path):
    """Configs on frames and on features of a network or a pair, and the weights of the former."""
    pair = PAIR if request.param == "pair" else ""
    values = {"bases": BASES, "root": root, "window": WINDOW, "stride": STRIDE, "size": SIZE, "width": WIDTH}
    text = FRAME_CONFIG.format(work_dir=tmp_path / "exps", **values)
    files = FEATURES + (PAIRED_FILES if pair else "")
    (tmp_path / "frames.py").write_text(text + pair)
    (tmp_path / "features.py").write_text(text + pair + files.format(features=tmp_path / "out"))
    torch.manual_seed(0)
    model = MODELS.build(load_config(tmp_path / "frames.py").model).eval()
    for name, parameter in model.named_parameters():  # as they start, these let hardly anything through
        if "drop_path" in name or "adapter.up_proj" in name or "adapter.gamma" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "trained.pth")
    return tmp_path, model, request.param


def extract(folder, *words):
    words = (str(folder / "frames.py"), str(folder / "trained.pth"), "--out", str(folder / "out"), *words)
    return main([*words, "--windows", "--device", "cpu"])


def on_features(folder, kind):
    """The model on features, each branch with its detector out of the checkpoint of the whole."""
    cfg = load_config(folder / "features.py")
    for branch in cfg.branches.values():
        branch.load_from = str(folder / "trained.pth")
    return cfg, Runner(cfg, work_dir=folder, device=torch.device("cpu"), training=True).model.eval()


def maps_and_losses(model, batch):
    """{name: tensor} of all that a model says about a batch with ground truth."""
    with torch.no_grad():
        found = dict(model(batch))
        for direction, network in model.branches().items():
            side = model._side(batch, direction.removesuffix("_model")) if direction != "model" else batch
            prediction = network.raw(side)
            for level, (cls, reg) in enumerate(zip(prediction.cls, prediction.reg, strict=True)):
                found |= {f"{direction} cls {level}": cls, f"{direction} reg {level}": reg}
        return found


def test_every_window_gives_the_detector_what_frames_give_it(case):
    folder, end_to_end, kind = case
    assert extract(folder) == 0
    frames_cfg = load_config(folder / "frames.py")
    cfg, model = on_features(folder, kind)
    assert not [name for name in model.state_dict() if "backbone" in name]
    for split, windows in (("train", 4), ("test", 2)):
        seen, read = build_dataset(frames_cfg.dataset, split), build_dataset(cfg.dataset, split)
        assert len(seen) == len(read) == windows
        frames = seen.collate([seen[i] for i in range(windows)])
        features = read.collate([read[i] for i in range(windows)])
        if split == "test":
            compare_predictions(end_to_end.predict(frames), model.predict(features))
            continue
        spans = [(meta.video, meta.window_start_frame // STRIDE) for meta in side_of(features)["meta"]]
        assert spans == [(name, start) for name in ("long", "short") for start in STARTS[name]]
        assert side_of(features)["masks"].sum(1).tolist() == VALID["long"] + VALID["short"]
        expected, found = maps_and_losses(end_to_end, frames), maps_and_losses(model, features)
        assert expected.keys() == found.keys()
        for name in expected:
            close(found[name], expected[name], ulps=1024, msg=name)
        assert all(value.std() > 0.01 for name, value in expected.items() if "cls 0" in name)


def side_of(batch):
    """The forward side of a batch."""
    return batch.get("for", batch)


def compare_predictions(expected, found):
    for a, b in zip(expected, found, strict=True):
        assert a.meta == b.meta and a.detections.keys() == b.detections.keys()
        for direction, kept in a.detections.items():
            other = b.detections[direction]
            assert len(kept.scores) > 20
            close(other.scores, kept.scores, ulps=1024)
            close(other.segments.sort(0).values, kept.segments.sort(0).values, ulps=8192)


def test_files_hold_the_outputs_of_the_backbone_padding_included(case):
    folder, model, kind = case
    assert extract(folder) == 0
    cfg = load_config(folder / "frames.py").dataset
    dataset = build_dataset({"train": cfg.train}, "train")
    networks = {"for": model, "back": model} if kind == "single" else {"for": model.for_model, "back": model.back_model}
    for i, (video, start, _) in enumerate(dataset.windows()):
        frames, valid = dataset[i]["inputs"], int(dataset[i]["masks"].sum())
        turned = torch.cat([frames[:, :valid].flip(1), frames[:, :1].expand(-1, WINDOW - valid, -1, -1)], dim=1)
        for direction, inputs in (("for", frames), ("back", turned)):
            file = open_windows(folder / "out" / direction / f"{video}.npy")
            assert (file.starts, file.valid) == (STARTS[video], VALID[video])
            feats, length = file.window(start, WINDOW)
            assert feats.dtype == np.float32 and length == valid
            with torch.no_grad():
                rows = networks[direction].backbone(inputs[None])[0].T.numpy()
            close(feats, rows)
            assert np.abs(feats[length:]).min(initial=1) > 0


@pytest.mark.parametrize("case", ["single"], indirect=True)
@pytest.mark.parametrize("change", [{"window_size": 64}, {"dataset.train.window_overlap_ratio": 0.5}], ids=str)
def test_other_windows_than_the_files_hold_are_an_error_that_names_both(case, change):
    folder = case[0]
    assert extract(folder, "--direction", "for") == 0
    dataset = build_dataset(load_config(folder / "features.py", change).dataset, "train")
    asked = "64 at 0" if "window_size" in change else "32 at 16"
    with pytest.raises(ValueError, match=rf"of windows of 32 positions that begin at 0, 24, 43; .* {asked}: "):
        [dataset[i] for i in range(len(dataset))]


@pytest.mark.parametrize("case", ["single"], indirect=True)
def test_half_precision_rounds_and_takes_half_the_room(case, capsys):
    folder = case[0]
    assert extract(folder) == 0
    exact = {path: np.load(path) for path in (folder / "out").rglob("*.npy")}
    assert len(exact) == 6
    assert extract(folder, "--dtype", "float16") == 1
    assert "in dtype" in capsys.readouterr().err
    assert extract(folder, "--dtype", "float16", "--overwrite") == 0
    for path, full in exact.items():
        half = np.load(path)
        assert half.dtype == np.float16 and half.shape == full.shape
        np.testing.assert_allclose(half.astype(np.float32), full, rtol=2**-11, atol=1e-7)
    with pytest.raises(ValueError, match=r"video .long.: features reach 7e\+04, more than float16 holds"):
        in_dtype(np.full((2, 2), 7e4, np.float32), "float16", "long")


@pytest.mark.parametrize("case", ["single"], indirect=True)
def test_one_form_is_not_mixed_with_the_other(case, capsys):
    folder = case[0]
    words = [str(folder / "frames.py"), "--out", str(folder / "out"), "--device", "cpu"]
    assert main([*words, "--checkpoint", str(folder / "trained.pth")]) == 0
    record = json.loads((folder / "out" / "for.json").read_text())
    del record["features"]["form"], record["features"]["dtype"]  # as records were written that knew one form alone
    (folder / "out" / "for.json").write_text(json.dumps(record))
    assert main([*words, "--checkpoint", str(folder / "trained.pth")]) == 0
    assert extract(folder) == 1
    assert "made otherwise, in form" in capsys.readouterr().err
    assert main([words[0], str(folder / "trained.pth"), *words[1:], "--checkpoint", "other.pth"]) == 1
    assert re.search(r"two checkpoints are named: .*trained\.pth and --checkpoint other\.pth", capsys.readouterr().err)


@pytest.mark.parametrize("case", ["pair"], indirect=True)
def test_files_of_windows_are_checked_before_training(case, capsys):
    folder = case[0]
    config = str(folder / "features.py")
    assert call("check", [config, "--fast"]) == 1
    assert capsys.readouterr().out.count("do not exist") == 6
    assert extract(folder) == 0
    assert call("check", [config]) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out
    assert call("check", [config, "--cfg-options", "window_size=64"]) == 1
    assert "of windows of 32 positions" in capsys.readouterr().out
    lost = folder / "out" / "back" / "short.npy"
    table = np.load(lost)
    np.save(lost, np.where(np.arange(WIDTH) == 3, np.nan, table))
    (folder / "out" / "for" / "long.json").write_text('{"starts": [0], "valid": [32]}')
    (folder / "out" / "for" / "other.npy").write_bytes((folder / "out" / "for" / "other.npy").read_bytes()[:300])
    assert call("check", [config]) == 1
    text = capsys.readouterr().out
    assert "short.npy, window at 0, hold 32 NaN or infinite numbers, first in row 0" in text
    assert "long.npy have shape (3, 32, 16)" in text and "the 1 windows of long.json" in text
    assert "other.npy cannot be read" in text


@pytest.mark.parametrize("case", ["single"], indirect=True)
def test_a_window_is_read_without_the_rest_of_its_file(case):
    folder = case[0]
    assert extract(folder, "--direction", "for") == 0
    assert isinstance(open_windows(folder / "out" / "for" / "long.npy").feats, np.memmap)
    with pytest.raises(FileNotFoundError, match=r"none\.npy do not exist"):
        open_windows(folder / "out" / "for" / "none.npy")
    (folder / "out" / "for" / "long.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"list of the windows in long\.npy"):
        open_windows(folder / "out" / "for" / "long.npy")


def test_whole_videos_have_no_windows_to_load(case):
    folder, *_ = case
    change = {"dataset.test.type": "ThumosPaddingDataset"}
    cfg = load_config(folder / "features.py", change).dataset.to_dict()["test"]
    dataset = build_dataset({"test": {k: v for k, v in cfg.items() if not k.startswith("window")}}, "test")
    with pytest.raises(ValueError, match="ThumosSlidingDataset"):
        dataset[0]
