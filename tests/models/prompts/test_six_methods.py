"""The six methods of video prompts, each a setting of the same slots, on a tiny tower: laws that all of them keep."""

import pytest
import torch
from close import close

from opentad_bi.contracts import total_loss
from opentad_bi.ops.records import UnitMeta
from opentad_bi.registry import MODELS

CLASSES = ["Run", "Apply Eye Makeup", "Playing a Musical Instrument With Friends", "Surf"]  # of 1 to 6 tokens
FRAMES, VIEWS, BATCH = 3, 2, 2
ATTENTION = {"type": "AttentionPooling"}
CONTEXT = {"type": "PromptLearner", "n_ctx": 4}
VISUAL = {"type": "VisualContext", "n_ctx": 3}
SUMMARY = {"type": "VideoSummary", "n_global": 2, "heads": 4}
MAPPED = {"type": "MappedPrompts", "n_ctx": 2, "text_to_visual": [0], "visual_to_text": [1]}
TRANSFER = {"type": "VideoToText", "layers": [0, 1]}
HAND = {"weight": 0.1, "template": "A video of a person doing {}."}
METHODS = {
    "video_coop": {"prompt": CONTEXT, "temporal": ATTENTION, "normalise_frames": True},
    "dual_coop": {"prompt": CONTEXT, "visual": VISUAL, "temporal": ATTENTION},
    "vidop": {"prompt": {"type": "FixedTexts"}, "visual": VISUAL, "temporal": ATTENTION},
    "vilt": {"prompt": CONTEXT, "visual": VISUAL, "coupling": MAPPED, "regularisation": HAND},
    "vita": {"prompt": CONTEXT, "visual": SUMMARY},
    "stt": {"prompt": CONTEXT, "visual": SUMMARY, "coupling": TRANSFER},
}
# what each of them declares to train, beside the logit scale
TRAINED = {
    "video_coop": {"prompt_learner", "pooling"},
    "dual_coop": {"prompt_learner", "visual_prompt", "pooling"},
    "vidop": {"visual_prompt", "pooling"},
    "vilt": {"prompt_learner", "visual_prompt", "coupling"},
    "vita": {"prompt_learner", "visual_prompt"},
    "stt": {"prompt_learner", "visual_prompt", "coupling"},
}
every_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture
def build(tiny_json):
    """A method on the tower of seed 0, its own weights drawn after it."""

    def made(method, classes=CLASSES, **options):
        torch.manual_seed(0)
        cfg = {"type": "VideoCLIP", "classes": classes, "clip": {"model": str(tiny_json)}, "frames": FRAMES}
        return MODELS.build({**cfg, "logit_scale": "learned", **METHODS[method], **options})

    return made


def make_batch(count=BATCH, seed=0):
    made = torch.Generator().manual_seed(seed)
    shape = (count, VIEWS, FRAMES, 3, 32, 32)
    return {
        "inputs": torch.randint(0, 256, shape, dtype=torch.uint8, generator=made),
        "labels": torch.arange(count) % len(CLASSES),
        "meta": [UnitMeta(f"v{i}", 0, 1) for i in range(count)],
    }


def part(batch, rows):
    return {name: [value[i] for i in rows] if name == "meta" else value[rows] for name, value in batch.items()}


def gradients(model, batch):
    model.zero_grad()
    total = total_loss(model(batch))
    total.backward()
    return total.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def probabilities(model, batch):
    return torch.stack([torch.as_tensor(scores.probabilities) for scores in model.eval().predict(batch)])


