"""The model: its losses and what they reach, duplicates, small batches, the queue, scores of frames, heat-maps."""

import logging
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from close import close
from region_batches import CLASSES, build, make_batch
from torch.nn import functional as F

from opentad_bi.contracts import losses_and_logged, total_loss
from opentad_bi.engine.branch import apply_trainable
from opentad_bi.ops.records import UnitMetas
from opentad_bi.registry import MODELS

PROMPTS = {"Normal": ["an empty street", "people walk", "a quiet shop"], "Fire": ["flames", "smoke"]}


def reached(model):
    return {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}


def test_both_losses_start_near_chance_and_fall(tiny_json):
    model, batch = build(tiny_json), make_batch()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    seen = []
    for _ in range(8):
        losses = model(batch)
        seen.append([losses["global_loss"].item(), losses["region_loss"].item()])
        optimizer.zero_grad()
        total_loss(losses).backward()
        optimizer.step()
    assert losses["logged"]["global_chance"].item() == pytest.approx(math.log(4))
    assert losses["logged"]["region_chance"].item() == pytest.approx(math.log(4))
    assert seen[1][0] < seen[0][0] and seen[1][1] < seen[0][1]
    assert seen[-1][0] < 0.5 * math.log(4) and seen[-1][1] < 0.1 * 0.8 * math.log(4)


def test_the_gradient_reaches_everything(tiny_json):
    pooling = {"type": "TransformerPooling", "frames": 3, "readout": {"type": "ScoredPooling", "hidden": 8}}
    model = build(tiny_json, context_length=248, bank=True, global_feature=pooling)
    torch.nn.init.normal_(model.vision.pooling.out.weight, std=0.1)
    torch.nn.init.normal_(model.vision.pooling.readout.score[-1].weight, std=0.1)
    total_loss(model(make_batch())).backward()
    missing = {name for name, _ in model.named_parameters()} - reached(model)
    assert not missing - {"vision.pooling.readout.score.2.bias"}  # adds the same to the score of every step


def test_the_loss_of_regions_alone_reaches_the_dense_path(tiny_json):
    model = build(tiny_json)
    model(make_batch())["region_loss"].backward()
    names = reached(model)
    last = "vision.tower.encoder.visual.transformer.resblocks.1."
    assert {"vision.region_scale", f"{last}attn.in_proj_weight", f"{last}mlp.c_fc.weight"} <= names
    assert "vision.logit_scale" not in names and any(name.startswith("text.") for name in names)
    grad = model.vision.tower.encoder.visual.transformer.resblocks[1].attn.in_proj_weight.grad
    assert grad[:128].abs().max() == 0 and grad[128:].abs().max() > 0  # values alone


def test_captions_that_say_the_same_are_no_negatives(tiny_json):
    model, batch = build(tiny_json), make_batch()
    batch["captions"] = ["A fire.", "a  fire", "a fire", " A FIRE . "]
    batch["region_captions"] = ["smoke"] * 4
    losses, logged = losses_and_logged(model(batch))
    assert [loss.item() for loss in losses.values()] == [0, 0]
    assert logged["global_chance"] == 0
    total_loss(losses).backward()
    assert not reached(model)
    assert model.idle == {"global": 1, "region": 1, "hard": 0}


@pytest.mark.parametrize("duplicates", ["exclude", "soft"])
def test_a_batch_whose_captions_are_all_the_same_is_idle_unless_something_is_beside_it(tiny_json, duplicates):
    batch = make_batch()
    batch["captions"] = ["a fire"] * 4
    model = build(tiny_json, duplicates=duplicates, queue=8, queue_warmup=0)
    for _ in range(2):  # what stands in the queue says the same, too
        model(batch)
    assert model.idle == {"global": 2, "region": 0, "hard": 0}
    batch["captions"] = ["a fire", "a fire", "rain", "a fire"]
    model(batch)
    model = build(tiny_json, duplicates=duplicates, bank=True)
    model(batch | {"captions": ["a fire"] * 4})
    assert model.idle == {"global": 0, "region": 0, "hard": 0}


