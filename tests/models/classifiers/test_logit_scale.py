"""The factor of the cosines: that of the weights, so that neutral prompts give open_clip's own logits, or another."""

import math

import pytest
import torch
import torch.nn.functional as F
from close import close

from opentad_bi.engine.warm_start import continue_from, load_weights
from opentad_bi.models.clip.preprocess import FramePreprocess
from opentad_bi.ops.records import UnitMeta
from opentad_bi.registry import MODELS

CLASSES = ["Apply Eye Makeup", "Archery", "Walking With Dog"]
TEMPLATE = "a photo of a {}."
WORDS = {"type": "PromptLearner", "ctx_mode": "shared_init", "ctx_init": "a photo of a"}
KINDS = ("VideoCLIP", "VideoFeatureCLIP")


@pytest.fixture
def weights(tiny_clip, tiny_json, tmp_path):
    """A function: factor -> config of a tiny model from a file of weights with that logit scale."""

    def write(factor):
        state = {**tiny_clip.module.state_dict(), "logit_scale": torch.tensor(math.log(factor))}
        path = tmp_path / f"{factor}.pt"
        torch.save(state, path)
        return {"model": str(tiny_json), "pretrained": str(path)}

    return write


def build(kind, clip, prompt=WORDS, **options):
    cfg = {"type": kind, "classes": CLASSES, "clip": clip, "prompt": prompt, **options}
    return MODELS.build(cfg | ({"frames": 1} if kind == "VideoCLIP" else {}))


def batch_of():
    """Three videos of one frame."""
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return {"inputs": images[:, None, None], "labels": torch.arange(3), "meta": [UnitMeta(str(i), 0, 1) for i in "abc"]}


@torch.no_grad()
@pytest.mark.parametrize("prompt", [WORDS, {"type": "FixedTexts", "template": TEMPLATE}], ids=["words", "fixed"])
@pytest.mark.parametrize("factor", [37.0, 100.0, 117.3])  # SigLIP's is above 100
@pytest.mark.parametrize("kind", KINDS)
def test_neutral_prompts_give_the_logits_of_open_clip(kind, factor, prompt, weights):
    from opentad_bi.models.clip.loading import load_clip

    clip = weights(factor)
    model, plain = build(kind, clip, prompt).eval(), load_clip(**clip)
    batch = batch_of()
    images = FramePreprocess(plain.preprocess).normalise(batch["inputs"].flatten(0, 2))
    expected, _ = plain.module.get_logits(images, plain.tokenizer([TEMPLATE.format(name) for name in CLASSES]))
    features = plain.module.encode_image(images)
    if kind == "VideoCLIP":
        found = model._logits(*model._encode(batch), (3, 1))
    else:
        batch["inputs"] = features
        found = model._logits(features, model.text_features())
    assert model.logit_scale.exp().item() == pytest.approx(factor, rel=1e-6) and not model.logit_scale.requires_grad
    # the towers run in other steps: some units in the last place of cosines of size 1
    close(found, expected, ulps=32, scale=factor)
    probabilities = torch.stack([torch.from_numpy(row.probabilities) for row in model.predict(batch)])
    close(probabilities, found.softmax(1))
    loss = model.train()(batch)["cls_loss"]
    close(loss, F.cross_entropy(found, batch["labels"]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("spec", "factor", "learned"),
    [
        ("weights", 37, False),
        ("learned", 37, True),
        ("fixed:14.29", 14.29, False),
        ("learned:14.29", 14.29, True),
        ("fixed:1e2", 100, False),
    ],
)
def test_the_words_for_it(kind, spec, factor, learned, weights):
    scale = build(kind, weights(37.0), logit_scale=spec).logit_scale
    assert scale.exp().item() == pytest.approx(factor, rel=1e-6) and scale.requires_grad is learned


@pytest.mark.parametrize("spec", ["fixed", "fixed:0", "fixed:-2", "learned:", "learned:x", "fixed:inf", 14.29, None])
def test_other_words_are_refused(spec, weights):
    with pytest.raises(ValueError, match="logit_scale"):
        build("VideoCLIP", weights(37.0), logit_scale=spec)


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_brings_the_scale_it_was_trained_with(kind, weights, tmp_path, caplog):
    caplog.set_level("INFO", "opentad_bi")
    old = build(kind, weights(37.0), logit_scale="learned:14.29")
    with torch.no_grad():
        old.logit_scale.fill_(math.log(21))
    torch.save({"state_dict": old.state_dict()}, tmp_path / "old.pth")
    for spec in ("weights", "fixed:5", "learned"):
        model = build(kind, weights(37.0), logit_scale=spec)
        load_weights(model, dict(old.state_dict()), what="old")
        assert model.logit_scale.exp().item() == pytest.approx(21, rel=1e-6)
        model = build(kind, weights(37.0), logit_scale=spec)
        continue_from("model", model, str(tmp_path / "old.pth"))
        assert model.logit_scale.exp().item() == pytest.approx(21, rel=1e-6)
    assert "do not hold a logit scale" not in caplog.text
    model = build(kind, weights(37.0))
    load_weights(model, {"ctx": old.prompt_learner.ctx.detach()}, what="a file of CoOp")
    assert model.logit_scale.exp().item() == pytest.approx(37, rel=1e-6)
    assert "do not hold a logit scale; it stays at 37" in caplog.text


def test_a_learned_scale_keeps_to_its_bound(weights):
    for factor, spec, bound in ((37.0, "learned", 100), (117.3, "learned", 117.3), (37.0, "learned:14.29", 100)):
        model = build("VideoCLIP", weights(factor), logit_scale=spec).train()
        with torch.no_grad():
            model.logit_scale.fill_(9.0)
        model(batch_of())["cls_loss"].backward()
        assert model.logit_scale.exp().item() == pytest.approx(bound, rel=1e-5) and model.logit_scale.grad is not None
