"""What a run leaves for others, whose it is, and what a resume makes of it."""

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import toy
from test_laws import StopAfter, assert_same
from test_model_contracts import Scored, Watch

from opentad_bi.config import load_config
from opentad_bi.engine.checkpoint import load_latest
from opentad_bi.engine.hooks import ArtifactsHook, artifacts
from opentad_bi.utils.weight_files import load_checkpoint

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
    assert state["iters_per_epoch"] == 4
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
    assert all(entry["seconds"] > 0 and entry["logged"] == {} for entry in log)


def test_without_evaluations_the_newest_weights_are_kept(config, make_runner, tmp_path):
    config.hooks[0].run_id, config.workflow.val_eval_interval = "mine", 0
    make_runner(config).train()
    folder = tmp_path / "models" / "toy" / "line" / "mine"
    assert {path.name for path in folder.iterdir()} == FILES - {"validation_results.json"}
    state = load_checkpoint(folder / "checkpoint.pth")
    assert (state["epoch"], state["score"]) == (2, None)


def test_epochs_without_an_evaluation_replace_none_that_was_evaluated(config, make_runner, tmp_path):
    config.workflow.update(val_eval_interval=2, end_epoch=4)
    runner, kept = scored(make_runner(config, "gpu1_id0"), 0.9, 0.2), []
    file = tmp_path / "models" / "toy" / "line" / "id0" / "checkpoint.pth"
    runner.hooks.append(Watch(lambda: kept.append(load_checkpoint(file)["epoch"])))
    runner.train()
    assert kept == [0, 1, 1, 1]
    assert [entry["score"] for entry in read(file.parent, "training_log")] == [None, 0.9, None, 0.2]


def test_of_equal_scores_the_first_counts_and_its_split_is_told(config, make_runner, tmp_path):
    config.dataset.val = {"type": "ToyData", "length": 5}
    scored(make_runner(config, "gpu1_id0"), 0.5, 0.5, 0.1).train()
    folder = tmp_path / "models" / "toy" / "line" / "id0"
    results = read(folder, "validation_results")
    assert (results["epoch"], results["split"], results["results"]["model"]["count"]) == (0, "val", 5)
    assert load_checkpoint(folder / "checkpoint.pth")["epoch"] == 0