def test_captions_of_regions_are_told_from_what_is_nearly_right(tiny_json):
    batch, model = make_batch(), build(tiny_json, hard_weight=0.5, context_length=248)
    assert torch.equal(model.vision.hard_scale, model.vision.region_scale)
    with torch.no_grad():
        model.text.long_positions.mul_(3)  # captions of videos alone have these
    batch["region_negatives"][3] = (f" {batch['region_captions'][3].upper()}.",)  # says the same: none
    found = model.features(batch)
    scale, rows = model.vision.hard_scale.exp(), []
    for row in (0, 2):
        wrong = F.normalize(model.text.encode(list(batch["region_negatives"][row])), dim=1)
        logits = scale * found["regions"][row] @ torch.cat([found["region_captions"][row : row + 1], wrong]).T
        rows.append(F.cross_entropy(logits[None], torch.tensor([0])))
    losses = model(batch)
    close(losses["hard_loss"], 0.5 * sum(rows) / 2, ulps=1024)
    plain = build(tiny_json, context_length=248)(batch)
    assert set(plain) == {"global_loss", "region_loss", "logged"}
    assert plain["region_loss"].item() == losses["region_loss"].item() and losses["logged"]["hard_regions"] == 2
    losses["hard_loss"].backward()
    assert {"vision.hard_scale", "text.text_projection"} <= reached(model)
    assert "vision.region_scale" not in reached(model)
    with torch.no_grad():
        model.vision.hard_scale.fill_(9)
    model(batch)
    assert model.vision.hard_scale.item() == pytest.approx(math.log(100))


def test_no_hard_negative_is_a_zero_with_a_way_back(tiny_json):
    for batch in (make_batch(owners=()), make_batch() | {"region_negatives": [()] * 4}):
        model = build(tiny_json, hard_weight=0.5)
        losses = model(batch)
        loss = losses["hard_loss"]
        assert loss.item() == 0 and model.idle["hard"] == 1 and losses["logged"]["hard_regions"] == 0
        loss.backward()
        assert model.vision.hard_scale.grad == 0
    with pytest.raises(ValueError, match=r"hard_weight 0\.5 needs regions"):
        build(tiny_json, hard_weight=0.5, region_weight=0)


def test_counts_of_the_batch_are_logged(tiny_json):
    losses = build(tiny_json)(make_batch() | {"counts": {"missed": torch.tensor(0.5)}})
    assert losses["logged"]["regions_missed"] == 0.5


def test_duplicates_are_negatives_where_that_is_asked_for(tiny_json):
    batch = make_batch()
    batch["captions"] = ["a fire"] * 4
    model = build(tiny_json, duplicates="negatives", queue=8, queue_warmup=0)
    losses = model(batch)
    assert losses["logged"]["global_chance"].item() == pytest.approx(math.log(4)) and not model.idle["global"]
    losses = model(batch)
    assert losses["logged"]["global_chance"].item() == pytest.approx(math.log(8))


def test_one_video_is_no_mistake_where_nothing_is_learned(tiny_json):
    model, batch = build(tiny_json).eval(), make_batch(1, owners=())
    assert model(batch)["global_loss"].item() == 0
    (result,) = model.predict(batch | {"meta": UnitMetas(["a"], [0], [1])})
    assert len(result.regions) == 0 and result.region_captions == []


def test_predictions_of_captioned_videos_are_their_features(tiny_json):
    model, batch = build(tiny_json), make_batch() | {"meta": UnitMetas(list("abcd"), [0] * 4, [1] * 4)}
    results, found = model.predict(batch), model.features(batch)
    assert [(result.meta.video, result.caption) for result in results] == list(
        zip("abcd", batch["captions"], strict=True)
    )
    assert [result.region_captions for result in results] == [
        batch["region_captions"][:1], [], batch["region_captions"][1:3], batch["region_captions"][3:]
    ]  # fmt: skip
    for name, rows in (("videos", [r.video for r in results]), ("captions", [r.text for r in results])):
        close(torch.from_numpy(np.stack(rows)), found[name].detach())
    for name, rows in (
        ("regions", [r.regions for r in results]),
        ("region_captions", [r.region_texts for r in results]),
    ):
        close(torch.from_numpy(np.concatenate(rows)), found[name].detach())


