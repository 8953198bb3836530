"""What an interruption leaves behind, and what a resumed run makes of it."""

import json

import pytest
import torch

from opentad_bi.engine import NonFiniteLoss
from opentad_bi.engine.checkpoint import load_latest
from opentad_bi.engine.hooks import Hook
from opentad_bi.utils.weight_files import load_checkpoint


class SpoilAfter(Hook):
    """Make the data give NaN once some epochs are done."""

    def __init__(self, epochs):
        self.epochs = epochs

    def after_epoch(self, runner):
        if runner.epoch == self.epochs:
            runner.dataset("train").nan_at = 0


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
    again.train(path)
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
    again.train(load_latest(first.work_dir / "checkpoint")[0])
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
    again.train(load_latest(first.work_dir / "checkpoint")[0])
    assert again.best == first.best
    assert load_checkpoint(first.work_dir / "checkpoint" / "best.pth")["epoch"] == 0


class KilledAt(Hook):
    """Die as by SIGKILL in the evaluation after some epoch: nothing after the checkpoint happens."""

    def __init__(self, epoch):
        self.epoch = epoch

    def after_epoch(self, runner):
        if runner.epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_run_killed_in_an_evaluation_makes_up_for_it(toy_config, make_runner, epoch):
    whole = make_runner(toy_config, "whole")
    whole.train()
    broken = make_runner(toy_config, "broken")
    broken.hooks.insert(2, KilledAt(epoch))  # behind the checkpoint, before the evaluation
    with pytest.raises(KeyboardInterrupt):
        broken.train()
    again = make_runner(toy_config, "broken")
    again.train(load_latest(broken.work_dir / "checkpoint")[0])
    assert again.scores == whole.scores
    logs = [(runner.work_dir / "log.jsonl").read_text().splitlines() for runner in (whole, again)]
    records = [[record for record in map(json.loads, log) if "eval/model/mean" in record] for log in logs]
    steps = [[(record["step"], record["eval/model/mean"]) for record in log] for log in records]
    assert steps[0] == steps[1] and [step for step, _ in steps[0]] == [4, 8, 12]
    assert (again.work_dir / "checkpoint" / "best.pth").is_file()


def test_an_early_stop_counts_over_a_resume(toy_config, make_runner):
    toy_config.hooks = [{"type": "EarlyStopHook", "patience": 2}]
    toy_config.workflow.end_epoch = 2
    toy_config.branches.model.update(optimizer={"type": "SGD", "lr": 0.0}, scheduler=None)
    first = make_runner(toy_config)
    first.train()
    toy_config.workflow.end_epoch = 9
    again = make_runner(toy_config)
    again.train(load_latest(first.work_dir / "checkpoint")[0])
    assert again.epoch == 3


def test_a_nan_gradient_changes_no_weight(toy_config, make_runner):
    runner = make_runner(toy_config)
    before = {name: p.clone() for name, p in runner.model.named_parameters()}
    runner.model.layers[0].weight.register_hook(lambda grad: grad * float("nan"))
    with pytest.raises(NonFiniteLoss, match=r"gradient norms .*'model': nan.*sample_"):
        runner.train()
    for name, p in runner.model.named_parameters():
        assert torch.equal(p, before[name])


def test_poisoned_buffers_are_not_saved(toy_config, make_runner):
    runner = make_runner(toy_config)
    runner.train_step([next(iter(runner.loader))])
    runner.iteration, runner.stop = 1, "the test"
    runner.model.seen.fill_(float("nan"))
    for hook in runner.hooks:
        hook.after_train(runner)
    assert not list((runner.work_dir / "checkpoint").iterdir())


def test_fp16_overflow_is_left_out_and_many_in_a_row_stop(toy_config, make_runner, monkeypatch):
    toy_config.solver.amp = "fp16"
    runner = make_runner(toy_config)
    batch = next(iter(runner.loader))
    spoiled = {**batch, "target": batch["target"] * float("nan")}
    before = [p.clone() for p in runner.model.parameters()]
    runner.train_step([spoiled])
    assert all(torch.equal(a, b) for a, b in zip(before, runner.model.parameters(), strict=True))
    runner.overflows = 10
    with pytest.raises(NonFiniteLoss, match="sample_"):
        runner.train_step([spoiled])


def test_a_failing_hook_hides_no_error_and_spares_no_other(toy_config, make_runner):
    closed = []

    class Fails(Hook):
        def after_iter(self, runner):
            raise ZeroDivisionError("the real one")

        def after_train(self, runner):
            raise RuntimeError("a later one")

    class Closes(Hook):
        def after_train(self, runner):
            closed.append(True)

    runner = make_runner(toy_config)
    runner.hooks = [Closes(), Fails(), *runner.hooks]
    with pytest.raises(ZeroDivisionError, match="the real one"):
        runner.train()
    assert closed


def test_what_is_wrong_with_the_evaluation_shows_before_training(toy_config, make_runner):
    toy_config.evaluation.type = "ToyMetrik"
    with pytest.raises(KeyError, match="did you mean 'ToyMetric'"):
        make_runner(toy_config)


def test_another_batch_amid_an_epoch_is_refused(toy_config, make_runner):
    from test_laws import StopAfter

    first = make_runner(toy_config)
    first.hooks.append(StopAfter(2))
    first.train()
    toy_config.solver.train.batch_size = 2
    again = make_runner(toy_config)
    with pytest.raises(ValueError, match="batches of 4 samples, but this run has 2"):
        again.train(load_latest(first.work_dir / "checkpoint")[0])


def test_the_rate_that_is_logged_is_the_one_that_was_used(toy_config, make_runner):
    runner = make_runner(toy_config)
    runner.train_step([next(iter(runner.loader))])
    assert runner.lrs == {"model": [0.0]}  # warm-up starts at 0
    assert runner.branches["model"].lrs[0] > 0
