"""The average of the weights: right on short runs, to the bit the plain one on long ones, resumed to the bit."""

import pytest
import torch
from torch import nn

from opentad_bi.engine.checkpoint import load_latest, save_checkpoint
from opentad_bi.engine.hooks import Hook
from opentad_bi.engine.optim import ExponentialMovingAverage, NoAverage
from opentad_bi.engine.warm_start import fill
from opentad_bi.utils.weight_files import load_checkpoint


class Walk:
    """A network on its way from 0 towards `goal`, with a norm's buffers, and the plain average as a formula."""

    def __init__(self, decay, goal=5.0, rate=0.05, **options):
        self.noise = torch.Generator().manual_seed(0)
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        self.net.register_buffer("count", torch.tensor(0))
        self.average = ExponentialMovingAverage(self.net, decay, **options)
        self.plain = {n: t.clone() for n, t in self.net.state_dict().items()}
        self.decay, self.goal, self.rate = decay, goal, rate

    @torch.no_grad()
    def go(self, iterations):
        for _ in range(iterations):
            for tensor in (*self.net.parameters(), self.net[1].running_mean):
                tensor += self.rate * (self.goal - tensor) + 0.01 * torch.randn(tensor.shape, generator=self.noise)
            self.net.count += 1
            self.average.update()
            for name, tensor in self.net.state_dict().items():
                if tensor.is_floating_point():
                    self.plain[name].lerp_(tensor, 1 - self.decay)
                else:
                    self.plain[name].copy_(tensor)
        return self

    def distance(self, state):
        return max((state[n] - p).abs().max().item() for n, p in self.net.named_parameters())

    @property
    def evaluated(self):
        return self.average.module.state_dict()


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


def test_a_short_run_is_near_the_raw_weights_and_not_near_its_start():
    walk = Walk(0.999).go(160)
    assert walk.distance(walk.plain) > 4  # 85 % of it are the initial weights
    assert walk.distance(walk.evaluated) < 0.1
    assert same(Walk(0.999, warm_up=False).go(160).evaluated, walk.plain)


@pytest.mark.parametrize("iterations", [1, 2, 5, 20])
def test_the_first_iterations_follow_the_raw_weights(iterations):
    walk = Walk(0.999).go(iterations)
    travelled = abs(walk.net[0].weight - Walk(0.999).net[0].weight).max().item()
    assert walk.distance(walk.evaluated) < 0.4 * travelled


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.96])
def test_after_ten_memories_it_is_the_plain_average_to_the_bit(decay):
    end = round(10 / (1 - decay))
    walk = Walk(decay).go(end - 1)
    assert decay == 0 or not same(walk.evaluated, walk.plain)
    walk.go(1)
    assert same(walk.evaluated, walk.plain)
    walk.go(7)
    assert same(walk.evaluated, walk.plain)


def test_whole_numbers_are_those_of_the_live_network():
    walk = Walk(0.9)
    for _ in range(12):
        assert walk.go(10).evaluated["count"] == walk.net.count


@pytest.mark.parametrize(("before", "after"), [(0, 5), (3, 4), (40, 70), (99, 1), (100, 5), (120, 10)])
def test_an_interruption_changes_no_bit(tmp_path, before, after):
    broken = Walk(0.9).go(before)
    save_checkpoint(tmp_path / "x.pth", broken.average.state_dict())
    state = load_checkpoint(tmp_path / "x.pth")
    assert ("plain" in state) == (before < 100)
    again = ExponentialMovingAverage(broken.net, 0.9)
    again.module.load_state_dict(broken.evaluated)
    again.load_state_dict(state)
    broken.average = again
    whole = Walk(0.9).go(before + after)
    assert same(broken.go(after).evaluated, whole.evaluated)
    assert again.progress() == whole.average.progress()


def resumed(walk, state, **options):
    """An average of `options` that goes on where `walk` is, from what a checkpoint holds."""
    average = ExponentialMovingAverage(walk.net, walk.decay, **options)
    average.module.load_state_dict(walk.evaluated)
    average.load_state_dict(state)
    walk.average = average
    return walk


def test_a_file_without_a_warm_up_has_the_plain_average_which_stays_what_it_is():
    walk = resumed(Walk(0.9, warm_up=False).go(50), {"updates": 50})
    assert same(walk.evaluated, walk.net.state_dict())  # what is evaluated starts again, from the live weights
    assert not same(walk.go(1).evaluated, walk.plain)
    assert same(walk.go(49).evaluated, walk.plain)
    assert same(resumed(Walk(0.9, warm_up=False).go(150), {"updates": 150}).go(3).evaluated, walk.go(53).plain)


