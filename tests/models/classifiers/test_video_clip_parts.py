"""The classifier of videos, part by part: order of its steps, bound of its scale, what it keeps, precision."""

import contextlib
import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from close import close
from test_video_clip import (  # noqa: F401 - build is a fixture
    ATTENTION,
    CLASSES,
    CONDITIONAL,
    FIXED,
    METHODS,
    SHALLOW,
    batch_of,
    build,
    kept_by_the_graph,
    probabilities,
)

from opentad_bi.models.classifiers.clip_classifier import TextRegulariser
from opentad_bi.utils.logging import strictly

SENTENCES = {"Archery": ["a bow", "an arrow"], "Apply Eye Makeup": ["a brush", "a face"], "Walking With Dog": ["a dog"]}


def directions(*shape):
    return F.normalize(torch.randn(*shape, 32, generator=torch.Generator().manual_seed(sum(shape))), dim=-1)


@torch.no_grad()
@pytest.mark.parametrize("pool", ["max", "logsumexp"])
def test_sentences_are_pooled_in_every_view_and_then_the_views(build, pool):  # noqa: F811
    model = build({**FIXED, "descriptors": SENTENCES, "pool": pool}).eval()
    pooled, text = directions(6), directions(5)
    single = (pooled @ text.T / 0.07).unflatten(0, (3, 2))  # 3 videos, 2 views; the texts of 3 classes
    score = (lambda x: x.amax(-1)) if pool == "max" else (lambda x: x.logsumexp(-1) - math.log(x.shape[-1]))
    views = torch.stack([score(group) for group in single.split([2, 2, 1], dim=-1)], dim=-1)
    other = torch.stack([score(group) for group in single.mean(1).split([2, 2, 1], dim=-1)], dim=-1)
    close(model._logits(pooled, text, (3, 2)), views.mean(1))
    assert (views.mean(1) - other).abs().max() > 0.1


@torch.no_grad()
@pytest.mark.parametrize("training", [True, False])
def test_the_scale_is_bounded_in_training_and_evaluation(build, training):  # noqa: F811
    model, found = build().train(training), []
    for value in (9.0, math.log(100)):
        model.logit_scale.fill_(value)
        found.append(model._logits(directions(2), directions(3), (1, 2)))
    assert found[1].abs().max() > 1 and torch.equal(*found)


@pytest.mark.parametrize(
    "options", [{}, {"prompt": FIXED, "visual": {**SHALLOW, "depth": "deep"}}], ids=["text", "visual"]
)
def test_either_tower_forgets_its_blocks_with_checkpoints(options, build):  # noqa: F811
    whole, less = (kept_by_the_graph(build(**options, checkpoint=c), batch_of(views=1)) for c in (False, True))
    assert less < whole / 2


@pytest.mark.parametrize("method", ["stt", "conditional", "vita"])
@pytest.mark.parametrize("learning", [True, False])
def test_no_more_texts_than_a_chunk_are_encoded_at_a_time(method, learning, build):  # noqa: F811
    model, counts = build(**METHODS[method], text_chunk=2), []
    model.text_encoder.register_forward_pre_hook(lambda module, args: counts.append(len(args[0])))
    if learning:
        model(batch_of(3))
    else:
        model.predict(batch_of(3))
    assert max(counts) == 2 and sum(counts) == 3 * (1 if method == "vita" else 6)


def test_texts_that_follow_the_video_teach_the_pooling(build):  # noqa: F811
    model = build(CONDITIONAL, temporal=ATTENTION)
    torch.nn.init.constant_(model.prompt_learner.shift[0].bias, 1.0)  # no hidden unit is dead
    pooled, text = model._encode(batch_of())
    (grad,) = torch.autograd.grad((text * torch.randn_like(text)).sum(), model.pooling.query)
    assert pooled.requires_grad and grad.abs().max() > 1e-6


def test_frames_are_normalised_in_full_precision(build):  # noqa: F811
    seen = []
    for normalise in (True, False):
        model = build(normalise_frames=normalise)
        model.pooling.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            model(batch_of())
    assert [x.dtype for x in seen] == [torch.float32, torch.bfloat16]  # the tower gives low precision
    lengths = seen[0].norm(dim=-1)
    close(lengths, torch.ones_like(lengths))


@pytest.mark.parametrize("prompt", [FIXED, METHODS["video_coop"]["prompt"]], ids=["fixed", "learned"])
def test_kept_texts_follow_the_device_and_every_change(prompt, build, monkeypatch):  # noqa: F811
    model, made = build(prompt), []
    whole = type(model).text_features
    monkeypatch.setattr(type(model), "text_features", lambda self: made.append(0) or whole(self))
    first = model.kept_texts()
    assert model.kept_texts() is first and len(made) == 1
    for parameter in model.prompt_learner.parameters():
        with torch.no_grad():
            parameter.add_(torch.randn_like(parameter))  # in place, as an optimizer does
        assert (model.kept_texts() - first).abs().max() > 1e-3 and len(made) == 2
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # "meta" has none
    assert model.to("meta").kept_texts().device.type == "meta"


def test_hand_texts_have_one_length_and_no_gradient(build):  # noqa: F811
    tower = build().text_encoder.requires_grad_(True)
    model = TextRegulariser(CLASSES, tower, build().tokens, weight=2.0, template="doing {}")
    assert not model.features.requires_grad
    close(model.features.norm(dim=1), torch.ones(3))
    text = model.features * torch.tensor([[0.2], [3.0], [7.0]])  # lengths of learned texts do not count
    assert model(text).item() == pytest.approx(0, abs=1e-5)
    assert model(-text.expand(4, 3, -1)).item() == pytest.approx(4, abs=1e-5)


def test_frames_of_another_size_are_refused_before_training(build):  # noqa: F811
    model = build()
    model.check_dataset(SimpleNamespace(frames=2, image_size=32))
    with pytest.raises(ValueError, match=r"224 x 224 pixels, but .*tiny.json takes 32 x 32; give image_size=32"):
        model.check_dataset(SimpleNamespace(frames=2, image_size=224))


def test_numbers_that_are_not_finite_name_the_video_and_the_tensor(build):  # noqa: F811
    model, batch = build(), batch_of()
    model.predict(batch)
    with torch.no_grad():
        model.logit_scale.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"^videos 'v0', 'v1': logits are not finite.*weights are not: logit_scale$"):
        model.predict(batch)
    features = {**batch, "inputs": torch.randn(2, 2, 2, 32), "masks": torch.ones(2, 2, 2, dtype=torch.bool)}
    features["inputs"][1, 0, 1] = float("nan")
    with pytest.raises(ValueError, match=r"^video 'v1': inputs are not finite"):
        build().predict(features)


def test_frames_that_are_resized_in_another_way_are_told(build, caplog):  # noqa: F811
    model = build()
    model.check_dataset(SimpleNamespace(frames=2, image_size=32, resizing=("bicubic", "shortest")))
    model.check_dataset(SimpleNamespace(frames=2, image_size=32, resizing=None))
    assert not caplog.records
    for other in (("bilinear", "shortest"), ("bicubic", "squash")):
        model.check_dataset(SimpleNamespace(frames=2, image_size=32, resizing=other))
        assert f"frames are resized by {other[0]} and {other[1]}, but" in caplog.text
    assert "interpolation='bicubic' resize_mode='shortest' does as the tower says" in caplog.text
    with strictly(), pytest.raises(ValueError, match="--strict"):
        model.check_dataset(SimpleNamespace(frames=2, image_size=32, resizing=("bilinear", "shortest")))
