"""The laws of one training step: what must hold whatever the model is."""

import copy

import pytest
import torch
from close import close

from opentad_bi.engine.checkpoint import load_latest


def weights(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def part(state, prefix):
    return {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}


def test_training_lowers_the_loss(toy_config, make_runner):
    toy_config.workflow.end_epoch = 20
    toy_config.branches.model.scheduler = None
    runner = make_runner(toy_config)
    runner.train_step([next(iter(runner.loader))])
    first = runner.losses["loss"]
    runner.train()
    assert runner.losses["loss"] < first / 4


def test_unfused_pair_equals_two_single_runs(pair_config, toy_config, make_runner):
    pair = make_runner(pair_config, "pair")
    start = weights(pair.model)
    pair.train()
    for name, width in (("first", 8), ("second", 4)):
        cfg = copy.deepcopy(toy_config)
        cfg.model = {"type": "ToyNet", "width": width}
        cfg.branches = {"model": pair_config.branches[name]}
        single = make_runner(cfg, name)
        single.model.load_state_dict(part(start, f"{name}."))
        single.ema.module.load_state_dict(part(start, f"{name}."))
        single.train()
        assert_same(weights(single.model), part(weights(pair.model), f"{name}."))
        assert_same(weights(single.ema.module), part(weights(pair.ema.module), f"{name}."))


def test_accumulation_equals_the_larger_batch(toy_config, make_runner):
    large = make_runner(toy_config, "large")
    small = copy.deepcopy(toy_config)
    small.solver.train.batch_size, small.solver.accumulate = 2, 2
    small = make_runner(small, "small")
    assert small.iters_per_epoch == large.iters_per_epoch
    large.train()
    small.train()
    for a, b in zip(large.model.parameters(), small.model.parameters(), strict=True):
        close(a, b)


def resume_everywhere(cfg, make_runner, stop_after):
    """Train in one go, and again with an interruption after `stop_after` iterations; return both runners."""
    whole = make_runner(cfg, "whole")
    whole.train()
    broken = make_runner(cfg, "broken")
    broken.hooks.append(StopAfter(stop_after))
    broken.train()
    again = make_runner(cfg, "broken", seed=7)
    again.train(load_latest(broken.work_dir / "checkpoint")[0])
    return whole, again


class StopAfter:
    """Ask for a stop after some iterations, as a signal does."""

    def __init__(self, iterations):
        self.left = iterations

    def after_iter(self, runner):
        self.left -= 1
        runner.stop = runner.stop or (None if self.left else "the test")

    def before_train(self, runner):
        pass

    after_epoch = after_train = before_train


def test_resume_equals_no_interruption(toy_config, make_runner):
    toy_config.model.dropout = 0.3
    toy_config.solver.train.num_workers = 1
    for stop_after in (2, 4, 7):
        toy_config.work_dir += f"_{stop_after}"
        whole, again = resume_everywhere(toy_config, make_runner, stop_after)
        assert_same(weights(whole.model), weights(again.model))
        assert_same(weights(whole.ema.module), weights(again.ema.module))
        assert whole.best == again.best
        for name in whole.branches:
            assert whole.branches[name].lrs == again.branches[name].lrs
        for folder in ("whole", "broken"):
            for path in (whole.work_dir.parent / folder / "checkpoint").glob("*"):
                path.unlink()


def test_a_frozen_branch_is_untouched(pair_config, make_runner):
    pair_config.branches.second.trainable = []
    runner = make_runner(pair_config)
    before = weights(runner.model)
    runner.train()
    after = weights(runner.model)
    assert_same(part(before, "second."), part(after, "second."))
    assert not torch.equal(before["first.layers.0.weight"], after["first.layers.0.weight"])
    assert runner.branches["second"].optimizer is None
    shadow = dict(runner.ema.module.named_parameters())
    live = dict(runner.model.named_parameters())
    assert all((shadow[n] is live[n]) == n.startswith("second.") for n in live)


def test_single_run_weights_load_into_a_branch(pair_config, toy_config, make_runner):
    single = make_runner(toy_config, "single")
    single.train()
    path = single.work_dir / "checkpoint" / "epoch_2.pth"
    pair_config.branches.first.load_from = str(path)
    pair = make_runner(pair_config, "pair")
    assert_same(weights(single.ema.module), part(weights(pair.model), "first."))
    pair_config.branches.first.load_from = f"{path}:state_dict"
    pair = make_runner(pair_config, "pair")
    assert_same(weights(single.model), part(weights(pair.model), "first."))


def test_bf16_autocast_runs(toy_config, make_runner):
    toy_config.solver.amp = "bf16"
    runner = make_runner(toy_config)
    runner.train()
    assert torch.isfinite(torch.tensor(runner.losses["loss"]))
    assert runner.model.layers[0].weight.dtype == torch.float32


def test_fp16_scaling_steps_every_branch(pair_config, make_runner):
    pair_config.solver.amp = "fp16"
    runner = make_runner(pair_config)
    before = weights(runner.model)
    runner.train()
    after = weights(runner.model)
    for name in ("first.layers.0.weight", "second.layers.0.weight"):
        assert torch.isfinite(after[name]).all()
        assert not torch.equal(before[name], after[name])


def test_clipping_is_per_branch(pair_config, make_runner):
    pair_config.branches.first.clip_grad_norm = 1e-6
    pair_config.branches.second.clip_grad_norm = None
    for name in ("first", "second"):
        pair_config.branches[name].optimizer = {"type": "SGD", "lr": 1.0}
        pair_config.branches[name].scheduler = None
    runner = make_runner(pair_config)
    before = weights(runner.model)
    runner.train_step([next(iter(runner.loader))])
    moved = {n: (t - before[n]).norm() for n, t in runner.model.state_dict().items() if "layers" in n}
    assert max(v for n, v in moved.items() if n.startswith("first")) <= 1.1e-6
    assert max(v for n, v in moved.items() if n.startswith("second")) > 1e-3


def test_a_network_without_weights_is_an_error_where_the_config_says_so(pair_config, make_runner):
    pair_config.branches.second.update(trainable=["layers.0.*"], load_required=True)
    with pytest.raises(ValueError, match=r"second: .* starts from trained networks .*--back-resume"):
        make_runner(pair_config)
    assert make_runner(pair_config, fresh=False).branches["second"].optimizer is not None
