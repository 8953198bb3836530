"""`opentad-bi stats`: its numbers as a file, its proposal as a config that works, its errors."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from places import ROOT

from opentad_bi.cli.main import call
from opentad_bi.config import config_text, load_config
from opentad_bi.registry import MODELS

main = partial(call, "stats")

BASES = ROOT / "configs" / "_base_"
FPS = 25
FRAMES_CONFIG = """
_base_ = ["{bases}/datasets/thumos14_e2e.py", "{bases}/models/small.py", "{bases}/schedules/small.py"]
data_root = "{root}"
num_classes, window_size, image_size = 2, 64, 32
detector = dict(projection=dict(out_channels=16), neck=dict(out_channels=16), rpn_head=dict(feat_channels=16))
detector["neck"]["in_channels"] = detector["rpn_head"]["in_channels"] = 16
"""
FEATURES_CONFIG = """
_base_ = [
    "{bases}/datasets/thumos14_features.py",
    "{bases}/models/actionformer.py",
    "{bases}/schedules/actionformer.py",
]
data_root = "{root}"
num_classes, in_channels, trunc_len, feature_stride = 2, 8, 2304, 8
detector = dict(projection=dict(out_channels=16, attn_cfg=dict(n_mha_win_size=19), max_seq_len="${{trunc_len}}"))
detector["neck"] = dict(in_channels=16, out_channels=16)
detector["rpn_head"] = dict(in_channels=16, feat_channels=16)
"""
PAIR = """
model = dict(_delete_=True, type="BiDirectional", for_model="${detector}", back_model="${detector}")
branches = dict(_delete_=True, for_model="${branch}", back_model="${branch}")
dataset = dict(wrap=dict(type="PairedDataset", source="device"))
"""


@pytest.fixture
def root(tmp_path):
    """Annotations of 30 training and 10 validation videos of 40 to 120 s; actions of 1 to 30 s; no videos."""
    rng, database = np.random.default_rng(0), {}
    for i in range(40):
        duration = float(rng.uniform(40, 120))
        starts = np.sort(rng.uniform(0, duration - 1, 8))
        ends = np.minimum(starts + np.exp(rng.normal(1.2, 0.8, 8)).clip(1, 30), duration)
        actions = [
            {"segment": [float(s), float(e)], "label": "ab"[k % 2]}
            for k, (s, e) in enumerate(zip(starts, ends, strict=True))
        ]
        database[f"v{i}"] = {
            "subset": "validation" if i % 4 == 0 else "training",
            "duration": duration,
            "frame": int(duration * FPS),
            "annotations": actions,
        }
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "category_idx.txt").write_text("a\nb\n")
    (tmp_path / "annotations" / "thumos_14_anno.json").write_text(json.dumps({"database": database}))
    return tmp_path


def count(root, text, *words):
    """Run the command on a config; returns its exit code and the numbers."""
    (root / "mine.py").write_text(text.format(bases=BASES, root=root) if "{bases}" in text else text)
    code = main([root / "mine.py", "--out", root / "numbers.json", *words])
    return code, json.loads((root / "numbers.json").read_text()) if code == 0 else None


@pytest.mark.parametrize("kind", ["frames", "pair", "features", "features, windows of levels"])
def test_the_proposal_is_a_config_that_works(root, capsys, kind):
    text = FEATURES_CONFIG if "features" in kind else FRAMES_CONFIG
    if "levels" in kind:
        text = text.replace("n_mha_win_size=19", "n_mha_win_size=[9, 9, 9, 19, 19, 19]")
    code, found = count(root, text.format(bases=BASES, root=root) + (PAIR if kind == "pair" else ""))
    assert code == 0
    proposal, printed = found["proposal"], capsys.readouterr().out
    assert printed.rstrip().endswith(proposal["config"])
    (root / "child.py").write_text(proposal["config"])
    cfg = load_config(root / "child.py")
    network = cfg.model.get("for_model", cfg.model)
    points = network.rpn_head.prior_generator
    assert points.strides == proposal["strides"]
    assert [list(pair) for pair in points.regression_range] == proposal["regression_range"]
    assert network.projection.max_seq_len == proposal["window_size"]
    assert cfg.dataset.train.feature_stride == proposal["feature_stride"]
    if "features" in kind:  # those that are there keep their stride, and local attention its blocks
        assert proposal["feature_stride"] == 8 and proposal["window_size"] % (18 * max(proposal["strides"])) == 0
        with torch.no_grad():
            model = MODELS.build(cfg.model).eval()
            maps = model.raw({"inputs": torch.zeros(1, 8, 40), "masks": torch.ones(1, 40, dtype=torch.bool)})
        assert len(maps.cls) == len(proposal["strides"])
    else:
        MODELS.build(cfg.model)
        assert cfg.dataset.test.window_size == proposal["window_size"]
    assert proposal["inside"] >= 0.99


def test_the_numbers_stand_in_the_file_and_in_the_tables(root, capsys):
    code, found = count(root, FRAMES_CONFIG)
    printed = capsys.readouterr().out
    assert code == 0 and (found["window"], found["overlap"], found["thresh"]) == (64, 0.5, 0.75)
    train, test = found["subsets"]["train"], found["subsets"]["test"]
    assert (train["name"], test["name"]) == ("training", "validation")
    assert (train["counts"]["videos"], test["counts"]["videos"]) == (30, 10)
    assert "train: training, 30 videos (0 without actions), 240 actions, 2 of 2 classes" in printed
    assert list(train["inside"]) == ["16", "32", "64", "128"]
    assert sorted(train["inside"].values()) == list(train["inside"].values())
    levels = train["levels"]
    assert levels["strides"] == [1, 2, 4, 8, 16] and sum(levels["points"]) == pytest.approx(1)
    assert 0 < levels["outside"] < 0.2  # actions up to 30 s, windows of 10
    assert f"outside: {100 * levels['outside']:.1f} %" in printed
    _, wide = count(root, FRAMES_CONFIG, "--window", "512", "--overlap", "0.25")
    assert (wide["window"], wide["overlap"]) == (512, 0.25)
    assert wide["subsets"]["train"]["levels"]["outside"] == 0
    assert wide["proposal"]["window_overlap_ratio"] == 0.25


def test_what_the_proposal_cannot_set_is_said(root, capsys):
    windows = "type='ThumosSlidingDataset', window_size=64, pipeline=[dict(type='LoadWindowFeats')]"
    text = FRAMES_CONFIG.format(bases=BASES, root=root) + f"dataset = dict(train=dict({windows}))\n"
    assert count(root, text)[0] == 0
    printed = capsys.readouterr().out
    assert "must be extracted anew" in printed and "feature_stride =" not in printed
    text = config_text(load_config(root / "mine.py"))  # a config without helpers
    _, found = count(root, text)
    assert f"# trunc_len or window_size: {found['proposal']['window_size']}, where" in found["proposal"]["config"]
    assert "\nmodel = dict(" in found["proposal"]["config"]


def test_a_smaller_coverage_asks_for_less(root):
    sizes = [
        count(root, FRAMES_CONFIG, "--coverage", coverage)[1]["proposal"]["window_size"] for coverage in ("0.5", "0.99")
    ]
    narrow = count(root, FRAMES_CONFIG, "--context", "0")[1]["proposal"]["window_size"]
    assert sizes[0] < sizes[1] and narrow < sizes[1]


@pytest.mark.parametrize(
    ("more", "words", "message"),
    [
        (
            "dataset = dict(train=dict(_delete_=True, type='PairedDataset'))",
            [],
            "PairedDataset is not a dataset over an",
        ),
        ("", ["--cfg-options", "dataset.test.subset_name=testing"], "'testing'; known: training, validation"),
        ("", ["--cfg-options", "class_map=none.txt"], "class map none.txt does not exist"),
        ("model = dict(_delete_=True, type='Mine')", [], "has no rpn_head.prior_generator"),
        ("", ["--share", "0"], r"coverage 0.0 must be in (0, 1]"),
        ("", ["--overlap", "1"], "overlap 1.0 in (0, 1)"),
        ("", ["--window", "0"], "--window 0: a positive number"),
        ("", ["--window", "-64"], "--window -64: a positive number"),
    ],
)
def test_errors_say_what_is_wrong(root, capsys, more, words, message):
    code, _ = count(root, FRAMES_CONFIG.format(bases=BASES, root=root) + more, *words)
    assert code == 1
    assert message in capsys.readouterr().err


def test_a_subset_without_actions_is_one_clear_error(root, capsys):
    path = root / "annotations" / "thumos_14_anno.json"
    content = json.loads(path.read_text())
    for entry in content["database"].values():
        entry["annotations"] = [] if entry["subset"] == "training" else entry["annotations"]
    path.write_text(json.dumps(content))
    assert count(root, FRAMES_CONFIG)[0] == 1
    assert "subset 'training': none of 30 videos has ground truth" in capsys.readouterr().err
