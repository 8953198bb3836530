"""All commands are made alike: parser, run, main; one shell each; options in both spellings; outputs that fail."""

import importlib
import json
import re
import subprocess
import sys

import pytest
from places import ROOT

from opentad_bi.cli.common import Parser, command, run_command
from opentad_bi.config import parse_overrides
from opentad_bi.utils.logging import setup_logging

COMMANDS = sorted(p.stem for p in (ROOT / "opentad_bi" / "cli").glob("[a-z]*.py") if p.stem != "common")
SHELLS = sorted([*(ROOT / "tools").glob("*.py"), *(ROOT / "tools" / "prepare").glob("*.py")])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_parser_run_main_and_a_shell(name, capsys):
    module = importlib.import_module(f"opentad_bi.cli.{name}")
    assert {"parser", "run", "main"} <= vars(module).keys()
    assert name in {path.stem for path in SHELLS}
    text = module.parser().format_help()
    assert "SUPPRESS" not in text and "None" not in text and "(default)" not in text
    with pytest.raises(SystemExit) as end:
        module.main(["--helpp"])
    assert end.value.code == 2


def test_all_shells_are_the_same():
    bodies = set()
    for path in SHELLS:
        body = path.read_text().partition("\n")[2]
        module = re.search(r"opentad_bi\.cli\.(\w+) import main", body)
        assert module and module[1] in COMMANDS
        depth = len(path.relative_to(ROOT).parts) - 1
        bodies.add(body.replace(module[1], "NAME").replace(f".parents[{depth}]", ".parents[DEPTH]"))
    assert len(SHELLS) > 10 and len(bodies) == 1


@pytest.mark.parametrize("words", [["--a_b", "1", "--c_d=x_y"], ["--a-b", "1", "--c-d=x_y"]])
def test_options_are_known_in_both_spellings_but_not_abbreviated(words):
    parser = Parser("A test.")
    parser.add_argument("--a_b")
    parser.add_argument("--c-d")
    args = parser.parse_args(words)
    assert (args.a_b, args.c_d) == ("1", "x_y")
    with pytest.raises(SystemExit):
        parser.parse_args(["--a", "1"])


def test_errors_become_one_message_where_they_are_a_mistake(tmp_path, capsys):
    def unreadable():
        (tmp_path / "none.txt").read_text()

    assert run_command(unreadable) == 1
    assert "none.txt" in capsys.readouterr().err
    with pytest.raises(ValueError, match="not ours"):
        run_command(lambda: (_ for _ in ()).throw(ValueError("not ours")))
    assert command(Parser("A test."), lambda args: 7, []) == 7


def test_the_tool_of_the_former_name_runs_from_any_folder(tmp_path):
    video = {"subset": "training", "duration": 10.0, "frame": 300, "annotations": [{"segment": [1, 4], "label": "a"}]}
    (tmp_path / "src.json").write_text(json.dumps({"database": {"v": video}}))
    words = [sys.executable, str(ROOT / "tools" / "make_annotation.py"), "src.json", "dst.json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    mirrored = json.loads((tmp_path / "dst.json").read_text())["database"]["v"]["annotations"]
    assert mirrored == [{"segment": [6.0, 9.0], "label": "a"}]
    (tmp_path / "shut").write_text("")
    done = subprocess.run([*words[:3], "shut/dst.json"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("error: cannot write shut/dst.json: ")


def test_what_ends_a_command_stands_in_its_log_too(tmp_path, capsys):
    def interrupted():
        raise KeyboardInterrupt

    setup_logging(tmp_path / "log.txt")
    try:
        assert run_command(lambda: parse_overrides(["x"])) == 1
        assert run_command(interrupted) == 130
    finally:
        setup_logging()
    log = (tmp_path / "log.txt").read_text()
    assert "ValueError: --cfg-options 'x': expected key=value" in log and "interrupted" in log
    assert capsys.readouterr().err.count("--cfg-options 'x'") == 1
