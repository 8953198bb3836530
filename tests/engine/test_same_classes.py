"""Weights, data and evaluation must be of the same classes; where a file says none, nothing is compared."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from opentad_bi.engine.branch import Branch, fill_branches
from opentad_bi.engine.warm_start import check_same_classes, file_classes, fill, load_initial_weights

names = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)


@given(names, names, st.booleans())
def test_lists_pass_if_they_are_equal_or_not_known(one, two, known):
    sources = {"nobody": None, "A.pth": one, "empty": [], "B.pth": two if known else None}
    if one == two or not known:
        check_same_classes(sources)
        return
    with pytest.raises(ValueError, match="without its key 'classes'") as error:
        check_same_classes(sources)
    i = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), None)
    lengths = f"there are {len(one)} in A.pth, but {len(two)} in B.pth"
    assert (lengths if i is None else f"{i} is {one[i]!r} in A.pth, but {two[i]!r} in B.pth") in str(error.value)


def test_only_a_list_of_names_counts():
    assert file_classes({"classes": ("a", 1)}) == ["a", "1"]
    for content in ({}, {"classes": []}, {"classes": 20}, {"classes": torch.ones(2)}):
        assert file_classes(content) is None


def save(path, classes=None, prefixes=("",)):
    state = {f"{prefix}{name}": torch.ones(2, 2) for prefix in prefixes for name in ("weight",)}
    torch.save({"state_dict": state, **({"classes": classes} if classes else {})}, path)
    return str(path)


def branches(*specs):
    return [Branch(f"{i}_model", nn.Linear(2, 2, bias=False), {"load_from": spec}) for i, spec in enumerate(specs)]


def test_branches_are_filled_from_files_of_the_classes_of_the_data(tmp_path):
    first, second = (save(tmp_path / f"{name}.pth", list(name)) for name in ("ab", "ba"))
    old = save(tmp_path / "old.pth")
    for specs, classes in [((first, first), ["a", "b"]), ((first, old, None), None), ((old, old), ["x"])]:
        made = branches(*specs)
        fill_branches(made, {"dataset.train": classes})
        assert all(branch.module.weight.eq(1).all() == bool(spec) for branch, spec in zip(made, specs, strict=True))
    with pytest.raises(ValueError, match=r"0 is 'a' in .*ab\.pth, but 'b' in .*ba\.pth"):
        fill_branches(branches(first, second), {"dataset.train": None})
    with pytest.raises(ValueError, match=r"0 is 'b' in dataset\.train, but 'a' in .*ab\.pth"):
        fill_branches(branches(first), {"dataset.train": ["b", "a"]})


def test_a_pretrained_backbone_may_know_other_classes(tmp_path):
    path = save(tmp_path / "kinetics.pth", ["abseiling"])
    network = nn.ModuleDict({"backbone": nn.Linear(2, 2, bias=False)})
    assert load_initial_weights("model", network, {"pretrained": {"path": path, "module": "backbone"}}) == {}
    assert network["backbone"].weight.eq(1).all()


def test_filling_gives_the_file_and_says_what_it_took(tmp_path, caplog):
    network, path = nn.Linear(2, 2, bias=False), save(tmp_path / "pair.pth", ["a"], ("for_model.", "back_model."))
    caplog.set_level("INFO", "opentad_bi")
    assert fill(network, path, name="for_model", part="for_model")["classes"] == ["a"]
    assert caplog.messages == [f"for_model: 1 tensors from {path} (state_dict: raw weights)"]
    with pytest.raises(ValueError, match=r"weights of .*pair\.pth do not fit"):
        fill(network, path)


def test_weights_that_are_required_and_lack_are_asked_for():
    (branch,) = branches(None)
    branch.cfg["load_required"] = True
    with pytest.raises(ValueError, match="starts from trained networks") as error:
        branch.load_initial_weights()
    for word in ("--for-resume", "--back-resume", "branches.0_model.load_from"):
        assert word in str(error.value)
    assert "frozen" not in str(error.value)  # nothing is, here
