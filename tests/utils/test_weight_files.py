"""Files of weights: every form is recognised by its content and read to the same state dict; bad files are named."""

import io
import pickle
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from opentad_bi.engine.warm_start import load_initial_weights
from opentad_bi.utils.weight_files import differences, file_form, read_content, read_file

FORMS = {
    "torch.pth": "torch",
    "legacy.pth": "torch",
    "arrays.npz": "arrays",
    "flat.safetensors": "safetensors",
    "script.pt": "torchscript",
}


def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def write(folder, module):
    """The state of `module` in every form, one file each."""
    state = module.state_dict()
    torch.save(state, folder / "torch.pth")
    torch.save(state, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    np.savez(folder / "arrays.npz", **{name: tensor.numpy() for name, tensor in state.items()})
    save_file(state, folder / "flat.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module).save(str(folder / "script.pt"))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forms")
    write(folder, network())
    return folder


@pytest.mark.parametrize(("name", "form"), FORMS.items())
def test_every_form_gives_the_same_state_dict(files, name, form):
    own = network().state_dict()
    assert file_form(files / name) == form
    state, key, content = read_file(files / name)
    assert key == "" and state.keys() == own.keys() and content.keys() == own.keys()
    for tensor, wanted in ((state[n], own[n]) for n in own):
        assert tensor.dtype == wanted.dtype and torch.equal(tensor, wanted) and not tensor.requires_grad


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("disguise", ["w.bin", "w.npz", "w.safetensors", "w"])
def test_content_tells_the_form_whatever_the_file_is_called(files, tmp_path, name, disguise):
    path = tmp_path / disguise
    path.write_bytes((files / name).read_bytes())
    assert file_form(path) == FORMS[name]
    assert read_content(path).keys() == network().state_dict().keys()


@pytest.mark.parametrize("name", FORMS)
def test_every_form_fills_a_branch(files, name):
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    load_initial_weights("model", module, {"load_from": str(files / name)})
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), network().parameters(), strict=True))


@pytest.mark.parametrize("name", FORMS)
@given(part=st.floats(0, 0.98))
@settings(max_examples=25, deadline=None)
def test_a_file_cut_short_is_an_error_that_names_it(files, tmp_path_factory, name, part):
    whole = (files / name).read_bytes()
    path = tmp_path_factory.mktemp("cut") / name
    path.write_bytes(whole[: int(len(whole) * part)])
    # a pickle may end within the name of a class, which then is not one of the allowed
    with pytest.raises(ValueError, match=rf"{name} (is damaged or not a|holds more than tensors)"):
        read_content(path)


@pytest.mark.parametrize("name", ["w.pth", "w.npz", "w.safetensors", "w.pt", "w"])
def test_foreign_and_missing_files_are_named(tmp_path, name):
    (tmp_path / "other.safetensors").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=rf"{name} does not exist; in its folder: other\.safetensors"):
        read_content(tmp_path / name)
    (tmp_path / name).write_text("weights, he said, are heavy")
    with pytest.raises(ValueError, match=rf"{name} is damaged or not a"):
        read_content(tmp_path / name)
    (tmp_path / name).write_bytes((10**9).to_bytes(8, "little") + b"{}")
    with pytest.raises(ValueError, match=rf"{name} is damaged or not a"):
        read_content(tmp_path / name)


def test_no_form_can_run_code(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    np.savez(tmp_path / "trap.npz", weight=np.asarray([Trap()], dtype=object))
    buffer = io.BytesIO()
    pickle.dump({"weight": Trap()}, buffer, protocol=2)
    (tmp_path / "trap.pth").write_bytes(buffer.getvalue())
    torch.save({"weight": Trap()}, tmp_path / "zip.pth")
    for name in ("trap.npz", "trap.pth", "zip.pth"):
        with pytest.raises(ValueError, match=name):
            read_content(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_content_that_is_no_state_dict_is_named(tmp_path):
    torch.save([torch.ones(1)], tmp_path / "list.pth")
    torch.save({0: torch.ones(1)}, tmp_path / "numbers.pth")
    with pytest.raises(ValueError, match=r"list\.pth holds a list"):
        read_file(tmp_path / "list.pth")
    with pytest.raises(ValueError, match=r"numbers\.pth holds a dict whose keys"):
        read_file(tmp_path / "numbers.pth")


NAMES = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 3), max_size=6)


@given(own=NAMES, state=NAMES)
def test_differences_are_empty_exactly_for_equal_names_and_shapes(own, state):
    text = differences({n: torch.ones(k) for n, k in own.items()}, {n: torch.ones(k) for n, k in state.items()})
    assert (text == "") == (own == state)
    assert all(f" {name}" in text for name in own.keys() ^ state.keys())


def test_a_state_dict_with_other_things_than_tensors_differs():
    text = differences({"w": torch.ones(2)}, {"w": {"epoch": 3}, "epoch": 3})
    assert "epoch" in text and "w: file dict, network (2,)" in text
