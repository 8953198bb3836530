"""Optimizer groups, learning rates, training trajectories and resuming against the numbers of the existing toolbox."""

import re

import pytest
import torch
from mmengine.config import Config
from opentad_config import translate_model, translate_schedule
from reference_files import load, parity_names
from reference_models import NORMALIZER, close, our_batch, unpadded, without_dropout
from torch import nn

from opentad_bi.engine import Runner
from opentad_bi.engine.checkpoint import restore_run
from opentad_bi.engine.hooks import Hook
from opentad_bi.engine.warm_start import load_weights
from opentad_bi.registry import DATASETS, HOOKS, MODELS, SCHEDULERS
from opentad_bi.utils.weight_files import load_checkpoint, read_file

STATES = {}
EMA = {"type": "ExponentialMovingAverage", "decay": 0.999, "warm_up": False}


@DATASETS.register_module(force=True)
class SameBatch:
    """One batch of a fixture, again in every iteration."""

    def __init__(self, name, iterations):
        self.batch, self.iterations = STATES[name], iterations

    def __len__(self):
        return self.iterations

    def __getitem__(self, key):
        return self.batch

    @staticmethod
    def collate(samples):
        return samples[0]


@HOOKS.register_module(force=True)
class Record(Hook):
    """Losses of every iteration, and the learning rates it leaves behind."""

    def __init__(self):
        self.losses, self.lrs = [], []

    def after_iter(self, runner):
        self.losses.append(runner.losses)
        self.lrs.append(runner.branches["model"].lrs)


def trained_names(train):
    """What the reference trains: what a group of its optimizer holds and its first forward has not frozen."""
    on = train["first_iter"]["requires_grad"]
    return [name for group in train["param_groups"] for name in group["names"] if on[name]]


def trained_by_rule(model_cfg, optimizer):
    """The same where it is not listed: the detector, and of the backbone the adapters with a group of their own."""
    with torch.device("meta"):
        names = [name for name, _ in MODELS.build(translate_model(model_cfg)).named_parameters()]
    customs = [custom["name"] for custom in (optimizer.get("backbone") or {}).get("custom", [])]
    inside = {name for name in names if name.startswith("backbone.")}
    adapters = {name for name in inside if ".adapter." in name}
    chosen = {name for name in adapters if any(custom in name.removeprefix("backbone.") for custom in customs)}
    return [name for name in names if name in chosen or name not in inside]


def without_empty_groups(optimizer, trained):
    """The optimizer config without groups of the backbone in which nothing trains."""
    backbone = optimizer.get("backbone")
    if not backbone:
        return optimizer
    inside = [name.removeprefix("backbone.") for name in trained if name.startswith("backbone.")]
    customs = [custom for custom in backbone.get("custom", []) if any(custom["name"] in name for name in inside)]
    return {**optimizer, "backbone": {**backbone, "custom": customs}}


@pytest.fixture
def make_runner(tmp_path):
    """Build a runner that trains on the batch of a fixture, dropout off, as the fixtures were made."""

    def make(fixture, *, trained, optimizer, scheduler, clip, iterations, epochs, load_from=None):
        STATES[str(tmp_path)] = our_batch({}, fixture) | {"meta": [m["video_name"] for m in fixture["inputs"]["metas"]]}
        branch = {"optimizer": without_empty_groups(optimizer, trained), "trainable": trained}
        branch |= {"scheduler": translate_schedule(scheduler), "clip_grad_norm": clip if clip and clip > 0 else None}
        branch |= {"load_from": load_from and str(load_from)}
        data = {"type": "SameBatch", "name": str(tmp_path), "iterations": iterations}
        size = {"batch_size": 1, "num_workers": 0}
        cfg = {
            "dataset": {"train": data, "test": data},
            "model": translate_model(fixture["model_cfg"]),
            "branches": {"model": branch},
            "solver": {"train": size, "test": size, "ema": EMA},
            "workflow": {"end_epoch": epochs, "val_eval_interval": 0, "tensorboard": False},
            "hooks": [{"type": "Record"}],
        }
        (tmp_path / "checkpoint").mkdir()
        runner = Runner(Config(cfg), work_dir=tmp_path, device=torch.device("cpu"))
        without_dropout(runner.model)
        return runner

    return make