def test_a_region_has_the_class_of_its_own_video(tiny_json):
    model = build(tiny_json, bank=True)
    batch = make_batch(3, owners=(2, 1, 2))  # classes 0, 1, 2
    found = model.features(batch)
    texts, scale = model.texts(model.text), model.vision.region_scale.exp()
    others = scale * found["regions"] @ torch.cat([found["region_captions"], texts]).T
    for row, label in enumerate((2, 1, 2)):
        others[row, 3 + label] = -math.inf
    own = torch.arange(3)
    wanted = F.cross_entropy(others, own) + F.cross_entropy(scale * found["region_captions"] @ found["regions"].T, own)
    losses = model(batch)
    close(losses["logged"]["region_contrast"], wanted.detach() / 2, ulps=1024)


def test_the_number_of_frames_reaches_a_pooling_that_needs_it(tiny_json):
    batch = make_batch()
    model = build(tiny_json, frames=5, global_feature={"type": "TransformerPooling"})
    assert len(model.vision.pooling.positions) == 5
    close(model.features(batch)["videos"], build(tiny_json).features(batch)["videos"], ulps=1024)
    own = {"type": "TransformerPooling", "frames": 4}
    assert len(build(tiny_json, frames=5, global_feature=own).vision.pooling.positions) == 4


@pytest.mark.parametrize(("options", "told"), [
    ({}, "ln 4 = 1.386"),
    ({"queue": 12}, "ln 16 = 2.773"),
    ({"bank": True}, "(ln 6 + ln 4) / 2 = 1.589"),
])  # fmt: skip
def test_the_loss_at_chance_level_counts_all_columns(options, told):
    cls = MODELS.find("FGCLIP")
    (verdict,) = cls.verdicts({"classes": CLASSES, **options}, batch_size=4)
    assert verdict.level == "ok" and verdict.found.endswith(told)


def test_no_region_is_an_exact_zero(tiny_json, caplog):
    model = build(tiny_json)
    losses = model(make_batch(owners=()))
    assert losses["region_loss"] == 0 and losses["global_loss"] > 0
    total_loss(losses).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.idle == {"global": 0, "region": 1, "hard": 0}


def test_without_weight_regions_are_left_out(tiny_json, monkeypatch):
    model, batch = build(tiny_json, region_weight=0), make_batch()
    asked, tower = [], model.vision.tower.forward
    monkeypatch.setattr(
        model.vision.tower, "forward", lambda images, dense: asked.append(dense) or tower(images, dense)
    )
    assert model(batch)["region_loss"] == 0 and not any(asked)
    assert model.features(batch)["regions"].shape == (4, 32) and any(asked)


def test_a_batch_without_negatives_is_told_once_and_counted(tiny_json, caplog):
    model, batch = build(tiny_json), make_batch(owners=(1,))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert model(batch)["region_loss"] == 0
    assert model.idle == {"global": 0, "region": 3, "hard": 0}
    assert sum("a batch with 1 region pairs has no negatives" in line for line in caplog.messages) == 1


def test_a_single_video_is_refused_unless_something_is_beside_it(tiny_json):
    batch = make_batch(1, owners=(0,))
    with pytest.raises(ValueError, match=r"a batch of 1 video has no negatives.*batch_size of 2 or more.*bank=True"):
        build(tiny_json)(batch)
    model = build(tiny_json, bank=True)
    losses = model(batch)
    total_loss(losses).backward()
    assert {"vision.logit_scale", "vision.region_scale", "text.ln_final.weight"} <= reached(model)
    assert losses["logged"]["global_chance"].item() == pytest.approx(math.log(3) / 2)  # two other classes
    model = build(tiny_json, queue=4, queue_warmup=1)
    assert model(batch)["global_loss"] == 0  # it fills first
    batch["captions"], batch["region_captions"] = ["rain"], ["a tree"]
    assert model(batch)["global_loss"] > 0


