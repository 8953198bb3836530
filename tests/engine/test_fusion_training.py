"""A fusion in training: it starts where the pair stands, learns, reaches both networks, leaves frozen ones alone."""

import pytest
import tiny_detector as tiny
import torch
from close import close

from opentad_bi.cli.extract.predictions import cache
from opentad_bi.datasets.detection.cached_predictions import write_record
from opentad_bi.datasets.detection.paired import collate
from opentad_bi.engine import Runner
from opentad_bi.engine.branch import train_mode
from opentad_bi.engine.checkpoint import run_state
from opentad_bi.engine.hooks import Hook
from opentad_bi.ops.records import SampleMeta
from opentad_bi.ops.reverse import reverse_batch
from opentad_bi.registry import DATASETS

CLASSES, LENGTH = tiny.CLASSES, tiny.LENGTH
FUSIONS = {
    "3-1": {"type": "JointFusion", "mix": {"type": "TimeFC"}},
    "3-1 all levels": {"type": "JointFusion", "mix": {"type": "TimeFC", "joined": True}},
    "3-1 point": {"type": "JointFusion", "mix": {"type": "PointFC"}},
    "3-2": {"type": "SplitFusion", "boundary": {"type": "TimeFC"}, "cls": {"type": "ClassConv3d"}},
    "3-3": {"type": "SplitFusion", "boundary": {"type": "TimeFC"}, "cls": {"type": "ClassMean"}},
    "gated": {"type": "JointFusion", "mix": {"type": "GatedAverage"}},
}
MAIN = ("3-1", "3-2", "3-3")  # the experiments; variants of them are slow tests
every_fusion = pytest.mark.parametrize(
    "fusion", [pytest.param(FUSIONS[name], id=name, marks=() if name in MAIN else pytest.mark.slow) for name in FUSIONS]
)
FREE = {"optimizer": {"type": "AdamW", "lr": 2e-3}, "scheduler": None, "clip_grad_norm": 1.0}


@DATASETS.register_module(force=True)
class ToldWindows(tiny.TinyWindows):
    """Windows with one action whose class a channel says, half of them padded; a detector can learn them."""

    def sample(self, index, seed, back_data_path=None):
        valid = LENGTH - 7 * (index % 2)
        generator = torch.Generator().manual_seed(seed)
        inputs = 0.3 * torch.randn(tiny.CHANNELS, LENGTH, generator=generator)
        start = int(torch.randint(0, 8, (), generator=generator))
        end, label = start + 4 + 3 * (seed % 4), seed % CLASSES
        inputs[label, start : end + 1] += 2.0
        inputs[:, valid:] = 0
        return {
            "inputs": inputs,
            "masks": torch.arange(LENGTH) < valid,
            "gt_segments": torch.tensor([[float(start), float(end)]]),
            "gt_labels": torch.tensor([label]),
            "meta": SampleMeta(f"video_{index}", 25.0, 60.0, 4, valid_length=valid),
        }


