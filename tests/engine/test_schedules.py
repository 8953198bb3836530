"""Learning rates counted in epochs."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from opentad_bi.registry import SCHEDULERS

ITERATIONS = 3  # of an epoch
BASE = 0.2


def rates(count, **cfg):
    """Learning rate of the first `count` iterations."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=BASE)
    schedule = SCHEDULERS.build(cfg, optimizer=optimizer, iters_per_epoch=ITERATIONS)
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize("end", [{}, {"max_epoch": None}, {"max_epoch": 4}])
def test_steps_at_milestones_whatever_the_end(end):
    found = rates(18, type="LinearWarmupMultiStepLR", warmup_epoch=2, milestones=[3, 5], gamma=0.5, **end)
    warm = [BASE * i / 6 for i in range(6)]
    assert found == pytest.approx([*warm, *[BASE] * 3, *[BASE / 2] * 6, *[BASE / 4] * 3])


def test_steps_without_warm_up_are_those_of_torch_in_epochs():
    ours = rates(15, type="LinearWarmupMultiStepLR", warmup_epoch=0, milestones=[1, 4], max_epoch=5)
    assert ours == pytest.approx(rates(15, type="MultiStepLR", milestones=[3, 12]))


def test_cosine_without_warm_up_starts_at_the_base_rate():
    found = rates(12, type="LinearWarmupCosineAnnealingLR", warmup_epoch=0, max_epoch=4, eta_min=0.0)
    assert found[0] == BASE
    assert found[6] == pytest.approx(BASE / 2)
    assert found == sorted(found, reverse=True)


@given(
    epochs=st.integers(1, 9),
    per_epoch=st.integers(1, 4),
    eta_min=st.sampled_from([0.0, 1e-6, 0.01]),
    after=st.integers(0, 40),
)
def test_a_cosine_by_epochs_is_that_of_torch_up_to_its_end_and_an_interruption_changes_nothing(
    epochs, per_epoch, eta_min, after
):
    def optimizer():
        return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=BASE)

    ours, theirs = optimizer(), optimizer()
    cfg = {"type": "EpochCosineAnnealingLR", "max_epoch": epochs, "eta_min": eta_min}
    schedule = SCHEDULERS.build(cfg, optimizer=ours, iters_per_epoch=per_epoch)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, epochs, eta_min)
    for i in range((epochs + 3) * per_epoch):
        if i == after:
            state, rate = schedule.state_dict(), ours.param_groups[0]["lr"]
            ours = optimizer()
            schedule = SCHEDULERS.build(cfg, optimizer=ours, iters_per_epoch=per_epoch)
            schedule.load_state_dict(state)
            ours.param_groups[0]["lr"] = rate
        expected = theirs.param_groups[0]["lr"] if i // per_epoch <= epochs else eta_min  # torch's rises again
        assert ours.param_groups[0]["lr"] == pytest.approx(expected, rel=1e-9, abs=1e-15)
        ours.step()
        schedule.step()
        if (i + 1) % per_epoch == 0:
            theirs.step()
            reference.step()
    assert ours.param_groups[0]["lr"] == eta_min
    with pytest.raises(ValueError, match="max_epoch 0 must be at least 1"):
        SCHEDULERS.build({**cfg, "max_epoch": 0}, optimizer=ours, iters_per_epoch=per_epoch)


def test_constant_warm_up_then_cosine():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.002)
    options = {"warmup_epoch": 1, "max_epoch": 5, "iters_per_epoch": 4, "warmup_lr": 1e-5}
    cfg = {"type": "ConstantWarmupCosineAnnealingLR", **options}
    schedule = SCHEDULERS.build(cfg, optimizer=optimizer)
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:4] == [1e-5] * 4
    expected = [0.001 * (1 + math.cos(math.pi * i / 16)) for i in range(16)]
    assert rates[4:] == pytest.approx(expected, rel=1e-12)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)