def test_the_queue_is_saved_and_a_resumed_run_goes_on_the_same(tiny_json):
    model, batches = build(tiny_json, queue=5, queue_warmup=0), [make_batch(seed=seed) for seed in range(3)]
    for number, batch in enumerate(batches):
        batch["captions"] = [f"{text} {number}" for text in batch["captions"]]
        batch["region_captions"] = [f"{text} {number}" for text in batch["region_captions"]]
    for batch in batches[:2]:
        model(batch)
    other = build(tiny_json, seed=1, queue=5, queue_warmup=0)
    other.load_state_dict(model.state_dict())
    losses, logged = losses_and_logged(model(batches[2]))
    assert all(torch.equal(losses[name], loss) for name, loss in losses_and_logged(other(batches[2]))[0].items())
    assert logged["global_chance"].item() == pytest.approx(math.log(9))
    model.eval()
    pushed = int(model.queues["global"].pushed)
    model(batches[0])
    assert int(model.queues["global"].pushed) == pushed  # evaluation leaves it alone


def test_scales_are_capped_and_come_back(tiny_json):
    model, batch = build(tiny_json), make_batch()
    with torch.no_grad():
        model.vision.logit_scale.fill_(9)
        model.vision.region_scale.fill_(-1)
    total_loss(model(batch)).backward()
    assert model.vision.logit_scale.item() == pytest.approx(math.log(100))
    assert model.vision.region_scale == -1 and model.vision.logit_scale.grad != 0
    with torch.no_grad():
        model.vision.region_scale.fill_(9)
        model.vision.logit_scale.fill_(-1)
    total_loss(model(batch)).backward()
    assert model.vision.region_scale.item() == pytest.approx(math.log(100))
    assert model.vision.logit_scale == -1 and model.vision.region_scale.grad != 0


def test_bf16_on_cpu_is_finite(tiny_json):
    model, batch = build(tiny_json, bank=True, queue=4, queue_warmup=0, recompute="video"), make_batch()
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16):
            losses = model(batch)
        assert all(loss.dtype == torch.float32 for loss in losses_and_logged(losses)[0].values())
        total_loss(losses).backward()
    assert all(p.dtype == torch.float32 and p.grad.isfinite().all() for p in model.parameters())


def stream(batch, rows=(3, 2)):
    """A batch of runs of frames as evaluation has it."""
    valid = torch.arange(3) < torch.tensor(rows)[:, None]
    meta = UnitMetas(["a", "b"], [0, 3], list(rows))
    return {"inputs": batch["inputs"][:2], "valid": valid, "labels": torch.tensor([0, 1]), "meta": meta}


@torch.no_grad()
def test_frames_are_scored_by_the_texts_of_the_classes(tiny_json):
    model, batch = build(tiny_json, prompts=PROMPTS).eval(), make_batch()
    found = model.predict(stream(batch))
    assert [(r.meta.video, r.meta.start, r.label, r.probabilities.shape) for r in found] == [
        ("a", 0, 0, (3, 3)),
        ("b", 3, 1, (2, 3)),
    ]
    features = model.vision.frames(batch["inputs"][0])[0]
    cosines = F.normalize(features, dim=1) @ model.texts(model.text).T
    wanted = (model.vision.logit_scale.exp() * cosines).softmax(1)
    close(found[0].probabilities, wanted, ulps=1024)


@torch.no_grad()
def test_regions_take_their_share_of_the_score(tiny_json):
    frames = make_batch()["inputs"][0]
    whole = build(tiny_json).probabilities(frames)
    model = build(tiny_json, region_score=1.0, top=2)
    cells = model.vision.frames(frames, cells=True)[1]
    each = (model.vision.region_scale.exp() * F.normalize(cells, dim=2) @ model.texts(model.text).T).softmax(2)
    regions = torch.stack([p[p[:, 0].argsort()[:2]].mean(0) for p in each])  # the two least normal patches
    close(model.probabilities(frames), regions, ulps=1024)
    model.vision.logit_scale.fill_(0)  # of whole frames alone
    close(model.probabilities(frames), regions, ulps=1024)
    model.vision.region_scale.fill_(math.log(100))
    highest = model.probabilities(frames)
    model.vision.region_scale.fill_(9)
    close(model.probabilities(frames), highest)
    mixed = build(tiny_json, region_score=0.25, top=2).probabilities(frames)
    close(mixed, 0.75 * whole + 0.25 * regions, ulps=1024)
    close(mixed.sum(1), torch.ones(3))
    assert build(tiny_json, region_score=1.0, top=99).probabilities(frames).shape == (3, 3)


