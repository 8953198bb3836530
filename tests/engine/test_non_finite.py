"""NaN and infinite numbers at inference are an error that names the video and the tensor, and drop no candidate."""

import re

import pytest
import tiny_detector as tiny
import torch

from opentad_bi.datasets.detection.paired import collate
from opentad_bi.engine.extract import in_dtype, window_features
from opentad_bi.registry import MODELS

NAN, INF = float("nan"), float("inf")
FUSION = {"type": "JointFusion", "mix": {"type": "TimeFC"}}


def batch_of(kind="features", count=3):
    data = tiny.TinyWindows(kind, count)
    return collate([data[i] for i in range(count)])


def network(kind="features"):
    torch.manual_seed(0)
    return MODELS.build(tiny.detector(kind)).eval()


def pair(fusion=None):
    torch.manual_seed(0)
    net = tiny.detector("features")
    return MODELS.build({"type": "BiDirectional", "for_model": net, "back_model": net, "fusion": fusion}).eval()


def parameter(model, name):
    return dict(model.named_parameters())[name].data


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_features_name_the_video(value):
    batch = batch_of()
    batch["inputs"][1, 2, 4] = value
    said = r"^video 'video_1': inputs.* are not finite: 1 of \d+ numbers .*the file that they come from"
    for model in (network(), pair(), pair(FUSION)):
        with pytest.raises(ValueError, match=said):
            model.predict(batch)
    with pytest.raises(ValueError, match=said):
        pair().raw_maps(batch)


def test_weights_that_became_bad_name_the_map_and_the_parameter():
    model, batch = network(), batch_of()
    parameter(model, "rpn_head.scale.1.scale").fill_(INF)
    with pytest.raises(ValueError, match=r"^videos 'video_0', .*: distances of level 1 .*: rpn_head\.scale\.1\.scale$"):
        model.predict(batch)
    parameter(model, "rpn_head.cls_head.weight")[0, 0, 0] = NAN
    with pytest.raises(ValueError, match=r"class logits of level 0 are not finite.*own weights.*cls_head\.weight"):
        model.predict(batch)


@pytest.mark.parametrize("fusion", [None, FUSION])
def test_a_pair_names_the_direction_or_the_parameter_of_it(fusion):
    model, batch = pair(fusion), batch_of()
    parameter(model, "back_model.rpn_head.cls_head.weight").fill_(NAN)
    with pytest.raises(ValueError, match=r"class logits of level 0 .*cls_head\.weight"):
        model.predict(batch)
    with pytest.raises(
        ValueError, match=r"'video_2': back: class logits of level 0 .*: back_model\.rpn_head\.cls_head"
    ):
        model.raw_maps(batch)


def test_a_fusion_is_looked_at_by_itself():
    model, batch = pair(FUSION), batch_of()
    next(model.fusion.parameters()).data.fill_(INF)
    with pytest.raises(
        ValueError, match=r"(for|back): fused (class logits|distances) of level 0 .*own weights.*: fusion\."
    ):
        model.predict(batch)


def test_cached_maps_are_looked_at_too():
    model, batch = pair(FUSION), batch_of()
    maps = model.raw_maps(batch)
    maps["back"][1, 0, 3] = NAN
    batch["raw"] = [{d: maps[d][i] for d in maps} for i in range(3)]
    del batch["inputs"]
    with pytest.raises(ValueError, match="video 'video_1': back: class logits of level 0"):
        model.predict({"for": batch, "back": batch})


def test_an_overflow_of_float16_asks_for_another_precision():
    model, batch = network(), batch_of()
    parameter(model, "rpn_head.cls_head.weight").mul_(1e6)
    model.predict(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model.predict(batch)
    with torch.autocast("cpu", dtype=torch.float16), pytest.raises(ValueError, match=r"class logits.*solver\.amp=bf16"):
        model.predict(batch)


@torch.no_grad()
def test_padding_and_windows_without_a_valid_position_are_no_fault():
    model, batch = network(), batch_of()
    batch["masks"][2] = False
    plain = model.predict(batch)
    assert len(plain[2].detections["model"].scores) == 0
    raw = model.raw(batch)
    for cls, mask in zip(raw.cls, raw.masks, strict=True):
        cls.masked_fill_(~mask[:, None], NAN)
    model.raw = lambda _: raw
    assert torch.equal(model.predict(batch)[0].detections["model"].scores, plain[0].detections["model"].scores)


def test_one_transfer_for_a_batch(monkeypatch):
    asked, tolist = [], torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: asked.append(len(self)) or tolist(self))
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda self: pytest.fail("a transfer of its own"))
    network().predict(batch_of())
    assert asked == [7]  # inputs, and two maps of three levels


def test_evaluation_in_training_ends_with_the_error_and_keeps_the_last_checkpoint(make_runner):
    cfg = tiny.single_config("features")
    cfg.workflow.val_eval_interval = 1
    cfg.evaluation = {"type": "ToyMetric"}
    runner = make_runner(cfg)
    start = runner.evaluate

    def evaluate():
        parameter(runner.ema.module, "projection.embed.0.conv.weight").fill_(NAN)
        return start()

    runner.evaluate = evaluate
    with pytest.raises(ValueError, match=r"^videos 'video_0', .*: class logits of level 0 .*embed\.0\.conv\.weight"):
        runner.train()
    assert [p.name for p in (runner.work_dir / "checkpoint").iterdir()] == ["epoch_0.pth"]


@torch.no_grad()
def test_extraction_names_the_video_and_the_direction():
    backbone, batch = network("frames").backbone, batch_of("frames", 2)
    assert set(window_features({"for": backbone}, batch)) == {"for"}
    batch["inputs"] = batch["inputs"].float()
    batch["inputs"][1] *= 1e38
    batch["inputs"][1] *= 1e38
    with pytest.raises(ValueError, match=r"^video 'video_1': inputs are not finite"):
        window_features({"for": backbone}, batch)
    next(backbone.parameters()).data.fill_(NAN)
    with pytest.raises(ValueError, match=r"^videos 'video_0', 'video_1': features \(back\) .*own weights"):
        window_features({"back": backbone}, batch_of("frames", 2))


def test_features_that_a_file_cannot_hold():
    rows = torch.tensor([[1.0, NAN], [INF, 2.0]]).numpy()
    with pytest.raises(ValueError, match=r"video 'v': features are not finite: 2 of 4 numbers.*--precision fp32"):
        in_dtype(rows, "float32", "v")
    with pytest.raises(ValueError, match=re.escape("video 'v': features reach 7e+04, more than float16 holds")):
        in_dtype(torch.full((2, 2), 7e4).numpy(), "float16", "v")
