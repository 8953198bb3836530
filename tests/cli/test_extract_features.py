"""`opentad-bi extract-features`: rows, both directions on one lattice, resuming, and a paired dataset on the files."""

import json
import re
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from close import close
from noise_video import write_noise
from places import ROOT
from torch import nn

from opentad_bi.cli.extract import folder as folder_module
from opentad_bi.cli.extract.folder import FeatureFolder
from opentad_bi.cli.main import call
from opentad_bi.config import load_config
from opentad_bi.engine.data import build_dataset
from opentad_bi.engine.extract import plan_parts
from opentad_bi.registry import BACKBONES, DATASETS, MODELS

main = partial(call, "extract-features")
BASES = ROOT / "configs" / "_base_"
FPS, SIZE, STRIDE, WINDOW = 25, 32, 2, 32
FRAMES = {"long": 150, "short": 21, "other": 90}
GRID = {name: -(-frames // STRIDE) for name, frames in FRAMES.items()}

CONFIG = """
_base_ = ["{bases}/datasets/thumos14_e2e.py", "{bases}/models/small.py", "{bases}/schedules/small.py"]
data_root = "{root}"
num_classes, in_channels, window_size, feature_stride, image_size = 2, 8, {window}, {stride}, {size}
dataset = dict(test=dict(window_overlap_ratio=0.25))
solver = dict(test=dict(batch_size=2, num_workers=0))
"""
PAIR = """
model = dict(_delete_=True, type="BiDirectional", for_model="${detector}", back_model="${detector}")
branches = dict(_delete_=True, for_model="${branch}", back_model="${branch}")
"""
SYMMETRIC = """
detector = dict(
    backbone=dict(_delete_=True, type="SymmetricPooling"),
    projection=dict(_delete_=True, type="Conv1DTransformerProj", in_channels=3, out_channels=128, arch=(2, 1, 4)),
)
"""


@BACKBONES.register_module()
class SymmetricPooling(nn.Module):
    """Mean colour of every frame, smoothed over its neighbours: the same forward and backward."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, 1))

    def forward(self, inputs):
        x = inputs.float().mean((3, 4)) / 255 * self.scale
        return F.avg_pool1d(F.pad(x, (1, 1), mode="replicate"), 3, stride=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder in the THUMOS layout with three short videos of noise."""
    root = tmp_path_factory.mktemp("extract")
    for folder in ("annotations", "raw_data"):
        (root / folder).mkdir()
    database = {}
    for i, (name, count) in enumerate(FRAMES.items()):
        path = root / "raw_data" / f"{name}.mp4"
        write_noise(path, i, count, size=SIZE, fps=FPS)
        actions = [{"segment": [0.1, 0.7], "label": "a"}, {"segment": [0.5, 0.8], "label": "b"}]
        subset = "validation" if name == "other" else "training"
        database[name] = {"subset": subset, "duration": count / FPS, "frame": count, "annotations": actions}
    (root / "annotations" / "category_idx.txt").write_text("a\nb\n")
    (root / "annotations" / "thumos_14_anno.json").write_text(json.dumps({"database": database}))
    return root


@pytest.fixture
def prepare(data, tmp_path):
    """Write a config and random weights for it; returns (config, model, words of the command)."""

    def build(*more, seed=0):
        text = CONFIG.format(bases=BASES, root=data, window=WINDOW, stride=STRIDE, size=SIZE) + "".join(more)
        path, weights = tmp_path / "config.py", tmp_path / f"weights{seed}.pth"
        path.write_text(text)
        cfg = load_config(path)
        torch.manual_seed(seed)
        model = MODELS.build(cfg.model).eval()
        torch.save(model.state_dict(), weights)
        words = [str(path), "--out", str(tmp_path / "out"), "--checkpoint", str(weights), "--device", "cpu"]
        return cfg, model, words

    return build


def windows_of(cfg, name):
    """Frames (3, T', H, W), masks and span of every window of one video."""
    subset = ["training", "validation"]
    dataset = DATASETS.build({**cfg.to_dict()["dataset"]["test"], "subset_name": subset})
    return [
        (dataset[i]["inputs"], dataset[i]["masks"], start, end)
        for i, (video, start, end) in enumerate(dataset.windows())
        if video == name
    ]


def load(tmp_path, direction, name):
    return np.load(tmp_path / "out" / direction / f"{name}.npy")


def test_rows_are_the_backbone_run_by_hand(prepare, tmp_path):
    cfg, model, words = prepare()
    assert main(words) == 0
    windows = windows_of(cfg, "long")
    assert [(start, end) for *_, start, end in windows] == [(0, 32), (24, 56), (43, 75)]
    forward, backward = load(tmp_path, "for", "long"), load(tmp_path, "back", "long")
    assert forward.shape == backward.shape == (GRID["long"], 8)
    assert forward.dtype == backward.dtype == np.float32
    for (frames, _, start, end), (first, stop) in zip(windows, [(0, 28), (28, 50), (50, 75)], strict=True):
        with torch.no_grad():
            seen = model.backbone(frames[None])[0].T.numpy()
            reversed_ = model.backbone(frames.flip(1)[None])[0].T.numpy()
        close(forward[first:stop], seen[first - start : stop - start])
        for position in range(first, stop):
            row = backward[GRID["long"] - 1 - position]
            close(row, reversed_[end - 1 - position])
    assert np.abs(forward - backward[::-1]).max() > 1e-3  # the network tells directions apart


def test_padding_of_a_short_video_follows_its_reversal(prepare, tmp_path):
    cfg, model, words = prepare()
    assert main([*words, "--subset", "training"]) == 0
    [(frames, masks, *_)] = windows_of(cfg, "short")
    valid = int(masks.sum())
    assert valid == GRID["short"] < WINDOW
    turned = torch.cat([frames[:, :valid].flip(1), frames[:, :1].expand(-1, WINDOW - valid, -1, -1)], dim=1)
    with torch.no_grad():
        expected = model.backbone(torch.stack([frames, turned]))[:, :, :valid].transpose(1, 2).numpy()
    for direction, rows in zip(("for", "back"), expected, strict=True):
        close(load(tmp_path, direction, "short"), rows)
    assert not (tmp_path / "out" / "for" / "other.npy").exists()


def test_a_pair_on_the_files_sees_both_directions_aligned(prepare, data, tmp_path):
    cfg, _, words = prepare(SYMMETRIC)
    assert main(words) == 0
    for name in FRAMES:
        close(load(tmp_path, "back", name)[::-1], load(tmp_path, "for", name))
    cut = {
        "train": {"type": "RandomTrunc", "trunc_len": 16, "crop_ratio": [0.5, 1.0]},
        "test": {"type": "SlidingWindowTrunc"},
    }
    splits = cfg.to_dict()["dataset"]
    for split, step in cut.items():
        splits[split]["data_path"] = str(tmp_path / "out" / "for")
        splits[split]["pipeline"] = [
            {"type": "LoadFeats", "feat_format": "npy"}, step, {"type": "Collect", "inputs": "feats"}
        ]  # fmt: skip
    wrap = {"type": "PairedDataset", "source": "files", "back_data_path": str(tmp_path / "out" / "back")}
    for split in cut:
        dataset = build_dataset({**splits, "wrap": wrap}, split)
        for i in range(len(dataset)):
            sample = dataset[i, 7]
            valid = int(sample["for"]["masks"].sum())
            ahead, turned = sample["for"]["inputs"], sample["back"]["inputs"]
            close(turned[:, :valid], ahead[:, :valid].flip(1))
            assert ahead[:, :valid].std(dim=1).min() > 0


def test_a_pair_gives_each_direction_from_its_own_network(prepare, tmp_path):
    cfg, model, words = prepare(PAIR)
    frames = windows_of(cfg, "short")[0][0][None]
    valid = GRID["short"]
    for words_more, network in (([], model.for_model), (["--branch", "back_model", "--overwrite"], model.back_model)):
        assert main([*words, *words_more, "--direction", "for", "--subset", "training"]) == 0
        with torch.no_grad():
            expected = network.backbone(frames)[0, :, :valid].T.numpy()
        close(load(tmp_path, "for", "short"), expected)
    assert not (tmp_path / "out" / "back").exists()


def test_finished_files_are_kept_and_other_settings_refused(prepare, tmp_path, capsys):
    _, _, words = prepare()
    assert main(words) == 0
    out = tmp_path / "out"
    files = sorted(out.rglob("*.npy"))
    assert len(files) == 6
    before = {path: path.stat().st_mtime_ns for path in files}
    lost, content = files[1], files[1].read_bytes()
    lost.unlink()
    assert main(words) == 0
    assert lost.read_bytes() == content
    assert all(path.stat().st_mtime_ns == before[path] for path in files if path != lost)
    assert not list(out.rglob(".*"))

    record = json.loads((out / "back.json").read_text())
    assert record["features"]["dataset"]["window_size"] == WINDOW
    assert record["weights"].endswith("weights0.pth")
    _, _, others = prepare(seed=1)
    assert main(others) == 1
    assert "weights_sha256" in capsys.readouterr().err
    assert lost.read_bytes() == content
    assert main([*others, "--overwrite"]) == 0
    assert lost.read_bytes() != content


@pytest.fixture
def killed(monkeypatch):
    """Run the command, killed once one file is written."""

    def run(words):
        save = np.save

        def save_once(*args):
            save(*args)
            monkeypatch.setattr(np, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))

        with monkeypatch.context():
            monkeypatch.setattr(np, "save", save_once)
            assert main(words) == 130
        monkeypatch.setattr(np, "save", save)

    return run


def test_an_interrupted_extraction_goes_on(prepare, tmp_path, killed):
    _, _, words = prepare()
    out = tmp_path / "out"
    killed(words)
    (done,) = out.rglob("*.npy")
    made = done.stat().st_mtime_ns
    assert [json.loads((out / f"{d}.json").read_text())["complete"] for d in ("for", "back")] == [False, False]
    assert main(words) == 0
    assert [json.loads((out / f"{d}.json").read_text())["complete"] for d in ("for", "back")] == [True, True]
    assert len(list(out.rglob("*.npy"))) == 6 and done.stat().st_mtime_ns == made


def test_an_interrupted_overwriting_is_not_taken_for_finished(prepare, tmp_path, killed, capsys):
    _, _, words = prepare()
    assert main(words) == 0
    former = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.npy")}
    _, _, others = prepare(seed=1)
    killed([*others, "--overwrite"])
    assert sum(path.read_bytes() != content for path, content in former.items()) == 1
    assert main(others) == 1
    assert "an --overwrite that did not end" in capsys.readouterr().err
    assert main([*others, "--overwrite"]) == 0
    assert all(path.read_bytes() != content for path, content in former.items())
    assert main(others) == 0
    record = tmp_path / "out" / "for.json"
    content = json.loads(record.read_text())
    del content["complete"], content["overwrites"]  # as records were that did not say
    record.write_text(json.dumps(content))
    assert main(others) == 0


def test_processes_share_the_videos_that_the_first_one_sees(tmp_path, monkeypatch):
    """A file that appears between two processes' looks must leave no video to nobody."""
    monkeypatch.setattr(folder_module, "world_size", lambda: 2)
    first, taken = [], []
    # the list of process 0 is what all get, as all_gather_object gives it
    monkeypatch.setattr(folder_module, "gather_objects", lambda mine: [first.append(mine) or first[0]], raising=False)
    for rank in range(2):
        monkeypatch.setattr(folder_module, "rank", lambda number=rank: number)
        taken += FeatureFolder(tmp_path, {}, kinds=["for"]).todo("abcd")
        (tmp_path / "for").mkdir(exist_ok=True)
        (tmp_path / "for" / "a.npy").touch()
    assert sorted(taken) == list("abcd")


def test_interrupted_videos_are_done_again_whole(tmp_path):
    parts = plan_parts([("a", 0, 8), ("a", 6, 14), ("b", 0, 5)])
    assert [(p.video, p.first, p.stop, p.last) for p in parts] == [
        ("a", 0, 7, False), ("a", 1, 8, True), ("b", 0, 5, True),
    ]  # fmt: skip
    for name in ("for/a.npy", "for/b.npy", "back/b.npy"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert FeatureFolder(tmp_path, {}, kinds=["for", "back"]).todo("ab") == ["a"]
    assert FeatureFolder(tmp_path, {}, kinds=["for"]).todo("ab") == []
    assert FeatureFolder(tmp_path, {}, kinds=["for"], overwrite=True).todo("ab") == ["a", "b"]


@pytest.mark.parametrize(
    ("config", "more", "message"),
    [
        ("", ["--branch", "for_model"], "did you mean 'model'|known: model"),
        ("", [], "no weights for branch 'model'"),
        ("detector = dict(backbone=None)", [], "has no backbone"),
        ("", ["--subset", "trainng"], "did you mean 'training'"),
    ],
)
def test_errors_say_what_to_do(prepare, capsys, config, more, message):
    _, _, words = prepare(config)
    words = [word for word in words if "weights" not in word and word != "--checkpoint"]
    assert main([*words, *more]) == 1
    assert re.search(message, capsys.readouterr().err)


def test_only_windows_of_frames_can_be_extracted(data, tmp_path, capsys):
    paths = {"annotation_path": "thumos_14_anno.json", "class_map": "category_idx.txt"}
    options = [f"{key}={data / 'annotations' / name}" for key, name in paths.items()]
    config = BASES.parent / "actionformer" / "thumos_i3d.py"
    words = [str(config), "--out", str(tmp_path / "out"), "--cfg-options", "block_list=None", *options]
    assert main(words) == 1
    assert "ThumosPaddingDataset" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_whole_windows_of_a_file_give_the_head_what_frames_give_it(prepare, tmp_path):
    cfg, model, words = prepare('dataset["test"]["window_overlap_ratio"] = 0')
    assert main([*words, "--direction", "for"]) == 0
    frames, masks, *span = windows_of(cfg, "long")[0]
    assert span == [0, WINDOW]
    rows = torch.from_numpy(load(tmp_path, "for", "long")[:WINDOW])
    with torch.no_grad():
        seen = model.raw({"inputs": frames[None], "masks": masks[None]})
        model.backbone = None
        read = model.raw({"inputs": rows.T[None], "masks": masks[None]})
    for level in range(len(seen.cls)):
        close(read.cls[level], seen.cls[level], ulps=1024)
        close(read.reg[level], seen.reg[level], ulps=1024)


@pytest.mark.parametrize("more", [[], ["--windows"]])
def test_features_of_a_replaced_video_are_made_anew(prepare, data, tmp_path, more, capsys):
    shutil.copytree(data, tmp_path / "set")
    words = [*prepare()[2], *more]
    config = Path(words[0])
    config.write_text(config.read_text().replace(str(data), str(tmp_path / "set")))
    assert main(words) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.npy")}
    times = {path: path.stat().st_mtime_ns for path in before}
    write_noise(tmp_path / "set/raw_data/short.mp4", 7, FRAMES["short"], size=SIZE, fps=FPS)
    assert main(words) == 0
    assert "1 of 3 videos were replaced since their features were made" in capsys.readouterr().err
    changed = {path for path in before if path.read_bytes() != before[path]}
    assert {path.stem for path in changed} == {"short"} and len(changed) == 2
    assert all(path.stat().st_mtime_ns == times[path] for path in times if path not in changed)
    (tmp_path / "set/raw_data/short.mp4").touch()
    assert main(words) == 0
    assert "were replaced" not in capsys.readouterr().err
