"""What an interruption leaves behind, and what a resumed run makes of it."""

import pytest
import torch

from opentad_bi.engine import NonFiniteLoss
from opentad_bi.engine.checkpoint import load_checkpoint, load_latest
from opentad_bi.engine.hooks import Hook


class SpoilAfter(Hook):
    """Make the data give NaN once some epochs are done."""

    def __init__(self, epochs):
        self.epochs = epochs

    def after_epoch(self, runner):
        if runner.epoch == self.epochs:
            runner.train_set.nan_at = 0


def test_a_nan_at_the_start_of_an_epoch_loses_no_finished_epoch(toy_config, make_runner):
    toy_config.dataset.train.length = 4  # one iteration an epoch
    toy_config.workflow.update(end_epoch=9, checkpoint_interval=5)
    runner = make_runner(toy_config)
    runner.hooks.append(SpoilAfter(2))
    with pytest.raises(NonFiniteLoss, match=r"epoch 2, iteration 0: losses .*nan.*; samples .*: .*sample_0"):
        runner.train()
    path, state = load_latest(runner.work_dir / "checkpoint")
    assert (path.name, state["epoch"], state["iteration"]) == ("interrupt.pth", 1, 0)
    for name, value in runner.model.named_parameters():
        assert torch.equal(value, state["state_dict"][name])
        assert torch.isfinite(value).all()
    again = make_runner(toy_config)
    again.train((path, state))
    assert again.epoch == 9


def test_an_early_stop_between_checkpoints_is_saved(toy_config, make_runner):
    toy_config.hooks = [{"type": "EarlyStopHook", "patience": 1}]
    toy_config.workflow.update(end_epoch=9, checkpoint_interval=5)
    toy_config.branches.model.update(optimizer={"type": "SGD", "lr": 0.0}, scheduler=None)
    runner = make_runner(toy_config)
    runner.train()
    state = load_checkpoint(runner.work_dir / "checkpoint" / "interrupt.pth")
    assert (state["epoch"], state["iteration"]) == (1, 0)


def test_what_a_killed_write_left_is_removed(toy_config, make_runner):
    runner = make_runner(toy_config)
    left = runner.work_dir / "checkpoint" / ".epoch_0.4711.tmp.pth"
    left.write_bytes(b"half of a checkpoint")
    runner.train()
    assert not left.exists()


def test_a_resumed_run_follows_the_schedule_of_its_config(toy_config, make_runner):
    first = make_runner(toy_config)
    first.train()
    toy_config.branches.model.scheduler.max_epoch = 12
    toy_config.workflow.end_epoch = 8
    again = make_runner(toy_config)
    again.train(load_latest(first.work_dir / "checkpoint"))
    straight = make_runner(toy_config, "straight")
    straight.train()
    assert again.branches["model"].lrs == straight.branches["model"].lrs
    assert again.branches["model"].lrs[0] > 0.001  # the former end, epoch 6, is past


def test_a_run_resumed_after_an_epoch_knows_its_best_score(toy_config, make_runner):
    """The checkpoint of an epoch is written before its evaluation, whose score is in best.pth alone."""
    toy_config.branches.model.update(optimizer={"type": "SGD", "lr": 0.0}, scheduler=None)
    toy_config.workflow.end_epoch = 1
    first = make_runner(toy_config)
    first.train()
    toy_config.workflow.end_epoch = 2
    again = make_runner(toy_config)
    again.train(load_latest(first.work_dir / "checkpoint"))
    assert again.best == first.best
    assert load_checkpoint(first.work_dir / "checkpoint" / "best.pth")["epoch"] == 0
