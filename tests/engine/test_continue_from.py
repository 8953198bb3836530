"""Going on from another run: what fits is taken, the rest is told, and nothing starts afresh unnoticed."""

import copy
import math

import pytest
import torch
import toy
from hypothesis import given
from hypothesis import strategies as st
from test_laws import assert_same, weights
from torch import nn

from opentad_bi.engine.branch import Branch
from opentad_bi.engine.checkpoint import save_checkpoint
from opentad_bi.engine.warm_start import compare, find_checkpoint
from opentad_bi.registry import MODELS
from opentad_bi.utils.weight_files import load_checkpoint

NAMES = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 3), max_size=5)


@MODELS.register_module(force=True)
class ToyNamesake(toy.ToyNet):
    """A toy network with vectors that belong to classes, and a mark of where it comes from."""

    def __init__(self, classes=("Dive", "Jump"), mark=1):
        super().__init__()
        self.classes = list(classes)
        self.vectors = nn.Parameter(torch.zeros(len(self.classes), 2))
        self.register_buffer("mark", torch.tensor(mark))

    def partial_state(self, state, classes):
        if not torch.equal(state.get("mark", self.mark), self.mark):
            raise ValueError("learned with another tower")
        other = classes is not None and classes != self.classes
        kept = {name: value for name, value in state.items() if not (name == "vectors" and other)}
        return {**kept, "mark": self.mark}


@pytest.fixture
def config(toy_config, tmp_path, monkeypatch):
    """Toy runs that leave artifacts below models/, seen from the working directory."""
    monkeypatch.chdir(tmp_path)
    toy_config.hooks = [{"type": "ArtifactsHook", "folder": "toy/line"}]
    toy_config.branches.model.continue_from = None
    return toy_config


@pytest.fixture
def first(config, make_runner):
    """A run that is done: its weights are averages."""
    runner = make_runner(config, "gpu1_id0")
    runner.train()
    return runner


@given(NAMES, NAMES)
def test_what_matches_by_name_and_shape_is_taken_and_every_tensor_is_told_once(own, given):
    own, given = ({name: torch.zeros(size) for name, size in sizes.items()} for sizes in (own, given))
    groups, taken = compare(own, given, given)
    assert set(taken) == {n for n in own if n in given and own[n].shape == given[n].shape}
    told = [name.partition(":")[0] for names in groups.values() for name in names]
    assert sorted(told) == sorted(own.keys() | given.keys())
    assert set(groups["only here"]) == own.keys() - given.keys()
    assert set(groups["only there"]) == given.keys() - own.keys()


def test_what_a_network_adds_to_a_file_is_taken_unless_it_is_its_own():
    own = {name: torch.zeros(2) for name in "abc"}
    groups, taken = compare(own, {}, {"a": torch.zeros(2), "b": torch.ones(2)})
    assert groups["taken"] == ["b"] and set(groups["only here"]) == {"a", "c"}
    assert taken["b"].eq(1).all()


def test_a_path_comes_before_a_key_and_a_folder_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    key = "toy/line/id0"
    for root in ("models", "other"):
        (tmp_path / root / key).mkdir(parents=True)
        (tmp_path / root / key / "checkpoint.pth").touch()
    assert find_checkpoint(key) == find_checkpoint(f"models/{key}") == f"models/{key}/checkpoint.pth"
    assert find_checkpoint(f"other/{key}") == f"other/{key}/checkpoint.pth"
    (tmp_path / "other" / "toy").rename(tmp_path / "toy")
    assert find_checkpoint(key) == f"{key}/checkpoint.pth"
    assert find_checkpoint(f"{key}:state_dict") == f"{key}/checkpoint.pth:state_dict"


@pytest.mark.parametrize(
    "spec", ["toy/line/id0", "models/toy/line/id0", "gpu1_id0/checkpoint/epoch_2.pth", "gpu1_id0/checkpoint/best.pth"]
)
def test_all_that_fits_is_taken_from_any_checkpoint_of_ours(config, first, make_runner, spec):
    config.branches.model.continue_from = spec
    runner = make_runner(config, "gpu1_id1")
    file = find_checkpoint(spec)
    assert_same(weights(runner.model), load_checkpoint(file)["state_dict_ema"])
    assert runner.branches["model"].lrs == [0.0]  # the schedule starts anew
    assert not runner.branches["model"].optimizer.state
    config.branches.model.continue_from = f"{spec}:state_dict"
    assert_same(weights(make_runner(config, "gpu1_id1").model), load_checkpoint(file)["state_dict"])


