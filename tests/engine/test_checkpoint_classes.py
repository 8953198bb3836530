"""Checkpoints carry the names of the classes that the training set has."""

from types import SimpleNamespace

import pytest
import toy

from opentad_bi.engine.checkpoint import class_names
from opentad_bi.utils.weight_files import load_checkpoint, read_file


@pytest.mark.parametrize("classes", [None, ["Dive", "Jump"]])
def test_every_checkpoint_has_the_names_where_the_dataset_has(toy_config, make_runner, monkeypatch, classes):
    if classes:
        monkeypatch.setattr(toy.ToyData, "classes", tuple(classes), raising=False)
    runner = make_runner(toy_config)
    runner.train()
    for name in ("epoch_2.pth", "best.pth"):
        path = runner.work_dir / "checkpoint" / name
        assert load_checkpoint(path).get("classes") == classes
        state, key, content = read_file(path)
        assert key == "state_dict_ema" == read_file(path)[1] and state.keys() == content[key].keys()
    resumed = make_runner(toy_config, fresh=False)
    resumed.train(runner.work_dir / "checkpoint" / "epoch_1.pth")
    assert resumed.epoch == 3


def test_names_are_found_inside_wrappers():
    inner = SimpleNamespace(classes=["a", "b"])
    assert class_names(SimpleNamespace(dataset=SimpleNamespace(dataset=inner))) == {"classes": ["a", "b"]}
    assert class_names(SimpleNamespace(dataset=None)) == class_names(SimpleNamespace(classes=[])) == {}


def test_training_does_not_start_from_weights_of_other_classes(toy_config, make_runner, monkeypatch):
    monkeypatch.setattr(toy.ToyData, "classes", ("Dive", "Jump"), raising=False)
    runner = make_runner(toy_config)
    runner.train()
    toy_config.branches.model.load_from = str(runner.work_dir / "checkpoint" / "epoch_2.pth")
    make_runner(toy_config)
    monkeypatch.setattr(toy.ToyData, "classes", ("Jump", "Dive"))
    with pytest.raises(ValueError, match=r"0 is 'Jump' in dataset\.train, but 'Dive' in .*epoch_2\.pth"):
        make_runner(toy_config)
