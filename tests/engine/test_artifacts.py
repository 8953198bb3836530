"""What a run leaves for others, whose it is, and what a resume makes of it."""

import json

import pytest
import torch
import toy
from test_laws import StopAfter, assert_same
from test_model_contracts import Scored

from opentad_bi.config import load_config
from opentad_bi.engine.checkpoint import load_checkpoint, load_latest
from opentad_bi.engine.hooks import ArtifactsHook

FILES = {"checkpoint.pth", "config.json", "training_log.json", "validation_results.json"}


@pytest.fixture
def config(toy_config, tmp_path, monkeypatch):
    """A run of named classes that leaves artifacts."""
    monkeypatch.setattr(toy.ToyData, "classes", ("Dive", "Jump"), raising=False)
    toy_config.hooks = [{"type": "ArtifactsHook", "folder": "toy/line", "root": str(tmp_path / "models")}]
    return toy_config


def read(folder, name):
    return json.loads((folder / f"{name}.json").read_text())


def scored(runner, *scores):
    """Let the evaluations of `runner` have these scores."""
    left = iter(scores)
    runner.build_metric = lambda: Scored(next(left))
    return runner


def test_the_best_weights_are_kept_with_all_that_belongs_to_them(config, make_runner, tmp_path):
    runner = scored(make_runner(config, "gpu1_id3", seed=5), 0.2, 0.9, 0.5)
    runner.train()
    folder = tmp_path / "models" / "toy" / "line" / "id3"
    assert {path.name for path in folder.iterdir()} == FILES
    state, best = load_checkpoint(folder / "checkpoint.pth"), load_checkpoint(runner.work_dir / "checkpoint/best.pth")
    assert (state["epoch"], state["score"], state["classes"]) == (1, 0.9, ["Dive", "Jump"])
    for kind in ("state_dict", "state_dict_ema"):
        assert_same(state[kind], best[kind])
    epoch = load_checkpoint(runner.work_dir / "checkpoint" / "epoch_1.pth")
    assert state["branches"]["model"]["scheduler"] == epoch["branches"]["model"]["scheduler"]
    moments = [part["branches"]["model"]["optimizer"]["state"][0]["exp_avg"] for part in (state, epoch)]
    assert torch.equal(*moments)
    (tmp_path / "again.py").write_text(state["config"])
    told = read(folder, "config")
    assert load_config(tmp_path / "again.py").to_dict() == config.to_dict()
    assert told == {"run": "gpu1_id3", "seed": 5, **json.loads(json.dumps(config.to_dict()))}
    results = read(folder, "validation_results")
    assert results.pop("results")["model"]["count"] == 7
    assert results == {"epoch": 1, "split": "test", "score": 0.9}
    log = read(folder, "training_log")
    assert [entry["score"] for entry in log] == [0.2, 0.9, 0.5]
    assert log[2]["losses"] == runner.means["losses"].values() and log[2]["rates"] == runner.lrs
    assert log[2]["evaluation"] == json.loads(json.dumps(runner.metrics))
    assert all(entry["seconds"] > 0 and entry["watched"] == {} for entry in log)


def test_without_evaluations_the_newest_weights_are_kept(config, make_runner, tmp_path):
    config.hooks[0].run_id, config.workflow.val_eval_interval = "mine", 0
    make_runner(config).train()
    folder = tmp_path / "models" / "toy" / "line" / "mine"
    assert {path.name for path in folder.iterdir()} == FILES - {"validation_results.json"}
    state = load_checkpoint(folder / "checkpoint.pth")
    assert (state["epoch"], state["score"]) == (2, None)


@pytest.mark.parametrize("stop_after", [2, 4, 7])
def test_a_resumed_run_goes_on_in_the_same_folder_with_the_same_log(config, make_runner, tmp_path, stop_after):
    config.model.dropout = 0.3
    folder = tmp_path / "models" / "toy" / "line"
    make_runner(config, "gpu1_id0").train()
    broken = make_runner(config, "gpu1_id1")
    broken.hooks.append(StopAfter(stop_after))
    broken.train()
    again = make_runner(config, "gpu1_id1", fresh=False)
    again.train(load_latest(again.work_dir / "checkpoint")[0])
    assert_same_artifacts(folder / "id0", folder / "id1")


def assert_same_artifacts(one, other):
    logs = [read(path, "training_log") for path in (one, other)]
    for log in logs:
        for entry in log:
            entry.pop("seconds")
    assert logs[0] == logs[1] and [entry["epoch"] for entry in logs[0]] == [0, 1, 2]
    states = [load_checkpoint(path / "checkpoint.pth") for path in (one, other)]
    assert states[0]["epoch"] == states[1]["epoch"]
    assert_same(states[0]["state_dict_ema"], states[1]["state_dict_ema"])
    assert read(one, "validation_results") == read(other, "validation_results")


def test_a_run_killed_in_an_evaluation_makes_up_for_its_line_too(config, make_runner, tmp_path):
    class Killed(ArtifactsHook):
        def after_epoch(self, runner):
            raise KeyboardInterrupt

    folder = tmp_path / "models" / "toy" / "line"
    make_runner(config, "gpu1_id0").train()
    broken = make_runner(config, "gpu1_id1")
    broken.hooks.insert(2, Killed("toy/line"))  # behind the checkpoint, before the evaluation
    broken.hooks[2].before_train = broken.hooks[2].after_iter = lambda runner: None
    with pytest.raises(KeyboardInterrupt):
        broken.train()
    again = make_runner(config, "gpu1_id1", fresh=False)
    again.train(load_latest(again.work_dir / "checkpoint")[0])
    assert_same_artifacts(folder / "id0", folder / "id1")


def test_the_folder_of_another_run_is_refused_before_training(config, make_runner, tmp_path):
    make_runner(config, "first/gpu1_id0").train()
    folder = tmp_path / "models" / "toy" / "line" / "id0"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = make_runner(config, "second/gpu1_id0")
    with pytest.raises(ValueError, match=r"id0 holds the artifacts of another run \(first/gpu1_id0\); .*--id.* run_id"):
        other.train()
    anew = make_runner(config, "first/gpu1_id0")
    with pytest.raises(ValueError, match=r"a former run in first/gpu1_id0.*--resume auto"):
        anew.train()
    assert other.iteration == anew.iteration == other.epoch == anew.epoch == 0
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match="one that is not known"):
        make_runner(config, "first/gpu1_id0").train()
    del before["config.json"]
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_that_ended_before_its_first_epoch_may_start_anew(config, make_runner, tmp_path):
    broken = make_runner(config, "gpu1_id0")
    ArtifactsHook("toy/line", root=tmp_path / "models").before_train(broken)
    make_runner(config, "gpu1_id0").train()
    assert len(read(tmp_path / "models" / "toy" / "line" / "id0", "training_log")) == 3
