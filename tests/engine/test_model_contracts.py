"""What a model may say of itself: its classes, data it refuses, weights for other classes, exports, own weights."""

import json

import pytest
import torch
import toy

from opentad_bi.engine.branch import Branch
from opentad_bi.engine.hooks import ExportHook
from opentad_bi.engine.warm_start import file_classes
from opentad_bi.registry import DATASETS, MODELS


@MODELS.register_module(force=True)
class ToyNamer(toy.ToyNet):
    """A toy network that knows classes, refuses short data, and says what it learned."""

    comes_trained = True

    def __init__(self, classes=("a", "b"), shortest=0):
        super().__init__()
        self.classes, self.shortest, self.open_vocabulary = list(classes), shortest, False

    def check_dataset(self, dataset):
        if len(dataset) < self.shortest:
            raise ValueError(f"{len(dataset)} samples are too few")

    def export(self, folder, stage):
        (folder / f"{stage}.json").write_text(json.dumps(self.layers[0].bias.tolist()))


@DATASETS.register_module(force=True)
class ToyNamed(toy.ToyData):
    """Toy data with the names of its classes."""

    def __init__(self, length=16, classes=("a", "b")):
        super().__init__(length)
        self.classes = list(classes)


def test_model_and_data_must_have_the_same_classes(toy_config, make_runner):
    toy_config.model = {"type": "ToyNamer", "classes": ["a", "b"]}
    toy_config.dataset.train = {"type": "ToyNamed"}
    make_runner(toy_config)
    toy_config.dataset.train = {"type": "ToyNamed", "classes": ["b", "a"]}
    with pytest.raises(ValueError, match=r"0 is 'a' in model, but 'b' in dataset\.train"):
        make_runner(toy_config)
    toy_config.dataset.train = {"type": "ToyNamed"}
    toy_config.dataset.test = {"type": "ToyNamed", "classes": ["a"]}
    with pytest.raises(ValueError, match=r"there are 2 in model, but 1 in dataset\.test"):
        make_runner(toy_config)


def test_a_model_may_refuse_the_data_of_either_split(toy_config, make_runner):
    toy_config.model = {"type": "ToyNamer", "shortest": 10}
    with pytest.raises(ValueError, match="7 samples are too few"):
        make_runner(toy_config)
    toy_config.workflow.val_eval_interval = 0
    runner = make_runner(toy_config)
    with pytest.raises(ValueError, match="7 samples are too few"):
        runner.evaluate()


def test_weights_of_an_open_vocabulary_are_not_compared_by_their_classes():
    module = ToyNamer()
    assert file_classes({"classes": ["x", "y"]}, module) == ["x", "y"]
    module.open_vocabulary = True
    assert file_classes({"classes": ["x", "y"]}, module) is None


def test_frozen_parts_that_came_with_weights_need_no_file(caplog):
    for module, warned in ((ToyNamer(), False), (toy.ToyNet(), True)):
        cfg = {"optimizer": {"type": "SGD", "lr": 0.1}, "trainable": ["layers.0.*"]}
        caplog.clear()
        with caplog.at_level("WARNING", logger="opentad_bi"):
            Branch("model", module, cfg, 10).load_initial_weights()
        assert ("stay random" in caplog.text) == warned


def test_exports_are_of_the_start_the_best_and_the_end(toy_config, make_runner):
    toy_config.model, toy_config.hooks = {"type": "ToyNamer"}, [{"type": "ExportHook"}]
    runner = make_runner(toy_config)
    start = runner.model.layers[0].bias.tolist()
    scores = iter([0.2, 0.9, 0.5])
    runner.build_metric = lambda: Scored(next(scores))
    biases = []
    runner.hooks.append(Watch(lambda: biases.append(runner.ema.module.layers[0].bias.tolist())))
    runner.train()
    told = {
        stage: json.loads((runner.work_dir / f"{stage}.json").read_text()) for stage in ("initial", "best", "learned")
    }
    assert told["initial"] == start
    assert told["best"] == biases[1] != biases[2] == told["learned"]
    best = torch.load(runner.work_dir / "checkpoint" / "best.pth", weights_only=True)
    assert best["state_dict_ema"]["layers.0.bias"].tolist() == told["best"]
    (runner.work_dir / "scores.json").write_text('{"2": 1.0}')
    amid = make_runner(toy_config)
    amid.epoch, amid.iteration, amid.scores = 3, 1, {2: 1.0}
    ExportHook().before_train(amid)  # amid an epoch after the best one: weights that were never evaluated
    assert json.loads((runner.work_dir / "best.json").read_text()) == told["best"]
    (runner.work_dir / "scores.json").unlink()
    resumed = make_runner(toy_config)
    resumed.build_metric = lambda: Scored(0.1)
    resumed.train(resume=runner.work_dir / "checkpoint" / "epoch_2.pth")
    assert json.loads((runner.work_dir / "initial.json").read_text()) == start


def test_a_model_without_exports_is_named(toy_config, make_runner):
    toy_config.hooks = [{"type": "ExportHook"}]
    with pytest.raises(TypeError, match=r"ToyNet has no export\(folder, stage\)"):
        make_runner(toy_config).train()


class Scored(toy.ToyMetric):
    """A metric with a given score."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def score(self, metrics):
        return self.value


class Watch:
    """A hook that calls a function after every epoch."""

    def __init__(self, act):
        self.act = act

    def before_train(self, runner):
        pass

    after_iter = after_train = before_train

    def after_epoch(self, runner):
        self.act()