@pytest.fixture(params=parity_names())
def parity(request, reference, load_reference, make_runner):
    """A fixture of a whole tiny model, and the runner that trains it."""
    fixture = load_reference(f"parity_{request.param}.pt")
    train = fixture["train"]
    iterations = train["iters_per_epoch"]
    runner = make_runner(
        fixture,
        trained=trained_names(train),
        optimizer=train["optimizer_cfg"],
        scheduler=train["scheduler_cfg"],
        clip=train["clip_grad_l2norm"],
        iterations=iterations,
        epochs=len(train["losses_per_iter"]) // iterations,
        load_from=reference / f"parity_{request.param}_state_dict.pth",
    )
    return train, runner


def check_losses(ours, expected, tolerance):
    """Each iteration's losses, and their sum, which the reference calls cost."""
    assert len(ours) == len(expected)
    for got, wanted in zip(ours, expected, strict=True):
        named = {**got, "cost": sum(got.values())}
        assert named == pytest.approx({k: float(v) for k, v in wanted.items()}, rel=tolerance, abs=tolerance)


def test_learning_rates(load_reference):
    for case in load_reference("lr_schedule.json"):
        run = case["run"]
        groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in run["lrs"]]
        optimizer = torch.optim.SGD(groups)
        schedule = SCHEDULERS.build(
            translate_schedule(run["cfg"]), optimizer=optimizer, iters_per_epoch=run["iters_per_epoch"]
        )
        assert len(case["lr_used_at_iteration"]) == run["n_iters"]
        for expected in case["lr_used_at_iteration"]:
            assert [g["lr"] for g in optimizer.param_groups] == pytest.approx(expected, rel=1e-12, abs=1e-20)
            optimizer.step()
            schedule.step()


def test_parameter_groups_and_freezing(parity):
    train, runner = parity
    names = {id(p): name for name, p in runner.model.named_parameters()}
    groups = runner.branches["model"].optimizer.param_groups
    trained = trained_names(train)
    # the groups of the reference may hold what its first forward freezes; ours hold what trains
    listed = [train["param_groups"][i] for i in groups_that_train(train)]
    for ours, expected in zip(groups, listed, strict=True):
        assert [names[id(p)] for p in ours["params"]] == [name for name in expected["names"] if name in trained]
        assert ours["initial_lr"] == expected["lr_initial"]
        assert ours["weight_decay"] == expected["weight_decay"]
    # the reference lets parameters that nothing uses and no group holds ask for a gradient; ours are frozen
    grouped = {name for group in train["param_groups"] for name in group["names"]}
    assert {name for name, p in runner.model.named_parameters() if p.requires_grad} == set(trained)
    for name in {n for n, on in train["first_iter"]["requires_grad"].items() if on} - grouped:
        assert train["first_iter"]["grad_norms"][name] is None


def groups_that_train(train):
    """Indices of the optimizer groups of the reference in which something trains."""
    trained = set(trained_names(train))
    return [i for i, group in enumerate(train["param_groups"]) if trained & set(group["names"])]


def test_first_iteration(parity, monkeypatch):
    train, runner = parity
    expected, norms = train["first_iter"], {}
    branch = runner.branches["model"]
    clip = branch.clip

    def spy(scaler):
        norms.update({n: p.grad.norm() for n, p in runner.model.named_parameters() if p.grad is not None})
        return clip(scaler)

    monkeypatch.setattr(branch, "clip", spy)
    runner.model.train()
    runner.train_step([next(iter(runner.loader))])
    check_losses([runner.losses], [expected["losses"]], 1e-5)
    close(runner.model.rpn_head.loss_normalizer, expected["loss_normalizer_after"].float())
    close(torch.stack(list(norms.values())).norm(), expected["grad_norm"], 1e-4)
    wanted = {name: float(norm) for name, norm in expected["grad_norms"].items() if norm is not None}
    assert {n: norm.item() for n, norm in norms.items()} == pytest.approx(wanted, rel=1e-3, abs=1e-6)


