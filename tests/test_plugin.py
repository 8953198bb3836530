"""What docs/plugins.md shows works: a module from outside the package, named by a config, trains."""

import re
import sys

import pytest
import torch
from places import ROOT
from test_configs import tiny_overrides, tiny_set  # noqa: F401 - a fixture

from opentad_bi.cli.main import call
from opentad_bi.utils.weight_files import load_checkpoint

PAGE = (ROOT / "docs" / "plugins.md").read_text()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder like the repository's, with the files of the page, as the working folder and on the Python path."""
    names = ("my_neck", "my_config", "my_prompt", "my_method", "my_mixer", "my_fusion")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for name, text in zip(names, re.findall(r"```python\n(.*?)```", PAGE, re.S), strict=True):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    torch.use_deterministic_algorithms(False)


def words(folder, config, tiny):
    """Overrides that make the config at `config` small, as words."""
    more = {"workflow.tensorboard": False, "workflow.val_eval_interval": 0, "solver.train.num_workers": 0}
    overrides = {**tiny_overrides(folder / config, tiny), "work_dir": "exps", **more}
    return [*(f"{key}={value}" for key, value in overrides.items()), "--device", "cpu"]


def test_the_documented_mixer_starts_as_the_average_and_trains(folder, tiny_set):  # noqa: F811
    base = words(folder, "configs/demo/pair_exp1.py", tiny_set)
    assert call("train", ["configs/demo/pair_exp1.py", "--id", "1", "--cfg-options", *base]) == 0
    pair = "exps/gpu1_id1/checkpoint/epoch_0.pth"
    command = ["my_fusion.py", "--for-resume", pair, "--back-resume", pair, "--cfg-options"]
    assert call("train", [*command, *words(folder, "my_fusion.py", tiny_set)]) == 0
    state = load_checkpoint(folder / "exps" / "gpu1_id0" / "checkpoint" / "epoch_0.pth")["state_dict"]
    gates = {name: tensor for name, tensor in state.items() if name.endswith(".cls.gate")}
    assert {tuple(gate.shape) for gate in gates.values()} == {(4, 1)} and len(gates) == 2
    assert all((gate != 0).any() and gate.abs().max() < 0.01 for gate in gates.values())


def test_the_documented_plugin_trains(folder, tiny_set):  # noqa: F811
    command = re.search(r"opentad-bi train (.*?) +# smoke", PAGE)[1].split()
    assert call("train", [*command, *words(folder, "my_config.py", tiny_set)]) == 0
    state = load_checkpoint(folder / "exps" / "gpu1_id0" / "checkpoint" / "epoch_0.pth")
    name = next(name for name in state["state_dict"] if name.endswith("neck.convs.0.weight"))
    assert state["state_dict"][name].shape[-1] == 5
    assert not torch.equal(state["state_dict"][name], state["state_dict_ema"][name])


def test_the_documented_visual_prompt_trains(folder, tiny_set):  # noqa: F811
    assert call("train", ["my_method.py", "--cfg-options", *words(folder, "my_method.py", tiny_set)]) == 0
    state = load_checkpoint(folder / "exps" / "gpu1_id0" / "checkpoint" / "epoch_0.pth")["state_dict"]
    assert state["visual_prompt.vectors"].shape == (2, 8, 64)
    assert (state["visual_prompt.share"] != 0).any()
    (kept,) = (tiny_set / "models" / "following").rglob("checkpoint.pth")
    assert "visual_prompt.vectors" in load_checkpoint(kept)["state_dict"]
