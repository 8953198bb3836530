"""Weight decay on what a network multiplies by, and a warm-up over a part of all steps."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from opentad_bi.engine.optim import build_optimizer
from opentad_bi.registry import MODELS, SCHEDULERS

BASE = 0.2
ADAMW = {"type": "AdamW", "lr": 0.1, "weight_decay": 0.01}


class Odd(nn.Module):
    """One parameter of each kind."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2)
        self.norm = nn.LayerNorm(8)
        self.table = nn.Embedding(5, 8)
        self.proj = nn.Parameter(torch.zeros(8, 4))
        self.positional_embedding = nn.Parameter(torch.zeros(7, 8))
        self.long_positions = nn.Parameter(torch.zeros(7, 8))
        self.logit_scale = nn.Parameter(torch.zeros(()))


def groups(module, **options):
    """Names of the parameters with decay, and of those without."""
    names = {id(p): name for name, p in module.named_parameters()}
    built = build_optimizer(module, {**ADAMW, **options}).param_groups
    by = {decay: set() for decay in (0.01, 0.0)}
    for group in built:
        by[group["weight_decay"]] |= {names[id(p)] for p in group["params"]}
    return by[0.01], by[0.0]


def test_matrices_decay_and_tables_scales_norms_and_biases_do_not():
    decayed, kept = groups(Odd(), decay_matrices=True)
    assert decayed == {"attention.in_proj_weight", "attention.out_proj.weight", "proj"}
    assert kept == {"attention.in_proj_bias", "attention.out_proj.bias", "norm.weight", "norm.bias", "table.weight",
                    "positional_embedding", "long_positions", "logit_scale"}  # fmt: skip


def test_groups_of_layers_stay_as_they_were():
    decayed, _ = groups(Odd(), paramwise=True)
    assert decayed == {"attention.out_proj.weight"}  # of linear layers alone
    assert groups(Odd())[1] == set()
    with pytest.raises(ValueError, match=r"paramwise and optimizer\.decay_matrices exclude each other"):
        build_optimizer(Odd(), {**ADAMW, "paramwise": True, "decay_matrices": True})


def test_groups_of_a_clip_model(tiny_json):
    clip = {"model": str(tiny_json)}
    model = MODELS.build({"type": "FGCLIP", "clip": clip, "classes": ["Normal", "Fire"], "context_length": 248})
    branches = model.branches()
    decayed, kept = groups(branches["vision"], decay_matrices=True)
    assert {"logit_scale", "region_scale"} <= kept
    assert {name.rpartition(".")[2] for name in decayed} == {"weight", "in_proj_weight", "proj"}
    assert not any("ln_" in name or "bias" in name or "embedding" in name for name in decayed)
    decayed, kept = groups(branches["text"], decay_matrices=True)
    assert {"text_projection"} < decayed and {"token_embedding.weight", "positional_embedding", "long_positions"} < kept
    assert sum("in_proj_weight" in name for name in decayed) == 2


def rates(count, per_epoch, **cfg):
    """Learning rate of the first `count` iterations."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=BASE)
    schedule = SCHEDULERS.build({"type": "WarmupRatioLR", **cfg}, optimizer=optimizer, iters_per_epoch=per_epoch)
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found, schedule


@given(
    epochs=st.integers(1, 9),
    per_epoch=st.integers(1, 20),
    ratio=st.floats(0, 0.6),
    shape=st.sampled_from(["cosine", "linear", "constant"]),
)
def test_a_warm_up_rises_to_the_base_rate_and_what_follows_falls(epochs, per_epoch, ratio, shape):
    total = epochs * per_epoch
    warm = math.ceil(round(ratio * total, 6))
    if warm >= total > 1:
        return
    found, schedule = rates(total, per_epoch, max_epoch=epochs, warmup_ratio=ratio, shape=shape)
    warm = min(warm, total - 1)
    assert schedule.warmup == warm
    assert found[:warm] == pytest.approx([BASE * (i + 1) / warm for i in range(warm)])
    after = found[warm:]
    assert after[0] == pytest.approx(BASE) and after == sorted(after, reverse=True) and min(after) > 0
    if shape == "linear":
        assert after == pytest.approx([BASE * (1 - i / len(after)) for i in range(len(after))])
    if shape == "cosine":
        assert after == pytest.approx([BASE * (1 + math.cos(math.pi * i / len(after))) / 2 for i in range(len(after))])


def test_numbers_of_the_recipe():
    # 232 videos in batches of 16: 14 steps an epoch, 140 in all, 14 to warm up
    found, schedule = rates(140, 14, max_epoch=10)
    assert schedule.warmup == 14 and found[0] == pytest.approx(BASE / 14) and found[13] == pytest.approx(BASE)
    assert found[77] == pytest.approx(BASE / 2) and found[-1] < 1e-3 * BASE
    assert rates(4, 2, max_epoch=2)[1].warmup == 1
    assert rates(9, 3, max_epoch=3, steps=4)[1].warmup == 4


@pytest.mark.parametrize(("options", "message"), [
    ({"shape": "square"}, "shape 'square' is not a choice"),
    ({"warmup_ratio": 1.0}, "warmup_ratio 1.0 must be"),
    ({"steps": 10}, "a warm-up of 10 iterations leaves nothing of the 6"),
])  # fmt: skip
def test_a_schedule_that_makes_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        rates(1, 3, max_epoch=2, **options)
