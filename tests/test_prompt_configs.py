"""The settings of the prompt methods on videos, as published, and the places where the users' recipe has its own."""

import pytest
from places import ROOT

from opentad_bi.config import load_config

# method: rate, weight decay, epochs, pooling, vectors of the text, vectors of the frames, mix, augmentation
METHODS = {
    "video_coop": (8e-4, 1e-3, 40, "AttentionPooling", 16, None, None, False),
    "dual_coop": (1e-3, 1e-2, 40, "AttentionPooling", 8, 8, None, False),
    "vidop": (8e-5, 1e-2, 10, "AttentionPooling", None, 8, None, True),
    "vilt": (8e-5, 1e-2, 30, "MeanPooling", 8, 8, None, False),
    "vita": (8e-5, 0.2, 20, "MeanPooling", 8, 8, "spatial", False),
    "stt": (8e-5, 0.2, 20, "MeanPooling", 8, 8, "spatial", False),
}
# data set: videos per class to learn from and to validate on, samples of an optimizer step, group
DATA = {
    "ucf101": (None, 4, 128, "ucf101"),
    "hmdb51": (16, 4, 16, "hmdb51"),
    "kinetics400": (16, 4, 128, "kinetics"),
}


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("method", METHODS)
def test_published_settings(method, data):
    cfg = load_config(ROOT / "configs" / "prompt" / data / f"{method}.py")
    lr, decay, epochs, pooling, n_ctx, n_video, mix, augmented = METHODS[method]
    branch, model, train = cfg.branches.model, cfg.model, cfg.dataset.train
    assert branch.optimizer == {"type": "AdamW", "lr": lr, "weight_decay": decay}
    assert branch.scheduler == {"type": "EpochCosineAnnealingLR", "max_epoch": epochs, "eta_min": 1e-6}
    assert branch.clip_grad_norm == 1.0 and cfg.workflow.end_epoch == epochs
    assert model.temporal.type == pooling and model.prompt.get("n_ctx") == n_ctx
    visual = model.get("visual") or {}
    assert visual.get("n_ctx", visual.get("n_global")) == n_video
    assert (train.mix or {}).get("kind") == mix and train.pipeline[2].enabled == augmented
    assert model.normalise_frames == (method == "video_coop")
    assert {hook.type: hook.get("patience") for hook in cfg.hooks}["EarlyStopHook"] == 3
    shots, val_shots, samples, group = DATA[data]
    assert (train.shots, train.val_shots, train.val_ratio, train.group) == (shots, val_shots, 0.0, group)
    assert cfg.solver.train.batch_size * cfg.solver.accumulate == samples and cfg.solver.train.drop_last is False


def test_views_are_four_by_three_of_eight_frames():
    load, crops = load_config(ROOT / "configs" / "prompt" / "ucf101" / "vita.py").dataset.test.pipeline[:2]
    assert (load.frames, load.views, load["size"], crops.views) == (8, 4, 224, 3)


def test_what_makes_a_method_itself():
    models = {name: load_config(ROOT / "configs" / "prompt" / "ucf101" / f"{name}.py").model for name in METHODS}
    assert models["dual_coop"].visual.depth == models["vidop"].visual.depth == models["vilt"].visual.depth == "shallow"
    assert models["vidop"].prompt.type == "FixedTexts" and models["vidop"].prompt.template == "{}"
    vilt = models["vilt"]
    assert (vilt.coupling.text_to_visual, vilt.coupling.visual_to_text) == ([0, 1, 2, 3, 4], [5, 6, 7, 8, 9])
    assert vilt.coupling.n_ctx == 4
    assert vilt.regularisation == {"weight": 0.1, "template": "A video of a person doing {}."}
    assert models["vita"].visual.type == models["stt"].visual.type == "VideoSummary"
    assert models["vita"].visual.heads == 12
    assert models["stt"].coupling.layers == list(range(10))
