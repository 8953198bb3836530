"""The classifier of videos: each slot at its neutral setting is CLIP itself; what is declared trains, nothing else."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from close import close

from opentad_bi.contracts import losses_and_logged, total_loss
from opentad_bi.models.classifiers import video_clip
from opentad_bi.models.clip.preprocess import FramePreprocess
from opentad_bi.ops.records import UnitMeta
from opentad_bi.registry import MODELS

CLASSES = ["Apply Eye Makeup", "Archery", "Walking With Dog"]
LEARNER = {"type": "PromptLearner", "n_ctx": 2}
FIXED = {"type": "FixedTexts"}
CONDITIONAL = {"type": "ConditionalPromptLearner", "n_ctx": 2}
SHALLOW = {"type": "VisualContext", "n_ctx": 3}
SUMMARY = {"type": "VideoSummary", "n_global": 2, "heads": 4}
MAPPED = {"type": "MappedPrompts", "n_ctx": 2, "text_to_visual": [0], "visual_to_text": [1]}
TRANSFER = {"type": "VideoToText", "layers": [0, 1]}
ATTENTION = {"type": "AttentionPooling"}
HAND = {"weight": 0.1, "template": "A video of a person doing {}."}

METHODS = {
    "video_coop": {"prompt": LEARNER, "temporal": ATTENTION, "normalise_frames": True},
    "conditional": {"prompt": CONDITIONAL},
    "dual_coop": {"prompt": LEARNER, "visual": SHALLOW, "temporal": ATTENTION},
    "dual_deep": {"prompt": LEARNER, "visual": {**SHALLOW, "depth": "deep"}},
    "vidop": {"prompt": FIXED, "visual": {**SHALLOW, "depth": "throughout"}},
    "vilt": {"prompt": LEARNER, "visual": SHALLOW, "coupling": MAPPED, "regularisation": HAND},
    "vita": {"prompt": LEARNER, "visual": SUMMARY},
    "stt": {"prompt": LEARNER, "visual": SUMMARY, "coupling": TRANSFER},
}


def own_weights(clip):
    """The same model with weights that a test may freeze; digest and tokenizer are made once."""
    assert clip.digest and clip.tokenizer
    twin = copy.copy(clip)
    twin.module = copy.deepcopy(clip.module)
    return twin


@pytest.fixture
def build(tiny_clip, monkeypatch):
    """Make a model around the tiny tower, which is built once."""
    monkeypatch.setattr(video_clip, "load_clip", lambda **_: own_weights(tiny_clip))

    def make(prompt=LEARNER, classes=CLASSES, frames=2, **options):
        torch.manual_seed(0)
        cfg = {"type": "VideoCLIP", "classes": classes, "clip": {"model": "tiny"}, "prompt": prompt, "frames": frames}
        return MODELS.build({**cfg, "logit_scale": "learned", **options})  # tiny_clip has 1 / 0.07

    return make


def batch_of(count=2, views=2, frames=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        "inputs": torch.randint(0, 256, (count, views, frames, 3, 32, 32), dtype=torch.uint8, generator=generator),
        "labels": torch.randint(0, 3, (count,), generator=generator),
        "meta": [UnitMeta(f"v{i}", 0, 1) for i in range(count)],
    }


@torch.no_grad()
def plain_logits(clip, batch, texts, pool=lambda x: x.mean(2)):
    """Zero-shot logits of the model itself, at the scale of a start: (B, K)"""
    inputs = batch["inputs"]
    images = FramePreprocess(clip.preprocess).normalise(inputs.flatten(0, 2))
    frames = clip.module.encode_image(images).unflatten(0, inputs.shape[:3])
    text = clip.module.encode_text(clip.tokenizer(texts), normalize=True)
    return (F.normalize(pool(frames), dim=-1) @ text.T / 0.07).mean(1)


def probabilities(model, batch):
    return torch.stack([torch.from_numpy(r.probabilities) for r in model.predict(batch)])


NEUTRAL = {
    "fixed texts": ({"prompt": FIXED}, "{}"),
    "fixed template": ({"prompt": {**FIXED, "template": "a clip of {}, again"}}, "a clip of {}, again"),
    "context of words": (
        {"prompt": {"type": "PromptLearner", "ctx_mode": "shared_init", "ctx_init": "a photo of a"}},
        "a photo of a {}.",
    ),
    "no visual vectors": ({"prompt": FIXED, "visual": {**SHALLOW, "n_ctx": 0}}, "{}"),
    "pooling at its start": ({"prompt": FIXED, "temporal": {"type": "TransformerPooling", "heads": 4}}, "{}"),
    "attention at its start": ({"prompt": FIXED, "temporal": {**ATTENTION, "residual": True}}, "{}"),
    "frames of one length": ({"prompt": FIXED, "normalise_frames": True}, "{}"),
}


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_neutral_method_is_clip_itself(name, build, tiny_clip):
    options, template = NEUTRAL[name]
    model, batch = build(**options), batch_of()
    pool = (lambda x: F.normalize(x, dim=-1).mean(2)) if options.get("normalise_frames") else (lambda x: x.mean(2))
    logits = plain_logits(tiny_clip, batch, [template.format(name) for name in CLASSES], pool)
    close(probabilities(model, batch), logits.softmax(1))
    close(model(batch)["cls_loss"].detach(), F.cross_entropy(logits, batch["labels"]))
    assert model.logit_scale.item() == pytest.approx(math.log(1 / 0.07))


@pytest.mark.parametrize("name", METHODS)
def test_the_gradient_reaches_what_trains_and_nothing_else(name, build):
    model, batch = build(**METHODS[name]).train(), batch_of(4)
    if name == "conditional":
        torch.nn.init.constant_(model.prompt_learner.shift[0].bias, 1.0)  # two hidden units, neither dead
    losses, _ = losses_and_logged(model(batch))
    assert set(losses) == ({"cls_loss", "text_loss"} if name == "vilt" else {"cls_loss"})
    sum(losses.values()).backward()
    named = dict(model.named_parameters())
    towers = {n for n in named if n.startswith(("text_encoder.", "image_encoder."))}
    assert towers and {n for n, p in named.items() if not p.requires_grad} == towers
    still = {n for n, p in named.items() if p.requires_grad and (p.grad is None or not p.grad.abs().max() > 0)}
    assert not still - {"pooling.attention.in_proj_bias"}, still
    assert all(named[n].grad is None for n in towers)
    assert set(model.state_dict()) >= set(named) - towers and not set(model.state_dict()) & towers
    assert not model.image_encoder.training and not model.text_encoder.training and model.training


@pytest.mark.parametrize("name", METHODS)
def test_checkpoints_and_chunks_change_no_number(name, build):
    batch = batch_of(2)
    whole = build(**METHODS[name])
    changed = build(**METHODS[name], checkpoint=True), build(**METHODS[name], text_chunk=5)
    loss = total_loss(whole(batch))
    expected = torch.autograd.grad(loss, [p for p in whole.parameters() if p.requires_grad])
    for model in changed:
        assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), model.parameters(), strict=True))
        found = total_loss(model(batch))
        close(found, loss)
        grads = torch.autograd.grad(found, [p for p in model.parameters() if p.requires_grad])
        close(grads, expected, ulps=1024, scale=max(grad.abs().max().item() for grad in expected))
        close(probabilities(model, batch), probabilities(whole, batch))


@pytest.mark.parametrize("name", METHODS)
def test_a_video_does_not_depend_on_the_others(name, build):
    model, batch = build(**METHODS[name]), batch_of(3)
    single = [{k: v[i : i + 1] for k, v in batch.items()} for i in range(3)]
    close(probabilities(model, batch), torch.cat([probabilities(model, one) for one in single]))
    loss = model(batch)["cls_loss"]
    close(loss, sum(model(one)["cls_loss"] for one in single) / 3)  # so accumulated halves are the whole batch
    parameters = [p for p in model.parameters() if p.requires_grad]
    whole = torch.autograd.grad(loss, parameters, allow_unused=True)
    parts = [torch.autograd.grad(model(one)["cls_loss"] / 3, parameters, allow_unused=True) for one in single]
    largest = max(mean.abs().max().item() for mean in whole if mean is not None)
    for mean, *grads in zip(whole, *parts, strict=True):
        if mean is not None:
            close(sum(grads), mean, ulps=1024, scale=largest)


@torch.no_grad()
def test_each_text_of_each_video_is_what_it_is_alone(build):
    # names of one to four tokens: a mask or an end of text of another row would show
    model, batch = build(**METHODS["stt"]), batch_of(2)
    summaries = model._frame_features(batch["inputs"].flatten(0, 1))[1]
    videos = torch.zeros(4, 32)
    text = model.text_features(videos, summaries)
    assert text.shape == (4, 3, 32)
    embeddings, eot = model.prompt_learner(model.text_encoder.token_embedding)
    assert len(set(eot.tolist())) > 1
    deep = model.coupling.text(summaries)
    for m in range(4):
        for k in range(3):
            mine = {layer: vectors[m] for layer, vectors in deep.items()}
            alone = model.text_encoder(embeddings[k : k + 1], eot[k : k + 1], mine)
            close(text[m, k], alone[0])
    assert (text[0] - text[1]).abs().max() > 1e-4


def kept_by_the_graph(model, batch):
    """Numbers that the graph of a loss holds, parameters left out."""
    own, sizes = {p.data_ptr() for p in model.parameters()}, {}

    def pack(tensor):
        if tensor.untyped_storage().data_ptr() not in own:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = total_loss(model(batch))
    assert loss.requires_grad
    return sum(sizes.values())


def test_the_visual_tower_is_kept_only_where_something_visual_trains(build):
    batches = [batch_of(views=1), batch_of(views=4)]
    few, many = (kept_by_the_graph(build(), batch) for batch in batches)
    tokens = 3 * 2 * 2 * 5 * 64  # more views, frames, videos; tokens of a frame, width
    assert many - few < tokens  # a few numbers of every view, less than one layer of the tower
    few, many = (kept_by_the_graph(build(visual=SHALLOW), batch) for batch in batches)
    assert many - few > 10 * tokens
    frozen = build(visual=SHALLOW)
    frozen.visual_prompt.requires_grad_(False)
    assert kept_by_the_graph(frozen, batches[1]) - kept_by_the_graph(build(), batches[1]) < tokens


def test_chunks_bound_what_texts_of_every_video_hold(build):
    batch = batch_of(4)
    whole, chunked = (kept_by_the_graph(build(**METHODS["stt"], text_chunk=chunk), batch) for chunk in (None, 3))
    visual = kept_by_the_graph(build(**METHODS["vita"]), batch)
    assert chunked - visual < (whole - visual) / 4


@pytest.mark.parametrize("name", ["video_coop", "conditional"])
def test_features_of_frames_made_before_give_the_same(name, build, tiny_clip):
    model, batch = build(**METHODS[name]), batch_of()
    images = FramePreprocess(tiny_clip.preprocess).normalise(batch["inputs"].flatten(0, 2))
    with torch.no_grad():
        features = {**batch, "inputs": tiny_clip.module.encode_image(images).unflatten(0, (2, 2, 2))}
    close(model(features)["cls_loss"], model(batch)["cls_loss"])
    close(probabilities(model, features), probabilities(model, batch))
    for method in ("dual_coop", "vilt"):
        with pytest.raises(ValueError, match="leave nothing to prompt for VisualContext"):
            build(**METHODS[method])(features)
    with pytest.raises(ValueError, match="features of 16 numbers cannot be compared"):
        model({**batch, "inputs": torch.zeros(2, 2, 2, 16)})


@pytest.mark.parametrize("name", ["video_coop", "conditional", "dual_coop"])
def test_padding_is_not_seen(name, build):
    model, batch = build(**METHODS[name], frames=3), batch_of(frames=3)
    masks = torch.tensor([True, True, False]).expand(2, 2, 3)
    short = {**batch, "inputs": batch["inputs"][:, :, :2]}
    close(model({**batch, "masks": masks})["cls_loss"], model(short)["cls_loss"])
    with pytest.raises(ValueError, match="unequal numbers of frames in one batch"):
        build(**METHODS["vita"], frames=3)({**batch, "masks": masks})


@pytest.mark.parametrize("loss", ["cross_entropy", "kl"])
def test_soft_labels(build, loss):
    model, batch = build(loss=loss), batch_of(3)
    logits = model._logits(*model._encode(batch), (3, 2))
    hard = F.one_hot(batch["labels"], 3).float()
    close(model({**batch, "targets": hard})["cls_loss"], F.cross_entropy(logits, batch["labels"]))
    close(model(batch)["cls_loss"], F.cross_entropy(logits, batch["labels"]))
    soft = torch.tensor([[0.2, 0.8, 0.0], [0.6, 0.4, 0.0], [0.0, 0.1, 0.9]])
    expected = -(soft * logits.log_softmax(1)).sum(1).mean()
    entropy = -(soft * soft.clamp(min=1e-9).log()).sum(1).mean()  # what the divergence leaves out
    losses = model({**batch, "targets": soft})
    close(losses["cls_loss"], expected - (entropy if loss == "kl" else 0))
    assert losses["logged"]["train_top1"].item() == pytest.approx((logits.argmax(1) == soft.argmax(1)).float().mean())


def test_the_scale_is_learned_and_stays_below_its_bound(build):
    model, batch = build().train(), batch_of()
    with torch.no_grad():
        model.logit_scale.fill_(9.0)
    at_bound = probabilities(model.eval(), batch)
    model.train()(batch)["cls_loss"].backward()
    assert model.logit_scale.item() == pytest.approx(math.log(100)) and model.logit_scale.grad.abs() > 0
    close(probabilities(model, batch), at_bound)


def test_the_regularisation_is_one_minus_the_mean_cosine(build, tiny_clip):
    words = {"type": "PromptLearner", "ctx_mode": "shared_init", "ctx_init": "A video of a person doing"}
    model, batch = build(words, regularisation=HAND), batch_of()
    close(model(batch)["text_loss"], 0.0, scale=1)
    model = build(regularisation=HAND)
    with torch.no_grad():
        texts = [HAND["template"].format(name) for name in CLASSES]
        hand = tiny_clip.module.encode_text(tiny_clip.tokenizer(texts), normalize=True)
        cosines = (hand * F.normalize(model.text_features(), dim=1)).sum(1)
    close(model(batch)["text_loss"], 0.1 * (1 - cosines.mean()))
    assert not [name for name in model.state_dict() if name.startswith("regulariser")]
    with pytest.raises(ValueError, match="regularisation is for prompts that learn"):
        build(FIXED, regularisation=HAND)
    with pytest.raises(ValueError, match="regularisation needs dict"):
        build(regularisation={"weight": 0.1})


@pytest.mark.parametrize("name", ["vidop", "dual_coop", "vilt"])
def test_texts_that_stay_are_encoded_once(name, build, monkeypatch):
    model, batch, made = build(**METHODS[name]), batch_of(), []
    whole = type(model).text_features
    monkeypatch.setattr(type(model), "text_features", lambda self, *args: made.append(0) or whole(self, *args))
    model(batch), model(batch)
    assert len(made) == (1 if name == "vidop" else 2)  # fixed texts are kept in training too
    made.clear()
    model.predict(batch), model.predict(batch)
    assert len(made) == (0 if name == "vidop" else 1)
    if name == "vilt":
        with torch.no_grad():
            model.coupling.text_prompts["0"].add_(1)
        model.predict(batch)
        assert len(made) == 2
    model.prompt_learner.requires_grad_(False)
    if name != "vilt":  # where the pooling alone learns
        model(batch)
        assert len(made) == (0 if name == "vidop" else 1)


def test_texts_that_stay_have_full_precision_whoever_asks_first(build):
    exact, mixed = build(FIXED), build(FIXED)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed(batch_of())
    assert torch.equal(mixed.kept_texts(), exact.kept_texts()) and not exact.kept_texts().requires_grad


@pytest.mark.parametrize("name", METHODS)
def test_mixed_precision_leaves_the_logits_whole(name, build):
    model, batch = build(**METHODS[name]), batch_of()
    exact = model(batch)["cls_loss"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model._logits(*model._encode(batch), (2, 2))
        loss = total_loss(model(batch))
    assert logits.dtype == torch.float32
    loss.backward()
    assert abs(loss - total_loss(model(batch))) < 0.2
    assert torch.isfinite(exact)


@pytest.mark.parametrize("name", METHODS)
def test_the_state_holds_all_that_is_learned(name, build, tiny_clip):
    model, batch = build(**METHODS[name]), batch_of()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    state = model.state_dict()
    prefixes = ("prompt_learner.", "visual_prompt.", "coupling.", "pooling.", "logit_scale", "tower_digest")
    assert all(key.startswith(prefixes) for key in state)
    other = build(**METHODS[name])
    assert not torch.allclose(probabilities(other, batch), probabilities(model, batch), atol=1e-6)
    other.load_state_dict(other.adapt_state_dict(state))
    assert torch.equal(probabilities(other, batch), probabilities(model, batch))
    assert bytes(state["tower_digest"].tolist()).hex() == tiny_clip.digest
    state["tower_digest"] = state["tower_digest"] + 1
    with pytest.raises(ValueError, match="were learned with another text tower than"):
        other.adapt_state_dict(state)
    twin = copy.deepcopy(model)
    assert torch.equal(probabilities(twin, batch), probabilities(model, batch))


class Videos:
    """A dataset as the check sees it."""

    def __init__(self, frames=2, feature_dim=None, source=None):
        self.frames, self.feature_dim, self.source = frames, feature_dim, source


def test_data_that_do_not_fit_are_refused(build, tiny_clip):
    text_only, visual = build(), build(**METHODS["vita"])
    for model in (text_only, visual):
        model.check_dataset(object())
        model.check_dataset(Videos())
    text_only.check_dataset(Videos(frames=5))
    text_only.check_dataset(Videos(feature_dim=32, source={"weights_sha256": tiny_clip.digest}))
    with pytest.raises(ValueError, match=r"the views of the dataset have 5 frames, but .* are built for 2"):
        visual.check_dataset(Videos(frames=5))
    with pytest.raises(ValueError, match="leave nothing to prompt for VideoSummary"):
        visual.check_dataset(Videos(feature_dim=32))
    with pytest.raises(ValueError, match="made by ViT-B-16 with the weights None"):
        text_only.check_dataset(Videos(feature_dim=32, source={"weights_sha256": "01", "model": "ViT-B-16"}))
    flat = {**batch_of(), "inputs": torch.zeros(2, 2, 2, 3, 16, 32, dtype=torch.uint8)}
    with pytest.raises(ValueError, match=r"frames of \(16, 32\) pixels, but .* takes \(32, 32\)"):
        text_only(flat)


def test_options_that_do_not_fit_are_named(build, tiny_clip, monkeypatch):
    with pytest.raises(ValueError, match="loss 'mse' is not a choice; known: cross_entropy, kl"):
        build(loss="mse")
    with pytest.raises(ValueError, match="text_chunk 0 must be a whole number"):
        build(text_chunk=0)
    plain = own_weights(tiny_clip)
    plain.module.visual = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 32))
    monkeypatch.setattr(video_clip, "load_clip", lambda **_: own_weights(plain))
    assert torch.isfinite(build()(batch_of())["cls_loss"])  # a tower of another kind serves texts that learn
    for slot in ({"visual": SHALLOW}, {"coupling": MAPPED}):
        with pytest.raises(ValueError, match="takes no prompts: it is not a VisionTransformer"):
            build(**slot)


def test_a_start_that_cannot_learn_is_told(build, caplog):
    with caplog.at_level("WARNING", logger="opentad_bi"):
        model = build()
        model({**batch_of(), "inputs": torch.zeros(2, 2, 2, 32)})
    assert "starts at ln(3) = 1.098612" in caplog.text and "features of the batch are all zero" in caplog.text


def test_texts_of_several_sentences(build, tiny_clip):
    sentences = {"Archery": ["a bow", "an arrow"], "Apply Eye Makeup": ["a brush"], "Walking With Dog": ["a dog"]}
    model, batch = build({**FIXED, "descriptors": sentences, "pool": "max"}), batch_of()
    order = ["a brush", "a bow", "an arrow", "a dog"]
    single = {**batch, "inputs": batch["inputs"][:, :1]}  # the best sentence is chosen in every view
    logits = plain_logits(tiny_clip, single, order)
    best = torch.stack([logits[:, 0], logits[:, 1:3].amax(1), logits[:, 3]], dim=1)
    close(probabilities(model, single), best.softmax(1))
    assert model.open_vocabulary and not build({**LEARNER, "csc": True}).open_vocabulary
