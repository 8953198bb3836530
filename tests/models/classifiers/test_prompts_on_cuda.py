"""On a GPU the classifier gives what it gives on a CPU, in fp32 and, nearly, in half precision."""

import copy

import pytest
import torch

from opentad_bi.models.classifiers import video_feature_clip
from opentad_bi.ops.records import UnitMeta
from opentad_bi.registry import MODELS


@pytest.mark.cuda
@pytest.mark.parametrize(("dtype", "tolerance"), [(None, 1e-4), (torch.bfloat16, 0.1), (torch.float16, 0.02)])
def test_loss_and_gradient_are_those_of_the_cpu(tiny_clip, monkeypatch, dtype, tolerance):
    monkeypatch.setattr(video_feature_clip, "load_clip", lambda **_: copy.deepcopy(tiny_clip))
    classes = ["Normal", "Abuse", "Arson"]
    cfg = {"type": "VideoFeatureCLIP", "classes": classes, "clip": {"model": "tiny"}}
    model = MODELS.build({**cfg, "prompt": {"type": "PromptLearner", "ctx_mode": "class_init"}})
    batch = {"inputs": torch.randn(8, 1, 32), "labels": torch.arange(8) % 3}
    batch["meta"] = [UnitMeta("v", i, 1) for i in range(8)]
    here = model(batch)["cls_loss"]
    here.backward()
    expected = model.prompt_learner.ctx.grad.clone()
    twin = copy.deepcopy(model).cuda()
    twin.zero_grad()
    there = {key: value.cuda() if isinstance(value, torch.Tensor) else value for key, value in batch.items()}
    with torch.autocast("cuda", dtype=dtype or torch.float32, enabled=dtype is not None):
        loss = twin(there)["cls_loss"]
    loss.backward()
    torch.testing.assert_close(loss.cpu().float(), here.detach(), rtol=tolerance, atol=tolerance)
    far = (twin.prompt_learner.ctx.grad.cpu() - expected).norm() / expected.norm()
    assert far < 10 * tolerance
    assert len(twin.predict(there)) == 8