def pair_config(fusion=None, *, frozen=False, load_from=None, epochs=2, lr=2e-3, data=None, aux_loss_weight=0.0):
    network = tiny.branch("features", load_from=load_from, scheduler=None)
    network["optimizer"]["lr"] = lr
    if frozen:
        network["trainable"] = []
    branches = {"for_model": network, "back_model": network}
    cfg = tiny.pair_config("features", branches=branches)
    cfg.dataset.train = cfg.dataset.test = {"type": "ToldWindows", "kind": "features", "length": 16}
    if data:
        cfg.dataset.train = data
    if fusion:
        cfg.model.update(fusion=fusion, aux_loss_weight=aux_loss_weight)
        cfg.branches.fusion = FREE
    cfg.workflow.end_epoch = epochs
    return cfg


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Weights of an unfused pair that has learned the task (experiment 1)."""
    torch.use_deterministic_algorithms(True)
    runner = Runner(pair_config(epochs=12), work_dir=tmp_path_factory.mktemp("pair"), device=torch.device("cpu"))
    runner.train()
    path = runner.work_dir / "pair.pth"
    torch.save({"state_dict": runner.model.state_dict()}, path)
    return path


def fixed_batch(seed=100):
    data = ToldWindows("features", 4)
    return {"for": collate([data[i, seed + i] for i in range(4)])}


def mean_losses(runner, steps):
    totals = []
    for epoch in range(100):
        runner.sampler.epoch = epoch
        train_mode(runner.model)
        for batch in runner.loader:
            runner.train_step([batch])
            totals.append(sum(runner.losses.values()))
            if len(totals) == steps:
                return sum(totals) / steps


@pytest.fixture(scope="module")
def pair_losses(trained, tmp_path_factory):
    """The first loss of experiment 1-1 on a fixed batch, and its mean over fifty steps."""
    cfg = pair_config(load_from=str(trained))
    return losses_of(Runner(cfg, work_dir=tmp_path_factory.mktemp("pair11"), device=torch.device("cpu")))


def losses_of(runner):
    train_mode(runner.model)
    with torch.no_grad():
        first = float(sum(runner.model(fixed_batch()).values()))
    return first, mean_losses(runner, 50)


@every_fusion
@pytest.mark.parametrize("share", [0.0, pytest.param(0.5, marks=pytest.mark.slow)])
def test_the_first_loss_and_the_mean_of_fifty_are_those_of_the_pair(share, fusion, trained, pair_losses, make_runner):
    found = losses_of(make_runner(pair_config(fusion, load_from=str(trained), aux_loss_weight=share)))
    for ours, pair in zip(found, pair_losses, strict=True):
        assert 0 < ours <= 1.05 * pair


@every_fusion
def test_after_training_the_true_class_has_the_highest_score_on_both_bases(fusion, trained, make_runner):
    runner = make_runner(pair_config(fusion, load_from=str(trained)))
    mean_losses(runner, 30)
    model, batch = runner.model.eval(), fixed_batch()
    sides = {"for": batch["for"], "back": reverse_batch(batch["for"])}
    with torch.no_grad():
        raw = {d: model._raw(sides, d) for d in sides}
        fused = model.fusion(raw, batch["for"]["masks"].sum(1))
    for direction, side in sides.items():
        points = torch.cat(fused[direction].points)
        scores = torch.cat(fused[direction].cls, dim=2).sigmoid()  # (B, K, P)
        head = runner.branches["for_model"].module.rpn_head
        target, _ = head.targets(points, side["gt_segments"], side["gt_labels"])
        for b, label in enumerate(side["gt_labels"]):
            positive = (target[b] > 0).any(-1) & torch.cat(fused[direction].masks, dim=1)[b]
            found = scores[b][:, positive].mean(1)  # (K,)
            others = (found.sum() - found[label]) / (CLASSES - 1)
            assert positive.any()
            assert found[label] > others + 0.1


def test_gradients_reach_both_networks_and_the_fusion_from_either_basis(make_runner):
    runner = make_runner(pair_config(FUSIONS["3-2"]))
    train_mode(runner.model)
    for basis in ("for", "back"):
        runner.model.zero_grad()
        losses = runner.model(fixed_batch())
        (losses[f"{basis}_cls_loss"] + losses[f"{basis}_reg_loss"]).backward()
        for part in (runner.model.for_model, runner.model.back_model, runner.model.fusion.mixers[basis]):
            norms = [p.grad.abs().sum() for p in part.parameters() if p.grad is not None]
            assert norms and sum(norms) > 0
        other = {"for": "back", "back": "for"}[basis]
        assert all(p.grad is None or not p.grad.any() for p in runner.model.fusion.mixers[other].parameters())


def test_frozen_networks_stay_as_they_are_and_build_no_graph(trained, make_runner):
    runner = make_runner(pair_config(FUSIONS["3-3"], frozen=True, load_from=str(trained)))
    before = {name: tensor.clone() for name, tensor in runner.model.state_dict().items()}
    assert runner.branches["for_model"].optimizer is None
    train_mode(runner.model)
    assert not runner.model._raw(fixed_batch(), "for").cls[0].requires_grad
    runner.train()
    changed = {name for name, tensor in runner.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed and all(name.startswith("fusion.") for name in changed)


def test_unfused_losses_are_those_of_the_pair(trained, make_runner):
    pair = make_runner(pair_config(load_from=str(trained)), "pair")
    fused = make_runner(pair_config(FUSIONS["3-3"], load_from=str(trained), aux_loss_weight=0.25), "fused")
    for runner in (pair, fused):
        runner.model.eval()
    pure = make_runner(pair_config(FUSIONS["3-3"], load_from=str(trained)), "pure").model.eval()(fixed_batch())
    expected, found = (runner.model(fixed_batch()) for runner in (pair, fused))
    kinds = ("cls_loss", "reg_loss", "unfused_cls_loss", "unfused_reg_loss")
    assert set(found) == {f"{direction}_{kind}" for direction in ("for", "back") for kind in kinds}
    for direction in ("for", "back"):
        for kind in ("cls_loss", "reg_loss"):
            close(found[f"{direction}_unfused_{kind}"], expected[f"{direction}_{kind}"] * 0.25)
            close(found[f"{direction}_{kind}"], pure[f"{direction}_{kind}"] * 0.75)


def test_the_normaliser_counts_a_batch_once(trained, make_runner):
    normalisers = []
    for share in (0.0, 0.5):
        runner = make_runner(
            pair_config(FUSIONS["3-3"], load_from=str(trained), aux_loss_weight=share), f"share{share}"
        )
        train_mode(runner.model)
        runner.model(fixed_batch())
        normalisers.append(
            [net.rpn_head.loss_normalizer.item() for net in (runner.model.for_model, runner.model.back_model)]
        )
    assert normalisers[0] == normalisers[1]


def test_one_network_may_be_frozen_and_the_other_train(trained, make_runner):
    cfg = pair_config(FUSIONS["3-3"], load_from=str(trained), aux_loss_weight=0.5)
    cfg.branches.back_model = {**cfg.branches.back_model, "trainable": []}
    runner = make_runner(cfg)
    before = {name: tensor.clone() for name, tensor in runner.model.state_dict().items()}
    runner.train()
    parts = {
        name.split(".")[0]
        for name, tensor in runner.model.state_dict().items()
        if not torch.equal(tensor, before[name])
    }
    assert parts == {"for_model", "fusion"}


def test_kept_predictions_serve_pairs_that_read_the_backward_side_from_files(trained, make_runner, tmp_path):
    keeper = make_runner(pair_config(FUSIONS["3-3"], load_from=str(trained)), "keeper", training=False)
    for branch in keeper.branches.values():
        branch.load_initial_weights()
    count = cache(keeper, tmp_path / "kept", epochs=1)
    write_record(tmp_path / "kept", windows=count, classes=None)
    stored = {"type": "CachedPredictions", "folder": str(tmp_path / "kept")}
    cfg = pair_config(FUSIONS["3-3"], frozen=True, load_from=str(trained), epochs=1, data=stored)
    cfg.dataset.wrap = {"type": "PairedDataset", "source": "files", "back_data_path": "nowhere"}
    runner = make_runner(cfg)
    runner.train()
    assert torch.isfinite(torch.tensor(list(runner.losses.values()))).all()


def test_a_cache_that_was_not_finished_is_refused(tmp_path):
    write_record(tmp_path, windows=3, classes=["a", "b"])
    (tmp_path / "epoch000_000000.pt").touch()
    with pytest.raises(ValueError, match="holds 1 cached predictions, but 3 were to be written"):
        DATASETS.build({"type": "CachedPredictions", "folder": str(tmp_path)})


def test_training_from_cached_predictions_is_training_with_frozen_networks(trained, make_runner, tmp_path):
    fusion, weights = FUSIONS["3-1"], str(trained)
    keeper = make_runner(pair_config(fusion, load_from=weights, epochs=2), "keeper", training=False)
    for branch in keeper.branches.values():
        branch.load_initial_weights()
    assert cache(keeper, tmp_path / "kept", epochs=1) == 16
    write_record(tmp_path / "kept", windows=16, classes=["a", "b", "c"])
    live = make_runner(pair_config(fusion, frozen=True, load_from=weights, epochs=1), "live")
    stored = {"type": "CachedPredictions", "folder": str(tmp_path / "kept")}
    cached = make_runner(pair_config(fusion, frozen=True, load_from=weights, epochs=1, data=stored), "cached")
    # the files lie in the order of the epoch that was kept, so the live run's batches are found again unshuffled
    live.sampler.epoch = 0
    train_mode(live.model)
    train_mode(cached.model)
    stored_samples = cached.dataset("train")
    assert run_state(cached)["classes"] == ["a", "b", "c"]
    for i, batch in enumerate(live.loader):
        again = stored_samples.collate([stored_samples[k] for k in (2 * i, 2 * i + 1)])
        expected, found = live.model(batch), cached.model(again)
        for name, loss in expected.items():
            close(found[name], loss)
    cached.train()
    assert torch.isfinite(torch.tensor(list(cached.losses.values()))).all()


def test_a_fused_run_resumes_bit_for_bit_amid_an_epoch(make_runner):
    def config():
        cfg = pair_config(FUSIONS["3-2"], aux_loss_weight=0.5)
        cfg.branches.fusion = {**FREE, "scheduler": {"type": "CosineAnnealingLR", "T_max": 20}}
        return cfg

    straight = make_runner(config(), "straight")
    straight.train()
    half = make_runner(config(), "half")
    half.hooks.append(StopAt(epoch=1, iteration=3))
    half.train()
    resumed = make_runner(config(), "resumed", fresh=False)
    resumed.train(resume=half.work_dir / "checkpoint" / "interrupt.pth")
    assert resumed.epoch == 2
    for name, tensor in straight.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


class StopAt(Hook):
    """Ask for an end, as a signal does."""

    def __init__(self, epoch, iteration):
        self.at = epoch, iteration

    def after_iter(self, runner):
        if (runner.epoch, runner.iteration) == self.at:
            runner.stop = "a signal"
