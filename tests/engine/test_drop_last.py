"""The last iteration of an epoch may have fewer micro-batches: `solver.train.drop_last=False`."""

import json
import os
from functools import partial

import pytest
import torch
from close import close
from hypothesis import given
from hypothesis import strategies as st
from processes import run_processes
from test_laws import assert_same, resume_everywhere, weights

from opentad_bi.cli.main import call
from opentad_bi.config import config_text
from opentad_bi.engine.data import train_loader
from opentad_bi.engine.hooks import Hook
from opentad_bi.registry import HOOKS


@HOOKS.register_module(force=True)
class KeepOfRank(Hook):
    """What a process ends with."""

    def after_train(self, runner):
        rank = os.environ["RANK"]
        kept = {"weights": runner.model.state_dict(), "lrs": runner.lrs, "losses": runner.losses, "rank": int(rank)}
        torch.save({**kept, "logged": runner.logged}, runner.work_dir / f"rank{rank}.pt")


@pytest.fixture
def config(toy_config):
    """14 samples in micro-batches of 4, 2 of them an iteration: epochs of 2 + 1 micro-batches."""
    toy_config.dataset.train.length = 14
    toy_config.solver.update(accumulate=2)
    toy_config.solver.train.drop_last = False
    toy_config.branches.model.scheduler = {"type": "EpochCosineAnnealingLR", "max_epoch": 3}
    return toy_config


@given(length=st.integers(1, 40), size=st.integers(1, 5), accumulate=st.integers(1, 4))
def test_only_what_fills_no_micro_batch_is_left_out(length, size, accumulate):
    options = {"batch_size": size, "num_workers": 0, "accumulate": accumulate, "seed": 0}
    if length < size:
        with pytest.raises(ValueError, match=f"{length} samples, fewer than one batch of {size}"):
            train_loader(range(length), **options, drop_last=False)
        return
    sampler = train_loader(Numbers(length), **options, drop_last=False).sampler
    indices = [index for index, _ in sampler]
    assert len(set(indices)) == len(indices) == length // size * size
    if length >= size * accumulate:
        whole = [index for index, _ in train_loader(Numbers(length), **options).sampler]
        assert len(whole) == length // (size * accumulate) * size * accumulate
        assert indices[: len(whole)] == whole  # the same order, and nothing but the last iteration is new


class Numbers:
    """A dataset without samples."""

    collate = staticmethod(list)

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length


def test_the_smaller_iteration_averages_over_what_it_has(config, make_runner):
    config.branches.model.update(optimizer={"type": "SGD", "lr": 0.1}, clip_grad_norm=None)
    runner = make_runner(config)
    assert runner.iters_per_epoch == 2
    last = list(runner.loader)[2]
    first, second = make_runner(config), make_runner(config)
    first.train_step([last])
    second.train_step([last, last])  # the mean of two equal gradients is that of one
    for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True):
        close(a, b)
    groups = []
    step, runner.end_epoch = runner.train_step, 1
    runner.train_step = lambda batches: (groups.append(len(batches)), step(batches))
    runner.train()
    assert groups == [2, 1]
    assert runner.means["losses"].count == 3
    assert runner.branches["model"].lrs[0] == pytest.approx(0.1 * 0.75)  # of epoch 1, counted from 0, of 3


def test_means_over_an_epoch_weigh_every_micro_batch_alike(config, make_runner):
    """With the rate 0 the network stays, so the means are those over all micro-batches of the epoch."""
    config.model = {"type": "ToyLogger"}
    config.branches.model.update(optimizer={"type": "SGD", "lr": 0.0}, scheduler=None)
    runner = make_runner(config)
    batches, runner.end_epoch = list(runner.loader), 1
    said = [runner.model.layers(batch["inputs"])[:, 0] for batch in batches]
    losses = [(found - batch["target"]).square().mean().item() for found, batch in zip(said, batches, strict=True)]
    runner.train()
    assert runner.means["losses"].values() == {"loss": pytest.approx(sum(losses) / 3)}
    assert runner.means["logged"].values() == {"said": pytest.approx(sum(s.mean().item() for s in said) / 3)}


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_a_resume_amid_an_epoch_equals_no_interruption(config, make_runner, stop_after):
    config.model.dropout = 0.3
    whole, again = resume_everywhere(config, make_runner, stop_after)
    assert_same(weights(whole.model), weights(again.model))
    assert whole.branches["model"].lrs == again.branches["model"].lrs
    assert whole.means["losses"].values() == again.means["losses"].values()


def test_a_set_smaller_than_an_iteration_but_not_than_a_micro_batch_trains(config, make_runner):
    config.dataset.train.length = 6
    runner = make_runner(config)
    runner.train()
    assert (runner.iters_per_epoch, runner.epoch, runner.branches["model"].scheduler.last_epoch) == (1, 3, 3)
    config.solver.train.drop_last = True
    with pytest.raises(ValueError, match="6 samples, fewer than one batch of 8"):
        make_runner(config)
    config.solver.train.drop_lats = True
    with pytest.raises(KeyError, match="did you mean 'drop_last'"):
        make_runner(config)


def test_two_processes_train_as_one(config, make_runner, tmp_path):
    config.model = {"type": "ToyLogger"}
    alone = make_runner(config)
    alone.train()
    artifacts = {"type": "ArtifactsHook", "folder": "toy/line", "root": str(tmp_path / "models")}
    config.hooks = [{"type": "KeepOfRank"}, artifacts]
    config.custom_imports = {"imports": ["toy", "test_drop_last"], "allow_failed_imports": False}
    (tmp_path / "toy.py").write_text(config_text(config))
    run_processes(2, partial(call, "train"), [str(tmp_path / "toy.py"), "--skip-check", "--device", "cpu"])
    first, second = (torch.load(tmp_path / "gpu2_id0" / f"rank{rank}.pt") for rank in (0, 1))
    parameters = dict(alone.model.named_parameters())
    for name in parameters:
        assert torch.equal(first["weights"][name], second["weights"][name])
        close(first["weights"][name], parameters[name].detach())
    assert first["lrs"] == second["lrs"] == alone.lrs
    for kind in ("losses", "logged"):
        assert first[kind] == second[kind] == pytest.approx(getattr(alone, kind), rel=1e-5)
    log = json.loads((tmp_path / "models" / "toy" / "line" / "id0" / "training_log.json").read_text())
    assert [entry["epoch"] for entry in log] == [0, 1, 2]
    assert log[-1]["logged"] == pytest.approx(alone.means["logged"].values(), rel=1e-5)
