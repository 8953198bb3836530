"""What docs/own_data.md shows works, step after step, on small videos."""

import json
import re

import pytest
import torch
from places import ROOT
from test_configs import FPS, FRAMES, SMALL, tiny_set  # noqa: F401 - a fixture

from opentad_bi.cli.main import call
from opentad_bi.config import raw_config
from opentad_bi.utils.weight_files import load_checkpoint

PAGE = (ROOT / "docs" / "own_data.md").read_text()
CONFIGS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.S))
RUN = {"num_classes": 4, "solver.amp": None, "workflow.tensorboard": False, "workflow.val_eval_interval": 0}
WIDTHS = ("projection.out_channels", "neck.in_channels", "neck.out_channels", "rpn_head.in_channels")
NARROW = {f"detector.{name}": 32 for name in (*WIDTHS, "rpn_head.feat_channels")}
WORKERS = {f"solver.{split}.num_workers": 0 for split in ("train", "test")}


@pytest.fixture(scope="module")
def folder(tiny_set, tmp_path_factory):  # noqa: F811
    """A folder like the repository's, with the configs of the page and data/mine, as the working folder."""
    folder = tmp_path_factory.mktemp("own_data")
    (folder / "configs").symlink_to(ROOT / "configs")
    (folder / "data" / "mine").mkdir(parents=True)
    for name in ("annotations", "raw_data"):
        (folder / "data" / "mine" / name).symlink_to(tiny_set / name)
    for name, text in CONFIGS.items():
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder
    torch.use_deterministic_algorithms(False)


def run(command, words, config, **more):
    """Run a command on a config of the page, made small."""
    helpers = raw_config(config).to_dict()
    small = {key: value for key, value in SMALL.items() if key in helpers}
    options = [f"{key}={value}" for key, value in {**small, **NARROW, **RUN, **WORKERS, **more}.items()]
    return call(command, [*words, "--cfg-options", *options])


def test_the_steps_of_the_page_in_their_order(folder, capsys):
    assert set(CONFIGS) == {"mine.py", "mine_pair.py", "mine_fusion.py", "mine_features.py"}
    assert run("check", ["mine.py", "--write-class-map"], "mine.py") == 0
    assert run("stats", ["mine.py", "--out", "numbers.json"], "mine.py") == 0
    assert json.loads((folder / "numbers.json").read_text())["subsets"]["train"]["counts"]["actions"] == 8
    cpu = ["--device", "cpu"]
    assert run("train", ["mine_pair.py", *cpu], "mine_pair.py", end_epoch=1) == 0
    trained = "exps/mine/pair/gpu1_id0/checkpoint/epoch_0.pth"
    words = (
        re.search(r"opentad-bi extract-features (mine_pair\.py \$BEST .*)", PAGE)[1].replace("$BEST", trained).split()
    )
    assert run("extract-features", [*words, *cpu], "mine_pair.py") == 0
    both = ["--for-resume", trained, "--back-resume", trained]
    for config, more in (("mine_pair.py", ["--checkpoint", trained]), ("mine_features.py", both)):
        out = config.replace(".py", ".json")
        assert run("test", [config, *more, *cpu, "--out", out], config) == 0
    end_to_end, on_features = [json.loads((folder / f"mine_{kind}.json").read_text()) for kind in ("pair", "features")]
    assert on_features == end_to_end
    assert run("train", ["mine_features.py", *both, *cpu], "mine_features.py", end_epoch=1) == 0
    assert run("train", ["mine_fusion.py", *both, *cpu], "mine_fusion.py", end_epoch=1) == 0
    words = ["mine_pair.py", trained, "data/mine/raw_data/v2.mp4", "--out", "found", "--no-page", "--min-score", "0"]
    assert run("detect", [*words, *cpu], "mine_pair.py") == 0
    assert set(json.loads((folder / "found" / "detections.json").read_text())["results"]) == {"v2"}
    state = load_checkpoint(folder / "exps/mine/features/gpu1_id0/checkpoint/epoch_0.pth")["state_dict"]
    assert not [name for name in state if "backbone" in name]


def test_the_video_of_the_page_is_measured(folder, capsys):
    [code] = re.findall(r"```python\n(from opentad_bi.*?)```", PAGE, re.S)
    exec(code.replace("NAME", "v0"), {})
    assert eval(capsys.readouterr().out) == {"frame": FRAMES, "duration": FRAMES / FPS}