def test_of_another_network_what_matches_is_taken_and_a_table_tells_the_rest(config, first, make_runner, caplog):
    config.model = {"type": "ToyNamesake"}
    config.branches.model.continue_from = "toy/line/id0"
    caplog.set_level("INFO", "opentad_bi")
    taken = make_runner(config, "gpu1_id1").model
    assert torch.equal(taken.layers[0].weight, first.ema.module.layers[0].weight)
    (table,) = [text for text in caplog.messages if "continue_from" in text]
    lines = [line.split() for line in table.splitlines()]
    assert lines[0][:3] == ["model:", "continue_from", "models/toy/line/id0/checkpoint.pth"]
    assert lines[1][:2] == ["taken", "5"] and "layers.*.weight" in table
    assert lines[4][:3] == ["only", "here", "2"] and "mark, vectors" in table.replace("vectors, mark", "mark, vectors")
    config.model = {"type": "ToyNet", "width": 5}
    with pytest.raises(ValueError, match=r"layers\.0\.weight: file \(8, 2\), network \(5, 2\)"):
        make_runner(config, "gpu1_id1")


def test_nothing_that_fits_is_an_error(config, first, make_runner):
    state = {"seen": torch.tensor(3.0), "layers.0.weight": torch.zeros(1), "layers.3.bias": torch.zeros(1)}
    torch.save({"state_dict": state}, "other.pth")
    config.branches.model.continue_from = "other.pth"
    with pytest.raises(ValueError, match=r"other\.pth .*no parameter fits[\s\S]*taken +2 +seen, layers"):
        make_runner(config, "gpu1_id1")


def test_frozen_parameters_count_as_taken(config, first, make_runner):
    state = load_checkpoint(find_checkpoint("toy/line/id0"))["state_dict"]
    torch.save({"state_dict": {"layers.0.bias": state["layers.0.bias"]}}, "frozen.pth")
    config.branches.model.update(continue_from="frozen.pth", trainable=["layers.3.*"])
    runner = make_runner(config, "gpu1_id1")
    assert torch.equal(runner.model.layers[0].bias, state["layers.0.bias"])


def test_a_run_that_is_not_there_is_an_error_that_tells_those_that_are(config, first, make_runner):
    config.branches.model.continue_from = "toy/lines/id0"
    with pytest.raises(
        FileNotFoundError, match=r"neither a file nor a folder .*nor a run below models; did you mean 'toy/line/id0'"
    ):
        make_runner(config, "gpu1_id1")
    with pytest.raises(FileNotFoundError, match="known: none"):
        find_checkpoint("toy/line/id0", first.work_dir)


def test_contradictions_are_errors(config, first, make_runner):
    config.branches.model.update(continue_from="toy/line/id0", load_from="gpu1_id0/checkpoint/best.pth")
    with pytest.raises(ValueError, match=r"load_from .*best\.pth.* continue_from 'toy/line/id0'.*give one of them"):
        make_runner(config, "gpu1_id1")
    config.branches.model.update(continue_from=None, use_fresh_lr_scheduler=False)
    with pytest.raises(ValueError, match="use_fresh_lr_scheduler=False needs a continue_from"):
        make_runner(config, "gpu1_id1")


def test_the_schedule_goes_on_where_it_was_if_that_is_asked_for(config, first, make_runner):
    config.branches.model.update(continue_from="gpu1_id0/checkpoint/epoch_1.pth", use_fresh_lr_scheduler=False)
    config.branches.model.scheduler.max_epoch = 6
    straight, runner = make_runner(config, "gpu1_id2"), make_runner(config, "gpu1_id1")
    state = load_checkpoint("gpu1_id0/checkpoint/epoch_1.pth")["branches"]["model"]
    assert runner.branches["model"].lrs == state["scheduler"]["_last_lr"] != [0.05]
    assert runner.branches["model"].scheduler.last_epoch == 8
    straight.train()
    runner.train(resume=straight.work_dir / "checkpoint" / "epoch_1.pth")  # which ignores continue_from
    assert_same(weights(runner.model), weights(straight.model))
    config.branches.model.continue_from = "gpu1_id0/checkpoint/best.pth"
    with pytest.raises(ValueError, match=r"best\.pth holds no schedule of model"):
        make_runner(config, "gpu1_id1")
    config.branches.model.continue_from = "toy/line/id0"
    config.branches.model.scheduler = {"type": "StepLR", "step_size": 1}
    with pytest.raises(ValueError, match="is not a StepLR over 1 groups"):
        make_runner(config, "gpu1_id1")
    config.branches.model.scheduler = None
    with pytest.raises(ValueError, match="the branch has no scheduler"):
        make_runner(config, "gpu1_id1")


@pytest.mark.parametrize("batch", [2, 4, 8])
@pytest.mark.parametrize("spec", ["toy/line/id0", "gpu1_id0/checkpoint/epoch_1.pth"])
def test_the_place_in_the_schedule_is_counted_in_epochs_and_the_rates_are_the_configs(
    config, first, make_runner, spec, batch
):
    done = load_checkpoint(find_checkpoint(spec))["epoch"] + 1
    config.branches.model.update(continue_from=spec, use_fresh_lr_scheduler=False)
    config.branches.model.optimizer.lr, config.solver.train.batch_size = 0.2, batch
    branch = make_runner(config, "gpu1_id1").branches["model"]
    assert branch.scheduler.last_epoch == done * 16 // batch
    assert branch.lrs == [pytest.approx(0.1 * (1 + math.cos(math.pi * (done - 1) / 5)), rel=1e-6)]