def train(model, batch, steps, lr=3e-3):
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr, weight_decay=0.0)
    losses = []
    for _ in range(steps):
        loss = total_loss(model(batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@every_method
def test_the_gradient_reaches_exactly_what_the_method_declares(build, method):
    model = build(method)
    _, grads = gradients(model, make_batch())
    declared = {
        name for name, _ in model.named_parameters() if name == "logit_scale" or name.split(".")[0] in TRAINED[method]
    }
    assert {name.split(".")[0] for name in declared} == TRAINED[method] | {"logit_scale"}
    assert {name for name, grad in grads.items() if grad.any()} == declared
    assert {name for name, p in model.named_parameters() if p.requires_grad} == declared


@every_method
def test_the_loss_falls_the_same_way_every_time(build, method):
    first, second = (train(build(method), make_batch(), steps) for steps in (25, 2))
    assert min(first[-3:]) < 0.9 * first[0]
    assert first[:2] == second


@every_method
def test_what_was_learned_is_all_that_is_saved(build, method):
    model, batch = build(method), make_batch()
    train(model, batch, 2)
    state = model.state_dict()
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained <= set(state)
    assert {name.split(".")[0] for name in set(state) - trained} <= {"tower_digest", "prompt_learner"}
    assert sum(tensor.numel() for name, tensor in state.items() if name not in trained) < 100
    fresh = build(method)
    assert not torch.allclose(probabilities(fresh, batch), probabilities(model, batch), rtol=0, atol=1e-6)
    fresh.load_state_dict(state)
    assert torch.equal(probabilities(fresh, batch), probabilities(model, batch))


@torch.no_grad()
@every_method
def test_a_score_depends_on_its_own_video_and_class_alone(build, method):
    model, batch = build(method), make_batch(3)
    together = probabilities(model, batch)
    for i in range(3):
        close(probabilities(model, part(batch, [i])), together[[i]])
    few = build(method, classes=[CLASSES[2], CLASSES[0]])  # its texts are cut to another length
    few.load_state_dict(few.adapt_state_dict(model.state_dict()))
    asked = together[:, [2, 0]] / together[:, [2, 0]].sum(1, keepdim=True)
    close(probabilities(few, batch), asked)


@torch.no_grad()
@pytest.mark.parametrize("method", ["vita", "stt"])
def test_the_order_of_frames_matters_once_time_is_learned(build, method):
    model, batch = build(method), make_batch()
    model.visual_prompt.time.normal_()
    turned = batch | {"inputs": batch["inputs"].flip(2)}
    assert (probabilities(model, batch) - probabilities(model, turned)).abs().max() > 1e-4


@torch.no_grad()
def test_the_texts_of_stt_follow_the_video_and_those_of_vita_do_not(build):
    batch = make_batch()
    other = batch | {"inputs": batch["inputs"].flip(0)}
    for method, moves in (("vita", False), ("stt", True)):
        model, seen = build(method), []
        model.text_encoder.register_forward_hook(lambda _, __, features, seen=seen: seen.append(features))
        probabilities(model, batch)
        probabilities(model, other)
        first, second = torch.cat(seen).chunk(2) if moves else (seen[0], seen[-1])
        rows = first.view(BATCH, -1, first.shape[-1]) if moves else first
        assert len(first) == len(CLASSES) * (BATCH * VIEWS if moves else 1)
        if moves:  # every video takes its texts along to its new place
            close(second.view_as(rows), rows.flip(0))
            assert (rows[0] - rows[1]).abs().max() > 1e-4
        else:
            assert torch.equal(first, second)


@every_method
@pytest.mark.parametrize("options", [{"checkpoint": True}, {"text_chunk": 3}])
def test_less_memory_gives_the_same_gradient(build, method, options):
    batch = make_batch()
    loss, grads = gradients(build(method), batch)
    again, others = gradients(build(method, **options), batch)
    close(again, loss)
    assert grads.keys() == others.keys()
    for name, grad in grads.items():
        close(others[name], grad, ulps=8192, msg=name)


def test_a_coupling_without_what_it_needs_is_refused(build):
    model = build("stt", visual=VISUAL)
    with pytest.raises(ValueError, match="has no summary"):
        model(make_batch())
    with pytest.raises(ValueError, match="the text tower has no layer 2; it has layers 0 to 1"):
        build("stt", coupling={**TRANSFER, "layers": [0, 2]})
    with pytest.raises(ValueError, match="5 heads do not divide the width 64"):
        build("vita", visual={**SUMMARY, "heads": 5})
