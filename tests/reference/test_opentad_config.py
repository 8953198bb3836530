"""Nothing of a foreign config is dropped in silence."""

import pytest
from opentad_config import freezes_backbone, translate_model, translate_schedule

VIT = {"type": "VisionTransformerAdapter", "embed_dims": 32, "total_frames": 64, "return_feat_map": True}
PRE = {"type": "Rearrange", "keys": ["frames"], "ops": "b n c (t1 t) h w -> (b t1) n c t h w", "t1": 4}
POST = [
    {"type": "Reduce", "keys": ["feats"], "ops": "b n c t h w -> b c t", "reduction": "mean"},
    {"type": "Rearrange", "keys": ["feats"], "ops": "(b t1) c t -> b c (t1 t)", "t1": 4},
    {"type": "Interpolate", "keys": ["feats"], "size": 48},
]


def model(vit=VIT, neck=None, **custom):
    frames = {"mean": [1.0, 2.0, 3.0], "std": [4.0, 5.0, 6.0], "format_shape": "NCTHW"}
    around = {"pre_processing_pipeline": [PRE], "post_processing_pipeline": POST, **custom}
    backbone = {"type": "mmaction.Recognizer3D", "backbone": vit, "data_preprocessor": frames, "custom": around}
    return {"type": "ActionFormer", "backbone": backbone, "neck": {"type": "FPNIdentity", **(neck or {})}}


def test_clips_and_length_come_from_the_pipelines():
    ours = translate_model(model())["backbone"]
    assert (ours["clip_frames"], ours["output_length"], ours["mean"]) == (16, 48, [1.0, 2.0, 3.0])
    assert ours["backbone"] == {key: value for key, value in VIT.items() if key != "return_feat_map"}


@pytest.mark.parametrize("missing", [None, []])
def test_missing_pipelines_mean_one_clip_and_its_own_length(missing):
    ours = translate_model(model(pre_processing_pipeline=missing, post_processing_pipeline=missing))["backbone"]
    assert (ours["clip_frames"], ours["output_length"]) == (64, None)
    for after in (missing, POST[:2]):
        ours = translate_model(model(post_processing_pipeline=after))["backbone"]
        assert (ours["clip_frames"], ours["output_length"]) == (16, None)


@pytest.mark.parametrize(
    ("cfg", "word"),
    [
        (model({**VIT, "return_feat_map": False}), "return_feat_map"),
        (model({**VIT, "drop_rate": 0.1}), "drop_rate"),
        (model({**VIT, "tubelet_size": 1}), "tubelet_size"),
        (model(neck={"start_level": 1}), "start_level"),
        (model(post_processing_pipeline=[{**POST[0], "reduction": "max"}, *POST[1:]]), "max"),
        (model(post_processing_pipeline=[POST[0], {**POST[1], "ops": "(t1 b) c t -> b c (t1 t)"}, POST[2]]), "t1 b"),
        (model(post_processing_pipeline=[POST[0], {**POST[1], "t1": 2}, POST[2]]), "different counts"),
        (model(pre_processing_pipeline=[{**PRE, "ops": "b n c (t t1) h w -> (b t1) n c t h w"}]), "t t1"),
        (model(pooling="max"), "pooling"),
    ],
)
def test_what_ours_lacks_is_named(cfg, word):
    with pytest.raises(AssertionError, match=word):
        translate_model(cfg)


def test_neutral_arguments_are_left_out():
    ours = translate_model(model({**VIT, "drop_rate": 0.0}, {"scale_factor": 2.0}, norm_eval=True))
    assert "drop_rate" not in ours["backbone"]["backbone"] and ours["neck"] == {"type": "FPNIdentity"}


def test_freezing_and_milestones():
    assert freezes_backbone(model(freeze_backbone=True)) and not freezes_backbone(model())
    assert not freezes_backbone({"type": "ActionFormer"})
    ours = translate_schedule({"type": "MultiStepLR", "milestones": [2], "max_epoch": 4})
    assert ours == {"type": "LinearWarmupMultiStepLR", "milestones": [2], "max_epoch": 4, "warmup_epoch": 0}
