"""What docs/plugins.md shows works: a module from outside the package, named by a config, trains."""

import re
import sys
from pathlib import Path

import pytest
import torch
from test_configs import tiny_overrides, tiny_set  # noqa: F401 - a fixture

from opentad_bi.cli import train
from opentad_bi.engine.checkpoint import load_checkpoint

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "plugins.md").read_text()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder like the repository's, with the files of the page, as the working folder and on the Python path."""
    module, config = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "my_neck.py").write_text(module)
    (tmp_path / "my_config.py").write_text(config)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_neck", raising=False)
    yield tmp_path
    torch.use_deterministic_algorithms(False)


def test_the_documented_plugin_trains(folder, tiny_set):  # noqa: F811
    command = re.search(r"tools/train\.py (.*?) +# smoke", PAGE)[1].split()
    more = {"workflow.tensorboard": False, "workflow.val_eval_interval": 0, "solver.train.num_workers": 0}
    overrides = {**tiny_overrides(folder / "my_config.py", tiny_set), "work_dir": "exps", **more}
    assert train.main([*command, *(f"{key}={value}" for key, value in overrides.items()), "--device", "cpu"]) == 0
    state = load_checkpoint(folder / "exps" / "gpu1_id0" / "checkpoint" / "epoch_0.pth")
    name = next(name for name in state["state_dict"] if name.endswith("neck.convs.0.weight"))
    assert state["state_dict"][name].shape[-1] == 5
    assert not torch.equal(state["state_dict"][name], state["state_dict_ema"][name])