def test_the_seconds_are_those_of_an_epoch(config, make_runner, tmp_path, monkeypatch):
    """By a clock that goes on by one at every look: at the start, and after each of 4 iterations."""
    ticks = itertools.count()
    monkeypatch.setattr(artifacts, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    make_runner(config, "gpu1_id0").train()
    log = read(tmp_path / "models" / "toy" / "line" / "id0", "training_log")
    assert [entry["seconds"] for entry in log] == [4, 4, 4]


class Numpy(toy.ToyMetric):
    """A metric whose numbers are those of numpy."""

    def compute(self):
        return {"model": {name: np.float32(value) for name, value in super().compute()["model"].items()}}

    def score(self, metrics):
        return float(metrics["model"]["mean"])


def test_numbers_stay_numbers_and_what_json_cannot_hold_is_refused(config, make_runner, tmp_path):
    runner = make_runner(config, "gpu1_id0")
    runner.build_metric = Numpy
    runner.train()
    assert read(tmp_path / "models" / "toy" / "line" / "id0", "validation_results")["results"]["model"]["count"] == 7.0
    path = tmp_path / "some.json"
    artifacts._write(path, {"folder": Path("a") / "b", "count": np.int64(3)})
    with pytest.raises(TypeError, match=r"some\.json cannot hold tensor\(1\.\) \(a Tensor\)"):
        artifacts._write(path, {"value": torch.tensor(1.0)})
    assert json.loads(path.read_text()) == {"folder": "a/b", "count": 3}


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


@pytest.mark.parametrize("lost", ["checkpoint.pth", "validation_results.json", "training_log.json"])
def test_a_run_killed_between_the_files_loses_no_numbers(config, make_runner, tmp_path, monkeypatch, lost):
    """The best epoch is evaluated and its score kept; of what this hook writes then, `lost` is the first that fails."""
    scored(make_runner(config, "gpu1_id0"), 0.2, 0.9, 0.5).train()
    broken = scored(make_runner(config, "gpu1_id1"), 0.2, 0.9)

    def cut(path, value, write):
        if path.name == lost and broken.epoch == 2:
            raise KeyboardInterrupt
        write(path, value)

    with monkeypatch.context() as patch:
        for name in ("save_checkpoint", "_write"):
            write = getattr(artifacts, name)
            patch.setattr(artifacts, name, lambda path, value, write=write: cut(path, value, write))
        with pytest.raises(KeyboardInterrupt):
            broken.train()
    again = scored(make_runner(config, "gpu1_id1", fresh=False), 0.9, 0.5)
    again.train(load_latest(again.work_dir / "checkpoint")[0])
    folder = tmp_path / "models" / "toy" / "line"
    assert_same_artifacts(folder / "id0", folder / "id1")
    assert read(folder / "id1", "validation_results")["epoch"] == 1


def test_a_resume_from_an_earlier_epoch_takes_back_the_lines_after_it(config, make_runner, tmp_path):
    make_runner(config, "gpu1_id0").train()
    again = make_runner(config, "gpu1_id0", fresh=False)
    again.train(again.work_dir / "checkpoint" / "epoch_0.pth")
    log = read(tmp_path / "models" / "toy" / "line" / "id0", "training_log")
    assert [entry["epoch"] for entry in log] == [0, 1, 2]


def test_a_run_may_be_resumed_with_another_number_of_processes_and_keeps_its_best(config, make_runner, tmp_path):
    one = scored(make_runner(config, "gpu1_id0"), 0.9, 0.2)
    one.end_epoch = 2
    one.train()
    two = scored(make_runner(config, "gpu2_id0", fresh=False), 0.2, 0.5)
    two.train(one.work_dir / "checkpoint" / "epoch_1.pth")
    folder = tmp_path / "models" / "toy" / "line" / "id0"
    assert [entry["score"] for entry in read(folder, "training_log")] == [0.9, 0.2, 0.5]
    assert load_checkpoint(folder / "checkpoint.pth")["epoch"] == read(folder, "validation_results")["epoch"] == 0
    assert read(folder, "config")["run"] == "gpu2_id0"
    with pytest.raises(ValueError, match="holds the artifacts of a previous run in gpu2_id0"):
        make_runner(config, "gpu4_id0").train()
    config.hooks[0].run_id = "id0"
    with pytest.raises(ValueError, match=r"holds the artifacts of another run \(gpu2_id0\)"):
        make_runner(config, "gpu2_id1").train()


def test_the_folder_of_another_run_is_refused_before_training(config, make_runner, tmp_path):
    make_runner(config, "first/gpu1_id0").train()
    folder = tmp_path / "models" / "toy" / "line" / "id0"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = make_runner(config, "second/gpu1_id0")
    with pytest.raises(ValueError, match=r"id0 holds the artifacts of another run \(first/gpu1_id0\); .*--id.* run_id"):
        other.train()
    anew = make_runner(config, "first/gpu1_id0")
    with pytest.raises(ValueError, match=r"a previous run in first/gpu1_id0.*--resume auto"):
        anew.train()
    assert other.iteration == anew.iteration == other.epoch == anew.epoch == 0
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match="an unknown one"):
        make_runner(config, "first/gpu1_id0").train()
    del before["config.json"]
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_that_ended_before_its_first_epoch_may_start_anew(config, make_runner, tmp_path):
    broken = make_runner(config, "gpu1_id0")
    ArtifactsHook("toy/line", root=tmp_path / "models").before_train(broken)
    make_runner(config, "gpu1_id0").train()
    assert len(read(tmp_path / "models" / "toy" / "line" / "id0", "training_log")) == 3
