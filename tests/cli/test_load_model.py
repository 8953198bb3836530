"""Weights for an evaluation: every network that is needed has some, and all of them are of the same classes."""

from argparse import Namespace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from opentad_bi.cli.test import load_model
from opentad_bi.engine.branch import Branch

PARTS = ("for_model", "back_model", "fusion")


@pytest.fixture
def files(tmp_path):
    """Checkpoints of one network each, with other classes."""
    paths = {}
    for name, classes in (("A", ["x", "y"]), ("B", ["x", "y"]), ("C", ["y", "x"]), ("old", None)):
        paths[name] = str(tmp_path / f"{name}.pth")
        content = {"state_dict": {"weight": torch.ones(1, 1)}, "classes": classes}
        torch.save({key: value for key, value in content.items() if value}, paths[name])
    return paths


def load(ahead=None, back=None, *, checkpoint=None, direction=None, parts=PARTS, classes=None):
    """The names of the networks that are filled."""
    model = nn.ModuleDict({name: nn.Linear(1, 1, bias=False) for name in parts})
    specs = {"for_model": ahead, "back_model": back}
    branches = {name: Branch(name, module, {"load_from": specs.get(name)}) for name, module in model.items()}
    args = Namespace(for_resume=ahead, back_resume=back, checkpoint=checkpoint)
    if direction:
        args.direction = direction
    load_model(SimpleNamespace(model=model, branches=branches), args, None, classes)
    return {name for name, module in model.items() if module.weight.item() == 1}


EVERY = [(direction, PARTS) for direction in ("all", "merged", "fused", "back", None)]


@pytest.mark.parametrize(("direction", "parts"), [*EVERY, ("all", PARTS[:2]), ("merged", PARTS[:2])])
def test_a_network_that_would_stay_random_is_an_error(files, direction, parts):
    with pytest.raises(ValueError, match=r"no weights for back_model, so .* random network; give both --for-resume"):
        load(files["A"], direction=direction, parts=parts)


def test_one_direction_needs_its_own_network_alone(files):
    assert load(files["A"], direction="for") == {"for_model"}
    assert load(back=files["A"], direction="back") == {"back_model"}


@pytest.mark.parametrize("direction", ["all", "fused", "merged", None])
def test_a_fusion_may_be_as_it_starts_and_the_log_says_so(files, direction, caplog):
    caplog.set_level("INFO", "opentad_bi")
    assert load(files["A"], files["B"], direction=direction) == {"for_model", "back_model"}
    said = [text for text in caplog.messages if "exact average of both networks" in text]
    assert len(said) == (direction in ("all", "fused"))  # others do not use it


def test_weights_of_other_classes_are_refused(files):
    assert load(files["A"], files["old"], classes=["x", "y"])
    with pytest.raises(ValueError, match=r"0 is 'x' in .*A\.pth, but 'y' in .*C\.pth"):
        load(files["A"], files["C"])
    with pytest.raises(ValueError, match=r"there are 3 in evaluation, but 2 in .*A\.pth"):
        load(files["A"], files["B"], classes=["x", "y", "z"])


def test_a_checkpoint_of_other_classes_is_refused(tmp_path):
    state, path = {f"{name}.weight": torch.ones(1, 1) for name in PARTS}, tmp_path / "pair.pth"
    torch.save({"state_dict": state, "classes": ["x", "y"]}, path)
    assert load(checkpoint=path, classes=["x", "y"]) == load(checkpoint=path) == set(PARTS)
    with pytest.raises(ValueError, match=r"1 is 'z' in evaluation, but 'y' in .*pair\.pth"):
        load(checkpoint=path, classes=["x", "z"])


def test_weights_that_belong_to_no_classes_may_be_of_others_which_is_told(tmp_path, caplog):
    class Open(nn.Linear):
        open_vocabulary = True

    torch.save({"state_dict": {"weight": torch.ones(1, 1)}, "classes": ["x", "y"]}, tmp_path / "a.pth")
    args = Namespace(for_resume=None, back_resume=None, checkpoint=str(tmp_path / "a.pth"))
    for classes, told in ((["x", "y"], 0), (["x"], 1)):
        load_model(SimpleNamespace(model=Open(1, 1, bias=False), branches={}), args, None, classes)
        assert caplog.text.count("was learned on 2 classes; evaluated are 1: x") == told


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_name_the_file_and_the_tensor(tmp_path, value):
    path = str(tmp_path / "diverged.pth")
    torch.save({"state_dict": {"weight": torch.full((1, 1), value)}}, path)
    with pytest.raises(ValueError, match=r"diverged\.pth are not finite: 1 tensor .*: weight;"):
        load(path, direction="for")
    torch.save({"state_dict": {f"{name}.weight": torch.full((1, 1), value) for name in PARTS}}, path)
    with pytest.raises(ValueError, match=r"diverged\.pth are not finite: 3 .*for_model\.weight, back_model\.weight"):
        load(checkpoint=path)