def test_a_run_that_goes_on_without_its_warm_up_has_the_plain_average():
    walk = Walk(0.9).go(50)
    walk = resumed(walk, walk.average.state_dict(), warm_up=False)
    assert same(walk.evaluated, walk.plain)
    assert same(walk.go(5).evaluated, walk.plain)


@pytest.mark.parametrize("stop_after", [7, 19, 22])
def test_runs_resume_to_the_bit_before_and_after_the_hand_over(toy_config, make_runner, stop_after):
    toy_config.solver.ema = {"type": "ExponentialMovingAverage", "decay": 0.5}  # 20 iterations
    toy_config.workflow.end_epoch = 6
    whole, broken = make_runner(toy_config, "whole"), make_runner(toy_config, "broken")
    whole.train()
    broken.hooks.append(StopAfter(stop_after))
    broken.train()
    again = make_runner(toy_config, "broken")
    again.train(load_latest(broken.work_dir / "checkpoint")[0])
    assert again.ema.updates == whole.ema.updates == 24
    assert same(again.ema.module.state_dict(), whole.ema.module.state_dict())
    toy_config.solver.ema.warm_up = False
    plain = make_runner(toy_config, "plain")
    plain.train()
    assert same(plain.ema.module.state_dict(), whole.ema.module.state_dict())


def test_old_checkpoints_of_a_run_go_on(toy_config, make_runner):
    toy_config.workflow.end_epoch = 2
    first = make_runner(toy_config, "old")
    first.train()
    path = first.work_dir / "checkpoint" / "epoch_1.pth"
    state = load_checkpoint(path)
    del state["ema"]
    save_checkpoint(path, state)
    toy_config.workflow.end_epoch = 3
    again = make_runner(toy_config, "old")
    again.train(path)
    assert again.ema.updates == 12


class StopAfter(Hook):
    """Ask for a stop after some iterations, as a signal does."""

    def __init__(self, iterations):
        self.left = iterations

    def after_iter(self, runner):
        self.left -= 1
        runner.stop = runner.stop or (None if self.left else "the test")


def test_the_log_says_which_weights_are_evaluated(toy_config, make_runner, caplog):
    caplog.set_level("INFO", "opentad_bi")
    for ema, said in (
        ({"type": "ExponentialMovingAverage", "decay": 0.999}, "averaged weights, decay 0.999, 12 iterations, warm-up"),
        (
            {"type": "ExponentialMovingAverage", "decay": 0.999, "warm_up": False},
            "averaged weights, decay 0.999, 12 iterations, no warm-up: 98.8% of them are the initial weights",
        ),
        ({"type": "ExponentialMovingAverage", "decay": 0.0}, "averaged weights, decay 0.0, 12 iterations"),
        ({"type": "NoAverage"}, "raw weights; no average is kept"),
    ):
        caplog.clear()
        toy_config.solver.ema = ema
        runner = make_runner(toy_config, f"run_{len(said)}")
        runner.train()
        assert f"evaluating {said}" in caplog.text
        assert ("99 % of the averaged weights are the initial ones" in caplog.text) == (ema.get("warm_up") is False)
        for name in ("best.pth", "epoch_2.pth"):
            caplog.clear()
            fill(runner.model, f"{runner.work_dir / 'checkpoint' / name}")
            assert "state_dict_ema: averaged weights" in caplog.text or "state_dict_ema: raw weights" in caplog.text
            assert ("are the initial ones" in caplog.text) == (ema.get("warm_up") is False)
            fill(runner.model, f"{runner.work_dir / 'checkpoint' / name}:state_dict")
            assert "(state_dict: raw weights)" in caplog.text


def test_the_best_epoch_is_chosen_by_the_weights_that_its_file_holds(toy_config, make_runner):
    runner = make_runner(toy_config)
    runner.train()
    best = load_checkpoint(runner.work_dir / "checkpoint" / "best.pth")
    runner.ema.module.load_state_dict(best["state_dict_ema"])
    assert runner.metric.score(runner.evaluate()) == best["score"]


@pytest.mark.parametrize(("key", "value"), [("decay", 1.0), ("decay", -0.1), ("warm_up", 100)])
def test_options_that_make_no_average_are_refused(key, value):
    with pytest.raises(ValueError, match=f"EMA {key} {value}"):
        ExponentialMovingAverage(nn.Linear(1, 1), **{key: value})


def test_no_average_is_the_live_network():
    net = nn.Linear(1, 1)
    average = NoAverage(net)
    average.update()
    assert average.module is net
    assert average.progress() == average.state_dict() == {}
