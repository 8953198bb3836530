"""The command that evaluates a saved result file."""

import json
import os
import subprocess
import sys
from functools import partial

import pytest
from places import ROOT

from opentad_bi.cli.main import call

main = partial(call, "evaluate")

TOOL = ROOT / "tools" / "evaluate.py"


@pytest.fixture
def files(tmp_path):
    """Arguments for a truth of two classes of which one is found."""
    annotations = [{"segment": [1, 4], "label": "run"}, {"segment": [6, 9], "label": "jump"}]
    database = {"a": {"subset": "test", "duration": 12.0, "annotations": annotations}}
    (tmp_path / "truth.json").write_text(json.dumps({"database": database}))
    found = {"a": [{"segment": [1, 4], "label": "run", "score": 0.8}]}
    (tmp_path / "found.json").write_text(json.dumps({"results": found}))
    return ["--predictions", str(tmp_path / "found.json"), "--ground-truth", str(tmp_path / "truth.json")]


def test_metrics_table_file_and_picture(files, tmp_path, capsys):
    out, picture = tmp_path / "m.json", tmp_path / "t.png"
    options = ["--subset", "test", "--tiou", "0.5", "0.75", "--top-k", "1", "--per-class"]
    assert main([*files, *options, "--out", str(out), "--timeline", str(picture)]) == 0
    metrics = json.loads(out.read_text())
    assert metrics.pop("per_class")["jump"] == {"AP": 0.0, "AP@0.50": 0.0, "AP@0.75": 0.0}
    keys = ("average_mAP", "mAP@0.50", "mAP@0.75", "recall@0.50@1", "recall@0.75@1")
    assert metrics == dict.fromkeys(keys, 0.5)
    text = capsys.readouterr().out
    assert "50.00" in text and "jump" in text
    assert picture.is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--subset", "tset"], "no subset 'tset'; did you mean 'test'"),
        (["--subset", "test", "--blocked", "no.txt"], "no.txt does not exist"),
        (["--subset", "test", "--tiou", "7"], "tiou_thresholds"),
        (["--subset", "test", "--out", f"{__file__}/m.json"], f"cannot write {__file__}/m.json: "),
        (["--subset", "test", "--timeline", f"{__file__}/t.png"], f"cannot write {__file__}/t.png: "),
        (["--subset", "xyz"], "no subset 'xyz'; known: test\n"),
    ],
)
def test_mistakes_end_with_a_message(files, capsys, options, said):
    assert main([*files, *options]) == 1
    assert said in capsys.readouterr().err


def test_the_shell_works_from_any_folder_without_torch(files, tmp_path):
    (tmp_path / "torch.py").write_text("raise RuntimeError('torch was imported')")
    run = subprocess.run(
        [sys.executable, str(TOOL), *files, "--subset", "test"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "50.00" in run.stdout
    run = subprocess.run(
        [sys.executable, str(TOOL), *files, "--subset", "none"], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 1 and "Traceback" not in run.stderr and "no subset 'none'" in run.stderr
