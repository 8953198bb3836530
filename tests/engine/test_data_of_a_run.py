"""Which part of the data a run evaluates, and the names of classes, which the data give where the config does not."""

import json
from functools import partial
from pathlib import Path

import pytest
import toy

from opentad_bi.cli.check import check_data
from opentad_bi.cli.main import call
from opentad_bi.config import config_text
from opentad_bi.registry import METRICS, MODELS

evaluate = partial(call, "test")
train = partial(call, "train")


@MODELS.register_module(force=True)
class ToyKnower(toy.ToyNet):
    """A toy network that must be given classes."""

    def __init__(self, classes):
        super().__init__()
        self.classes = list(classes)


@METRICS.register_module(force=True)
class ToyCount(toy.ToyMetric):
    """Mean of the predictions, for classes."""

    def __init__(self, classes, scored=True):
        super().__init__()
        self.classes, self.scored = list(classes), scored


@pytest.fixture
def config(toy_config, monkeypatch):
    """Data with names of classes in three splits; model and metric ask for them."""
    monkeypatch.setattr(toy.ToyData, "classes", ("Dive", "Jump"), raising=False)
    toy_config.dataset.val = {"type": "ToyData", "length": 5}
    toy_config.model = {"type": "ToyKnower"}
    toy_config.evaluation = {"type": "ToyCount"}
    toy_config.workflow.end_epoch = 1
    return toy_config


def count(runner):
    return runner.metrics["model"]["count"]


def test_training_evaluates_the_validation_set_where_there_is_one(config, make_runner):
    runner = make_runner(config, "with")
    runner.train()
    assert (runner.split, count(runner)) == ("val", 5)
    assert "test" not in runner.datasets
    assert runner.evaluate("test")["model"]["count"] == 7
    del config.dataset["val"]
    runner = make_runner(config, "without")
    runner.train()
    assert (runner.split, count(runner)) == ("test", 7)


@pytest.mark.parametrize("own", [False, True])
def test_a_split_without_sizes_has_those_of_the_test(config, make_runner, own):
    if own:
        config.solver.val = {"batch_size": 1, "num_workers": 0}
    runner, batches = make_runner(config), []
    predict = runner.ema.module.predict
    runner.ema.module.predict = lambda batch: (batches.append(len(batch["inputs"])), predict(batch))[1]
    runner.evaluate()
    assert batches == ([1] * 5 if own else [3, 2])


def test_classes_are_those_of_the_data_where_the_config_gives_none(config, make_runner):
    runner = make_runner(config)
    assert runner.model.classes == runner.build_metric().classes == ["Dive", "Jump"]
    alone = make_runner(config, training=False)
    assert alone.model.classes == ["Dive", "Jump"]
    assert set(alone.datasets) == {"test"}
    assert alone.build_metric(scored=False).scored is False
    config.evaluation = {"type": "CombinedMetrics", "metrics": [{"type": "ToyCount"}, {"type": "ToyMetric"}]}
    assert make_runner(config).build_metric().metrics[0].classes == ["Dive", "Jump"]


def test_classes_of_the_config_come_first_and_must_be_those_of_the_data(config, make_runner):
    config.evaluation.classes = ["a"]
    assert make_runner(config).build_metric().classes == ["a"]
    config.model.classes = ["Jump", "Dive"]
    with pytest.raises(ValueError, match=r"0 is 'Jump' in model, but 'Dive' in dataset\.train"):
        make_runner(config)


def test_data_without_names_give_none(config, make_runner, monkeypatch):
    monkeypatch.delattr(toy.ToyData, "classes")
    with pytest.raises(ValueError, match="ToyKnower needs the argument 'classes'"):
        make_runner(config)


def test_data_are_not_built_for_a_model_that_asks_for_nothing(config, make_runner):
    config.model = {"type": "ToyNet"}
    assert make_runner(config, training=False).datasets == {}


def test_that_data_have_no_check_is_told_once(config, caplog):
    caplog.set_level("INFO", "opentad_bi")
    check_data(config)
    (line,) = caplog.messages
    assert (
        line == "not checked: data: ToyData is not over an annotation file, and has no `verdicts` that would check it"
    )


def test_the_command_evaluates_the_split_it_is_told(config, tmp_path, monkeypatch, capsys):
    config.custom_imports = {"imports": ["toy", "test_data_of_a_run"], "allow_failed_imports": False}
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    path = tmp_path / "toy.py"
    path.write_text(config_text(config))
    assert train([str(path), "--skip-check", "--device", "cpu"]) == 0
    for options, number in (([], 7), (["--split", "val"], 5), (["--split", "train"], 16)):
        assert evaluate([str(path), "--device", "cpu", "--out", str(tmp_path / "out.json"), *options]) == 0
        assert json.loads((tmp_path / "out.json").read_text())["model"]["count"] == number
    assert evaluate([str(path), "--device", "cpu", "--split", "vla"]) == 1
    assert "dataset has no split 'vla'; did you mean 'val'?" in capsys.readouterr().err
    assert evaluate([str(path), "--device", "cpu", "--not-eval", "--save-dir", str(tmp_path / "saved")]) == 0
    assert (tmp_path / "saved" / "result.txt").is_file()
    assert evaluate([str(path), "--predictions", "gone.json"]) == 1
    assert "ToyCount reads no files" in capsys.readouterr().err


def test_a_metric_that_asks_is_given_the_names_of_the_videos_at_the_start(config, make_runner, monkeypatch):
    monkeypatch.setattr(toy.ToyData, "videos", ["a", "b"], raising=False)
    seen = []
    monkeypatch.setattr(ToyCount, "check_videos", lambda self, videos: seen.append(videos), raising=False)
    make_runner(config)
    assert seen == [["a", "b"]]
