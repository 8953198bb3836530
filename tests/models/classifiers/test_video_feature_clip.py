"""The classifier of features by learned prompts: its numbers, what it saves, what it refuses and what it warns of."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from close import close
from torch import nn

from opentad_bi.engine.branch import apply_trainable
from opentad_bi.engine.optim import ExponentialMovingAverage
from opentad_bi.engine.warm_start import load_weights
from opentad_bi.models.classifiers import video_feature_clip
from opentad_bi.models.classifiers.clip_classifier import check_first_loss
from opentad_bi.ops.records import UnitMeta
from opentad_bi.registry import MODELS, PROMPTS

CLASSES = ["Normal", "Abuse", "Arson"]
SENTENCES = {"Normal": "a quiet day", "Abuse": "someone hurts a person who cannot flee", "Arson": "a house on fire"}
PROMPT = {"type": "PromptLearner", "ctx_mode": "class_init", "class_prompts": SENTENCES}


@pytest.fixture
def build(tiny_clip, monkeypatch):
    """Make a model around the tiny tower, which is built once."""
    monkeypatch.setattr(video_feature_clip, "load_clip", lambda **_: copy.deepcopy(tiny_clip))

    def make(prompt=PROMPT, classes=CLASSES, **options):
        cfg = {"type": "VideoFeatureCLIP", "classes": classes, "clip": {"model": "tiny"}, "prompt": prompt, **options}
        return MODELS.build(cfg)

    return make


def batch_of(count=4, rows=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        "inputs": torch.randn(count, rows, 32, generator=generator),
        "labels": torch.randint(0, 3, (count,), generator=generator),
        "meta": [UnitMeta(f"v{i}", i, rows) for i in range(count)],
    }


@pytest.mark.parametrize("text_pooling", ["eot", "mean"])
def test_loss_and_scores_are_those_of_scaled_cosines(build, tiny_clip, text_pooling):
    model, batch = build(text_pooling=text_pooling), batch_of()
    text = F.normalize(model.text_features(), dim=1)
    if text_pooling == "eot":
        texts = [f"{SENTENCES[name]} {name}." for name in CLASSES]
        plain = tiny_clip.module.encode_text(tiny_clip.tokenizer(texts), normalize=True)
        close(text, plain)
    logits = tiny_clip.module.logit_scale.exp() * F.normalize(batch["inputs"].mean(1), dim=1) @ text.T
    close(model(batch)["cls_loss"], F.cross_entropy(logits, batch["labels"]))
    results = model.predict(batch)
    assert [r.meta for r in results] == batch["meta"] and [r.label for r in results] == batch["labels"].tolist()
    probabilities = torch.stack([torch.from_numpy(r.probabilities) for r in results])
    close(probabilities, logits.softmax(1).detach())


def test_weights_of_samples_weigh_the_mean(build):
    model, batch = build(), batch_of()
    single = [model({k: v[i : i + 1] for k, v in batch.items()})["cls_loss"].item() for i in range(4)]
    weights = torch.tensor([0.5, 2.0, 0.0, 1.0])
    expected = sum(w * loss for w, loss in zip(weights.tolist(), single, strict=True)) / 4
    assert model(batch | {"weights": weights})["cls_loss"].item() == pytest.approx(expected, rel=1e-5)
    assert model(batch | {"weights": torch.zeros(4)})["cls_loss"].item() == 0


@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 0.0, 1.0]])
def test_accumulated_halves_give_the_gradient_of_the_whole_batch(build, weights):
    model, batch = build(), batch_of() | ({} if weights is None else {"weights": torch.tensor(weights)})
    whole = torch.autograd.grad(model(batch)["cls_loss"], model.prompt_learner.ctx)[0]
    halves = [{k: v[part] for k, v in batch.items()} for part in (slice(0, 2), slice(2, 4))]
    total = sum(torch.autograd.grad(model(half)["cls_loss"] / 2, model.prompt_learner.ctx)[0] for half in halves)
    close(total, whole, ulps=1024)


def test_the_tower_is_frozen_and_not_in_the_state(build, tiny_clip):
    model = build()
    assert not model.text_encoder.training and any(p.requires_grad for p in tiny_clip.module.parameters())
    model(batch_of())["cls_loss"].backward()
    assert [name for name, p in model.named_parameters() if p.grad is not None] == ["prompt_learner.ctx"]
    apply_trainable(model, ["prompt_learner.*", "logit_scale"])
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["logit_scale", "prompt_learner.ctx"]
    with pytest.raises(ValueError, match=r"29 parameters would train .* such as text_encoder\.positional_embedding"):
        apply_trainable(model, ["*"])
    model = build()
    state = model.state_dict()
    assert set(state) == {"prompt_learner.ctx", "prompt_learner.layout_digest", "logit_scale", "tower_digest"}
    other = build()
    other.load_state_dict(state)  # strict
    assert torch.equal(other.prompt_learner.ctx, model.prompt_learner.ctx)
    assert bytes(state["tower_digest"].tolist()).hex() == tiny_clip.digest


def test_text_features_of_prompts_that_stay_are_made_once(build, monkeypatch):
    model, batch, made = build(), batch_of(), []
    whole = video_feature_clip.VideoFeatureCLIP.text_features
    monkeypatch.setattr(
        video_feature_clip.VideoFeatureCLIP, "text_features", lambda self: made.append(self) or whole(self)
    )
    first = model.predict(batch)[0].probabilities
    model.predict(batch)
    assert len(made) == 1
    with torch.no_grad():
        model.prompt_learner.ctx.add_(torch.randn_like(model.prompt_learner.ctx))
    changed = model.predict(batch)[0].probabilities
    assert len(made) == 2 and abs(first - changed).max() > 1e-4
    twin = copy.deepcopy(model)
    with torch.no_grad():
        torch._foreach_lerp_([twin.prompt_learner.ctx], [torch.zeros_like(twin.prompt_learner.ctx)], 0.5)
    assert abs(twin.predict(batch)[0].probabilities - changed).max() > 1e-5
    model.load_state_dict(build().state_dict())
    close(model.predict(batch)[0].probabilities, first)


def test_weights_of_another_tower_are_refused_and_those_of_coop_taken(build, caplog):
    model = build({"type": "PromptLearner", "n_ctx": 4})
    assert model.open_vocabulary and not build().open_vocabulary
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state["tower_digest"][0] += 1
    with pytest.raises(ValueError, match="were learned with another text tower than"):
        load_weights(model, state, what="f.pth")
    coop = {"ctx": torch.randn(4, 48), "token_prefix": torch.zeros(1), "token_suffix": torch.zeros(1)}
    with caplog.at_level("WARNING", logger="opentad_bi"):
        load_weights(model, coop, what="model.pth.tar-50")
    assert torch.equal(model.prompt_learner.ctx, coop["ctx"]) and "do not name the tower" in caplog.text
    other = build({"type": "PromptLearner", "n_ctx": 4}, classes=["cat", "dog"])
    load_weights(other, model.state_dict(), what="f.pth")  # a shared context serves other classes
    with pytest.raises(ValueError, match="contexts that belong to classes cannot be used for other classes"):
        load_weights(
            build(classes=CLASSES[:2], prompt={**PROMPT, "class_prompts": None}), build().state_dict(), what="f"
        )


@pytest.mark.parametrize(
    "change",
    [
        {"class_prompts": {**SENTENCES, "Normal": SENTENCES["Arson"], "Arson": SENTENCES["Normal"]}},
        {"class_token_position": "front"},
        {"text_pooling": "mean"},
    ],
)
def test_vectors_that_would_stand_elsewhere_are_refused(build, change):
    state = build().state_dict()
    pooling = change.pop("text_pooling", "eot")
    other = build({**PROMPT, **change}, text_pooling=pooling)
    assert other.prompt_learner.ctx.shape == state["prompt_learner.ctx"].shape
    with pytest.raises(ValueError, match="were learned in other prompts: class_token_position, text_pooling"):
        load_weights(other, state, what="f.pth")
    load_weights(build(), state, what="f.pth")


class Features:
    """A dataset as the check sees it."""

    def __init__(self, width=32, source=None):
        self.feature_dim, self.source = width, source


def test_features_of_another_model_are_refused(build, tiny_clip):
    model = build()
    model.check_dataset(Features())
    model.check_dataset(Features(source={"weights_sha256": tiny_clip.digest}))
    model.check_dataset(object())
    with pytest.raises(ValueError, match=r"the features have 768 numbers a row, but .* compares 32"):
        model.check_dataset(Features(768))
    with pytest.raises(ValueError, match=r"made by ViT-B-16 with the weights openai \(0123456789ab\), but"):
        model.check_dataset(
            Features(source={"weights_sha256": "0123456789abcdef", "model": "ViT-B-16", "pretrained": "openai"})
        )
    with pytest.raises(ValueError, match=r"made with quick_gelu=True, but .* runs with quick_gelu=False"):
        model.check_dataset(Features(source={"weights_sha256": tiny_clip.digest, "quick_gelu": True}))
    with pytest.raises(ValueError, match="features of 16 numbers cannot be compared with text features of 32"):
        model({**batch_of(), "inputs": torch.randn(4, 16)})


def test_a_start_that_cannot_learn_is_told_with_its_cause(build, caplog):
    model, batch = build(), batch_of()
    with caplog.at_level("WARNING", logger="opentad_bi"):
        model({**batch, "inputs": torch.zeros(4, 2, 32)})
    assert "starts at ln(3) = 1.098612" in caplog.text and "features of the batch are all zero" in caplog.text
    caplog.clear()
    with caplog.at_level("WARNING", logger="opentad_bi"):
        build()(batch)
        model({**batch, "inputs": torch.zeros(4, 2, 32)})  # the first batch alone is looked at
    assert not caplog.text
    assert check_first_loss(torch.tensor(float("nan")), [model.prompt_learner.ctx], torch.eye(3), torch.eye(3)) is None
    vector = torch.nn.Parameter(torch.randn(32))
    same = vector.expand(3, 32)
    pooled = torch.randn(4, 32)
    loss = F.cross_entropy(F.normalize(pooled, dim=1) @ F.normalize(same, dim=1).T, batch["labels"])
    close(loss, math.log(3))
    assert "text features of all classes are the same" in check_first_loss(loss, [vector], same, pooled)


@pytest.mark.parametrize("temporal", ["MeanPooling", "MaxPooling", "AttentionPooling"])
def test_rows_are_pooled_and_a_single_row_needs_none(build, temporal):
    torch.manual_seed(0)
    model = build(temporal={"type": temporal})
    batch = batch_of(rows=3)
    assert torch.isfinite(model(batch)["cls_loss"])
    flat = {**batch, "inputs": model.pooling(batch["inputs"])}
    close(model(flat), model(batch))


def test_a_start_at_chance_that_learns_and_a_flat_one_elsewhere_are_not_warned_of():
    vector, targets = torch.nn.Parameter(torch.zeros(3)), torch.tensor([0])
    loss = F.cross_entropy(vector[None], targets)  # ln 3, with a gradient
    assert check_first_loss(loss, [vector], torch.eye(3), torch.eye(3)) is None
    flat = F.cross_entropy(vector[None] * 0 + torch.tensor([[4.0, 0.0, 0.0]]), targets)
    assert check_first_loss(flat, [vector], torch.eye(3), torch.eye(3)) is None


def test_the_average_of_the_weights_is_a_model_too(build, tiny_custom_clip, monkeypatch):
    for other in (False, True):
        if other:
            monkeypatch.setattr(video_feature_clip, "load_clip", lambda **_: copy.deepcopy(tiny_custom_clip))
        model, batch = build(), batch_of()
        average = ExponentialMovingAverage(model, decay=0.5, warm_up=False)
        start = model.prompt_learner.ctx.detach().clone()
        step = torch.randn_like(start)
        with torch.no_grad():
            model.prompt_learner.ctx.add_(step)
        average.update()
        close(average.module.prompt_learner.ctx, start + step / 2)
        assert torch.isfinite(average.module.text_features()).all()
        assert abs(average.module.predict(batch)[0].probabilities - model.predict(batch)[0].probabilities).max() > 1e-5


def test_half_precision_leaves_the_logits_whole(build):
    model, batch = build(), batch_of(64, seed=1)
    with torch.no_grad():
        model.logit_scale.fill_(math.log(100))
    exact = torch.stack([torch.from_numpy(r.probabilities) for r in model.predict(batch)])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = torch.stack([torch.from_numpy(r.probabilities) for r in model.predict(batch)])
        text, pooled = model.text_features().float(), batch["inputs"].mean(1)
        assert model._logits(pooled.bfloat16(), text).dtype == torch.float32
    close(half, exact)  # text features were kept from before


def test_padding_is_not_seen_and_labels_are_smoothed(build):
    model, batch = build(label_smoothing=0.2), batch_of(rows=3)
    mask = torch.tensor([[True, True, False]] * 4)
    noisy = batch["inputs"].clone()
    noisy[:, 2] = 100.0
    plain = build(label_smoothing=0.2)
    plain.load_state_dict(model.state_dict())
    short = {**batch, "inputs": batch["inputs"][:, :2]}
    loss = model({**batch, "inputs": noisy, "masks": mask})["cls_loss"]
    close(loss, plain(short)["cls_loss"])
    logits = model._logits(batch["inputs"][:, :2].mean(1), model.text_features())
    close(loss, F.cross_entropy(logits, batch["labels"], label_smoothing=0.2))


def test_numbers_that_are_not_finite_name_the_video_and_the_tensor(build):
    model, batch = build(), batch_of()
    model.predict(batch)
    batch["inputs"][2, 1, 5] = float("inf")
    with pytest.raises(ValueError, match=r"^video 'v2': inputs are not finite: 1 of 256 numbers"):
        model.predict(batch)
    model = build()
    with torch.no_grad():
        model.prompt_learner.ctx.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"^videos 'v0', .*: logits are not finite.*own weights.*prompt_learner\.ctx"):
        model.predict(batch_of())


def test_a_prompt_from_elsewhere_need_not_inherit_text_prompt(build):
    """As version 0.1.0 documented it: the required methods alone."""

    @PROMPTS.register_module(force=True)
    class PlainTexts(nn.Module):
        def __init__(self, classes, tokens):
            super().__init__()
            texts = [[*tokens.start, *tokens.encode("a video"), *tokens.encode(name), *tokens.end] for name in classes]
            self.ends = torch.tensor([len(text) - 1 for text in texts])
            ids = torch.tensor([text + [tokens.pad] * (77 - len(text)) for text in texts])
            self.register_buffer("ids", ids, persistent=False)
            self.shift = nn.Parameter(torch.zeros(()))

        def forward(self, embedding):
            return embedding(self.ids) + self.shift, self.ends

    model = build({"type": "PlainTexts"})
    assert type(model.prompt_learner).__name__ == "PlainTexts" and not model.open_vocabulary
    assert isinstance(copy.deepcopy(model).prompt_learner, PlainTexts)
    model(batch_of())["cls_loss"].backward()
    assert model.prompt_learner.shift.grad is not None
    assert len(model.predict(batch_of())) == 4
    state = model.state_dict()
    assert "prompt_learner.shift" in state and model.adapt_state_dict(state).keys() == state.keys()
