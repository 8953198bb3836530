"""The command `config`: lists shipped configs, shows what one says and from where, starts an own one."""

import subprocess
import sys

import pytest

from opentad_bi.cli.main import call
from opentad_bi.config import load_config, parse_overrides
from opentad_bi.utils.config_files import shipped_configs

SOME = ["demo/pair_exp3_1", "adatad/thumos/e2e_thumos_videomae_h_768x1_160_adapter_bi_exp2", "prompt/hmdb51/stt",
        "fgclip/demo/retrieval", "real_mini/pair_i3d"]  # fmt: skip


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(capsys, *words):
    """What `config show` prints, and the values that this is as Python."""
    assert call("config show", words) == 0
    text = capsys.readouterr().out
    values = {}
    exec(text, values)
    return text, {key: value for key, value in values.items() if key != "__builtins__"}


def test_all_configs_are_listed_by_folder_with_what_they_are(capsys):
    assert call("config list", []) == 0
    out = capsys.readouterr().out
    assert all(f"  {path.with_suffix('').as_posix()} " in out for path in shipped_configs())
    assert "\ndemo/\n" in out and "Experiment 3-1: a pair of small networks on the demonstration set" in out
    assert call("config list", ["hmdb"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert len(lines) == 6 and all("prompt/hmdb51/" in line for line in lines)
    assert call("config list", ["xyzzy"]) == 1
    assert "no shipped config has 'xyzzy'" in capsys.readouterr().err


@pytest.mark.parametrize("name", SOME)
def test_what_is_shown_is_the_config_with_and_without_origins(name, capsys):
    wanted = load_config(name).to_dict()
    assert shown(capsys, name)[1] == wanted
    text, values = shown(capsys, name, "--origin")
    assert values == wanted
    said = [line.rstrip(",") for line in text.splitlines()[1:] if line.strip(" ,}])")]
    said = [line for line in said if not line.endswith(("{", "[", "("))]
    assert all("  # " in line and ".py" in line.rpartition("  # ")[2] for line in said)


def test_origins_are_the_files_that_say_it(capsys):
    text, _ = shown(capsys, "demo/pair_exp3_1_point", "--origin")
    for line in (
        "'end_epoch': 50,  # demo/pair_exp1_1.py",
        "'max_epoch': 50,  # _base_/schedules/small.py",  # where the expression stands
        "'warmup_epoch': 2,  # demo/pair_exp1_1.py",
        "'type': 'BiDirectional',  # _base_/models/pair.py",
        "'type': 'PointFC',  # _base_/fusions/exp3_1_point.py",
        "'aux_loss_weight': 0.5,  # _base_/fusions/branch.py",
        "'lr': 0.001,  # _base_/fusions/exp3_1_point.py",
        "'data_path': 'data/demo/raw_data',  # _base_/datasets/demo.py",
    ):
        assert line in text, line
    assert text.endswith("work_dir = 'exps/demo/pair_exp3_1_point'  # demo/pair_exp3_1_point.py\n")


def test_overrides_are_shown_as_such(capsys):
    words = ["window_size=64", "model.fusion.mix.joined=True", "solver.train={'batch_size': 1, 'num_workers': 1}"]
    text, values = shown(capsys, "pair_exp3_1", "--origin", "--options", *words)
    assert values == load_config("pair_exp3_1", parse_overrides(words)).to_dict()
    assert "'trunc_len': 64,  # _base_/datasets/demo.py, --options" in text
    assert "'joined': True,  # --options" in text and "'num_workers': 1,  # --options" in text
    assert text.startswith("# demo/pair_exp3_1.py with window_size=64 ")
    assert call("config show", ["pair_exp3_1", "--options", "window_sise=1"]) == 1
    assert "did you mean 'window_size'" in capsys.readouterr().err


def test_a_copy_is_an_edit_or_all_of_it_and_replaces_nothing(empty, capsys):
    assert call("config copy", ["vidop", "mine"]) == 1
    assert "may be any of" in capsys.readouterr().err
    assert call("config copy", ["configs/demo/pair_exp2.py", "mine"]) == 0
    copy = empty / "mine" / "pair_exp2.py"
    assert '_base_ = ["demo/pair_exp2"]' in copy.read_text().replace("'", '"') and copy.read_text().startswith("# ")
    assert load_config(copy).to_dict() == load_config("demo/pair_exp2").to_dict()
    copy.write_text(copy.read_text() + "window_size = 96\n")
    assert load_config("mine/pair_exp2.py").model.back_model.projection.max_seq_len == 96
    assert call("config copy", ["demo/pair_exp2", "mine"]) == 1
    assert "pair_exp2.py exists" in capsys.readouterr().err and "window_size" in copy.read_text()
    assert call("config copy", ["mine/pair_exp2.py", "flat", "--flat"]) == 0
    assert load_config("flat/pair_exp2.py").to_dict() == load_config(copy).to_dict()
    assert "_base_" not in (empty / "flat" / "pair_exp2.py").read_text().replace("_base_/", "")
    assert call("config copy", ["mine/pair_exp2.py", "other"]) == 0
    assert load_config("other/pair_exp2.py").to_dict() == load_config(copy).to_dict()


def test_it_starts_without_torch():
    program = "import sys; from opentad_bi.cli.main import main; main(['config', 'list', 'demo']); "
    program += "assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0