def test_trajectory(parity):
    train, runner = parity
    runner.train()
    record = runner.hooks[-1]
    check_losses(record.losses, train["losses_per_iter"], 1e-3)
    groups = groups_that_train(train)
    for ours, expected in zip(record.lrs, train["lr_per_group_after_each_iter"], strict=True):
        assert ours == pytest.approx([expected[i] for i in groups], rel=1e-12)
    close(runner.model.rpn_head.loss_normalizer, train["final_loss_normalizer"])
    live, average = dict(runner.model.named_parameters()), dict(runner.ema.module.named_parameters())
    for ours, key in ((live, "final_params"), (average, "ema_params")):
        for name, expected in train[key].items():
            close(ours[name].detach(), expected, 1e-3)
    for ours, key in ((live, "final_param_abs_sums"), (average, "ema_param_abs_sums")):
        sums = {name: p.detach().double().abs().sum().item() for name, p in ours.items()}
        wanted = {name: float(value) for name, value in train[key].items() if name in sums}
        assert set(train[key]) - set(sums) <= {NORMALIZER}
        assert sums == pytest.approx(wanted, rel=1e-3, abs=1e-3)


@pytest.fixture
def sample(reference):
    """A checkpoint that the existing toolbox wrote, and what it gave from there on."""
    folder = reference / "checkpoint_sample"
    (path,) = folder.rglob("epoch_*.pth")
    return path, torch.load(folder / "expected.pt", weights_only=True)


def test_a_checkpoint_loads_strictly(sample):
    path, expected = sample
    batch = our_batch({}, expected)
    assert read_file(path)[1] == max(expected["eval_after_load"])  # the averaged ones, where there are any
    for key, wanted in expected["eval_after_load"].items():
        model = MODELS.build(translate_model(expected["model_cfg"])).eval()
        state, found, _ = read_file(f"{path}:{key}")
        assert found == key
        assert load_weights(model, state, what=path) == len(model.state_dict()) == len(state)
        with torch.no_grad():
            segments, scores = unpadded(model.raw(batch))
        for ours, name in ((segments, "proposals"), (scores, "scores")):
            for a, b in zip(ours, wanted[name], strict=True):
                close(a, b.reshape(a.shape))


def clip_of_sample(expected):
    """The clip norm the sample was trained with: its own entry, else that of the tiny model of the same kind."""
    if "clip_grad_l2norm" in expected:
        return expected["clip_grad_l2norm"]
    fixtures = [
        load(f"parity_{name}.pt") for name in parity_names(backbone=bool(expected["model_cfg"].get("backbone")))
    ]
    return fixtures[0]["train"]["clip_grad_l2norm"]


def test_resume(sample, make_runner):
    """The reference cuts the running normaliser to a whole number when it resumes; here the file is cut instead.

    Ours goes on with the exact value, so that an interruption changes nothing.
    """
    path, expected = sample
    state = load_checkpoint(path)
    done = state["epoch"] + 1
    (losses,) = (value for key, value in expected.items() if re.fullmatch(r"losses_epoch\w+_after_resume", key))
    (before,) = (value for key, value in expected.items() if re.fullmatch(r"losses_epoch[\d_]+", key))
    (rates,) = (value for key, value in expected.items() if key.startswith("lr_after_each_iter"))
    iterations = len(before) // done
    optimizer = expected["optimizer_cfg"]
    trained = trained_by_rule(expected["model_cfg"], optimizer)
    if sum(len(group["params"]) for group in state["optimizer"]["param_groups"]) != len(trained):
        pytest.skip("its optimizer also holds what is frozen; ours holds what trains")
    runner = make_runner(
        expected,
        trained=trained,
        optimizer=optimizer,
        scheduler=expected["scheduler_cfg"],
        clip=clip_of_sample(expected),
        iterations=iterations,
        epochs=done + len(losses) // iterations,
    )
    exact = state["state_dict"][f"module.{NORMALIZER}"]
    restore_run(runner, state, path)
    for name, tensor in runner.model.state_dict().items():
        assert torch.equal(tensor, state["state_dict"][f"module.{name}"]), name
    state["state_dict"][f"module.{NORMALIZER}"] = exact.long().float()
    restore_run(runner, state, path)
    runner.train()
    record = runner.hooks[-1]
    check_losses(record.losses, losses, 1e-3)
    for ours, wanted in zip(record.lrs, rates, strict=True):
        assert ours == pytest.approx(wanted, rel=1e-12)
    close(runner.model.rpn_head.cls_head.weight.detach(), expected["final_cls_head_weight"], 1e-4)
    close(runner.ema.module.rpn_head.cls_head.weight.detach(), expected["ema_cls_head_weight"], 1e-4)
    close(runner.model.rpn_head.loss_normalizer, expected["loss_normalizer"])