def test_a_file_that_does_not_tell_its_iterations_will_do_where_none_is_needed(config, first, make_runner):
    def continued(name):
        state = load_checkpoint(f"{name}/checkpoint/epoch_2.pth")
        assert state.pop("iters_per_epoch") == 4
        save_checkpoint(f"{name}.pth", state)
        config.branches.model.update(continue_from=f"{name}.pth", use_fresh_lr_scheduler=False)
        return make_runner(config, "gpu1_id3").branches["model"].lrs

    with pytest.raises(ValueError, match=r"gpu1_id0\.pth.* does not have the iterations .*use_fresh_lr_scheduler=True"):
        continued("gpu1_id0")
    config.branches.model.update(continue_from=None, use_fresh_lr_scheduler=True)
    config.branches.model.scheduler = {"type": "StepLR", "step_size": 3, "gamma": 0.5}  # counted in iterations
    make_runner(config, "gpu1_id2").train()
    config.branches.model.optimizer.lr, config.solver.train.batch_size = 0.4, 2
    assert continued("gpu1_id2") == [pytest.approx(0.4 * 0.5**4)]


def test_a_schedule_over_other_groups_of_parameters_is_refused(config, make_runner):
    config.branches.model.optimizer.paramwise = True
    make_runner(config, "gpu1_id0").train()
    config.branches.model.optimizer.paramwise = False
    config.branches.model.update(continue_from="toy/line/id0", use_fresh_lr_scheduler=False)
    with pytest.raises(ValueError, match="not a LinearWarmupCosineAnnealingLR over 1 groups"):
        make_runner(config, "gpu1_id1")


def test_a_resume_needs_no_file_to_continue_from(config, first, make_runner):
    config.branches.model.continue_from = "gone.pth"
    runner = make_runner(config, "gpu1_id0", fresh=False)
    runner.train(first.work_dir / "checkpoint" / "epoch_1.pth")
    assert_same(weights(runner.model), weights(first.model))


def branch(module, spec):
    return Branch("model", module, {"continue_from": str(spec)})


def test_tensors_of_classes_are_taken_by_the_same_classes_alone(tmp_path, caplog):
    caplog.set_level("INFO", "opentad_bi")
    source = ToyNamesake()
    source.vectors.data += 1
    for classes, equal in ((["Dive", "Jump"], True), (["Jump", "Dive"], False), (None, True)):
        content = {"state_dict": source.state_dict(), **({"classes": classes} if classes else {})}
        torch.save(content, tmp_path / "named.pth")
        network = ToyNamesake()
        branch(network, tmp_path / "named.pth").load_initial_weights()
        assert torch.equal(network.layers[0].weight, source.layers[0].weight)
        assert network.vectors.eq(1).all() == equal
        assert ("left out        1  vectors" in caplog.text) == (not equal)
        caplog.clear()
    with pytest.raises(ValueError, match="learned with another tower"):
        branch(ToyNamesake(mark=2), tmp_path / "named.pth").load_initial_weights()


def test_classes_are_compared_where_a_network_does_not_tell_what_belongs_to_them(config, make_runner, monkeypatch):
    monkeypatch.setattr(toy.ToyData, "classes", ("Dive", "Jump"), raising=False)
    make_runner(config, "gpu1_id0").train()
    monkeypatch.setattr(toy.ToyData, "classes", ("Jump", "Dive"))
    config.branches.model.continue_from = "toy/line/id0"
    with pytest.raises(ValueError, match=r"0 is 'Jump' in dataset\.train, but 'Dive' in toy/line/id0"):
        make_runner(config, "gpu1_id1")
    config.model = {"type": "ToyNamesake"}  # it tells
    make_runner(config, "gpu1_id1")


def test_a_pair_goes_on_from_a_pair(pair_config, make_runner):
    first = make_runner(pair_config, "pair")
    first.train()
    for branch in pair_config.branches.values():
        branch.continue_from = str(first.work_dir / "checkpoint" / "epoch_2.pth")
    assert_same(weights(make_runner(pair_config, "again").model), weights(first.ema.module))


def test_a_pair_goes_on_from_single_runs_and_pretrained_weights_come_first(pair_config, first, make_runner):
    pair = copy.deepcopy(pair_config)
    pair.branches.first.continue_from = "toy/line/id0"
    runner = make_runner(pair, "pair")
    assert torch.equal(runner.model.first.layers[0].weight, first.ema.module.layers[0].weight)
    ones = {f"{name}.{kind}": torch.ones_like(getattr(first.model.layers[int(name)], kind))
            for name in "03" for kind in ("weight", "bias")}  # fmt: skip
    torch.save(ones, "ones.pth")
    torch.save({"layers.0.bias": torch.zeros(8)}, "zero.pth")
    pair.branches.first.update(pretrained={"path": "ones.pth", "module": "layers"}, continue_from="zero.pth")
    layers = make_runner(pair, "pair").model.first.layers
    assert layers[0].weight.eq(1).all() and layers[3].weight.eq(1).all() and layers[3].bias.eq(1).all()
    assert layers[0].bias.eq(0).all()
