"""What docs/plugins.md shows works: a module from outside the package, named by a config, trains."""

import re
import sys
from pathlib import Path

import torch
from test_configs import tiny_overrides, tiny_set  # noqa: F401 - a fixture

from opentad_bi.config import load_config
from opentad_bi.engine import Runner

ROOT = Path(__file__).resolve().parents[1]


def test_the_documented_plugin_trains(tiny_set, tmp_path, monkeypatch):  # noqa: F811
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "plugins.md").read_text(), re.S)
    module, config = blocks[0], blocks[1]
    (tmp_path / "my_neck.py").write_text(module)
    path = tmp_path / "my_config.py"
    path.write_text(config.replace("configs/demo", str(ROOT / "configs" / "demo")))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_neck", raising=False)
    cfg = load_config(path, tiny_overrides(path, tiny_set))
    (tmp_path / "checkpoint").mkdir()
    cfg.workflow.update(end_epoch=1, tensorboard=False, val_eval_interval=0)
    cfg.solver.train.num_workers = 0
    runner = Runner(cfg, work_dir=tmp_path, device=torch.device("cpu"))
    assert type(runner.model.neck).__name__ == "SmoothNeck"
    before = runner.model.neck.convs[0].weight.clone()
    runner.branches["model"].scheduler = None
    runner.train()
    assert not torch.equal(before, runner.model.neck.convs[0].weight)