@torch.no_grad()
def test_a_heat_map_is_the_cosine_of_each_patch(tiny_json):
    model, frames = build(tiny_json), make_batch()["inputs"][0]
    found = model.heat_map(frames, "road_accident")
    cells = model.vision.frames(frames, cells=True)[1]
    wanted = F.cosine_similarity(cells, model.texts(model.text)[2], dim=2)
    close(found, wanted.unflatten(1, (2, 2)), ulps=1024)
    with pytest.raises(KeyError, match="unknown class 'Fires'; did you mean 'Fire'"):
        model.heat_map(frames, "Fires")


def test_both_branches_are_all_of_it_and_in_the_state_dict(tiny_json):
    model = build(tiny_json, queue=4)
    branches = model.branches()
    counts = [apply_trainable(module, None) for module in branches.values()]
    assert list(branches) == ["vision", "text"] and all(trained == every for trained, every in counts)
    assert sum(every for _, every in counts) == sum(p.numel() for p in model.parameters())
    assert {name for name, _ in model.named_parameters()} <= set(model.state_dict())


def test_data_of_another_size_and_wrong_arguments_are_refused(tiny_json):
    class Data:
        image_size = 224

    with pytest.raises(ValueError, match=r"224 x 224 pixels, but .* takes 32 x 32"):
        build(tiny_json).check_dataset(Data())
    with pytest.raises(ValueError, match="duplicates 'excluded' is not a choice; did you mean 'exclude'"):
        build(tiny_json, duplicates="excluded")
    with pytest.raises(ValueError, match="recompute 'videos' is not a choice"):
        build(tiny_json, recompute="videos")
    with pytest.raises(ValueError, match=r"region_score 1\.5 must be a number from 0 to 1"):
        build(tiny_json, region_score=1.5)
    with pytest.raises(KeyError, match="normal_class 'Usual' is none of the classes"):
        build(tiny_json, normal_class="Usual")
    assert build(tiny_json).classes == CLASSES


@torch.no_grad()
def test_numbers_that_are_not_finite_name_the_video_and_the_tensor(tiny_json):
    model, batch = build(tiny_json, prompts=PROMPTS).eval(), make_batch()
    captioned = batch | {"meta": UnitMetas(list("abcd"), [0] * 4, [1] * 4)}
    model.vision.region_scale.fill_(math.nan)  # of no use to either
    model.predict(stream(batch)), model.predict(captioned)
    model.vision.logit_scale.fill_(math.nan)
    with pytest.raises(ValueError, match=r"^videos 'a', 'b': probabilities are not finite.*vision\.logit_scale"):
        model.predict(stream(batch))
    model = build(tiny_json, prompts=PROMPTS).eval()
    next(model.text.parameters()).fill_(math.nan)
    with pytest.raises(ValueError, match=r"^videos 'a', 'b', 'c', 'd': features of captions are not finite.*: text\."):
        model.predict(captioned)


@pytest.mark.parametrize(("weight", "wrong", "words"), [
    (0.5, 30, "hard loss: 30 wrong texts of regions, hard_weight=0.5"),
    (0.0, 30, "hard loss: off; the 30 wrong texts of regions are not used"),
    (0.5, 0, "hard loss: 0 at hard_weight=0.5, as no region has wrong texts"),
    (0.0, 0, ""),
])  # fmt: skip
def test_the_log_says_what_becomes_of_wrong_texts(tiny_json, caplog, weight, wrong, words):
    model = build(tiny_json, hard_weight=weight)
    caplog.clear()
    with caplog.at_level("INFO"):
        model.check_dataset(SimpleNamespace(image_size=32, region_negatives=wrong))
    assert words in caplog.text and ("hard loss" in caplog.text) == bool(words)
