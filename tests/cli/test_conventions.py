"""All commands are made alike: a line of the table, a help that is quick, options in both spellings, errors."""

import json
import os
import re
import subprocess
import sys

import pytest
from places import ROOT

from opentad_bi.cli.arguments import Parser
from opentad_bi.cli.main import COMMANDS, GROUPS, execute, load, main, parser_of, run_command
from opentad_bi.config import parse_overrides
from opentad_bi.utils.logging import setup_logging

SHELLS = sorted((ROOT / "tools").rglob("*.py"))
PARSE = """
import sys
from opentad_bi.cli.main import COMMANDS, parser_of
for name in COMMANDS:
    parser_of(name).format_help()
print([name for name in ("torch", "mmengine", "pandas", "numpy") if name in sys.modules])
"""


def test_no_word_is_parsed_by_a_slow_import():
    done = subprocess.run([sys.executable, "-c", PARSE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_and_work_and_no_abbreviations(name, capsys):
    command = COMMANDS[name]
    assert callable(load(command.work)) and command.help[0].islower() and not command.help.endswith(".")
    text = parser_of(name).format_help()
    assert "SUPPRESS" not in text and "None" not in text and "(default)" not in text
    with pytest.raises(SystemExit) as end:
        main([*name.split(), "--helpp"])
    assert end.value.code == 2 and f"usage: opentad-bi {name}" in capsys.readouterr().err


def test_the_command_names_what_there_is(capsys):
    assert main([]) == 2 and "usage: opentad-bi COMMAND" in capsys.readouterr().err
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS) and all(f"{group}:" in text for group in GROUPS)
    assert max(map(len, text.splitlines())) <= 100
    for word, hint in (
        ("trian", "did you mean 'train'?"),
        ("detect_anomaly", "did you mean 'detect-anomaly'?"),
        ("demo-data detecton", "did you mean 'demo-data detection'?"),
        ("config shw", "did you mean 'config show'?"),
        ("config xyzzy", "choose config list, config show, config copy"),
    ):
        assert main(word.split()) == 2
        assert capsys.readouterr().err == f"error: unknown command {word!r}; {hint}\n"
    assert main(["demo-data"]) == 2 and "choose demo-data detection, " in capsys.readouterr().err


def test_a_module_that_is_no_command_says_what_to_type():
    for words, code, said in (
        (["opentad_bi.cli.train", "config.py"], 1, "the commands are those of `opentad-bi`"),
        (["opentad_bi"], 2, "usage: opentad-bi COMMAND"),
        (["opentad_bi", "evaluate", "--subset", "x"], 2, "usage: opentad-bi evaluate"),
    ):
        done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == code and said in done.stderr


def test_all_shells_are_the_same():
    bodies, names = set(), set()
    for path in SHELLS:
        body = path.read_text().partition("\n")[2]
        name = re.search(r'call\("([\w -]+)"', body)[1]
        names.add(name)
        depth = len(path.relative_to(ROOT).parts) - 1
        bodies.add(body.replace(f'"{name}"', "NAME").replace(f".parents[{depth}]", ".parents[DEPTH]"))
    assert len(SHELLS) > 10 and len(bodies) == 1 and names <= set(COMMANDS)


def test_the_script_that_starts_a_training_checks_first_with_the_same_overrides(tmp_path):
    python = tmp_path / "python3"  # prints its words, and fails for a config called wrong.py
    python.write_text('#!/bin/sh\nprintf "[%s]" "$@"; echo\nfor word do [ "$word" != wrong.py ] || exit 1; done\n')
    python.chmod(0o755)
    folder = ROOT / "tools" / "originals"

    def start(*words):
        script, environment = folder / "start_training.sh", os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run([script, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)
        return done.returncode, [re.findall(r"\[(.*?)\]", line) for line in done.stdout.splitlines()], done.stderr

    check, train = f"{folder}/verify_training_ready.py", f"{folder}/../train.py"
    words = ["a b.py", "--seed", "3", "--cfg-options", "data_root=my data", "x=1", "--id", "2"]
    checked = [check, "a b.py", "--cfg-options", "data_root=my data", "x=1"]
    assert start(*words) == (0, [checked, [train, *words, "--resume", "auto"]], "")
    assert start("wrong.py") == (1, [[check, "wrong.py"]], "")
    code, called, message = start()
    assert code == 2 and called == [] and "start_training.sh CONFIG [OPTIONS of train]" in message


def test_a_former_option_is_taken_with_a_hint(capsys):
    parser = Parser("A test.")
    parser.add_argument("--c-d")
    parser.accept("--e-f", "--c-d")
    assert parser.parse_args(["--e_f=1"]).c_d == "1" and capsys.readouterr().err == "hint: --e_f is called --c-d now\n"


@pytest.mark.parametrize("words", [["--a_b", "1", "--c_d=x_y"], ["--a-b", "1", "--c-d=x_y"]])
def test_options_are_known_in_both_spellings_but_not_abbreviated(words):
    parser = Parser("A test.")
    parser.add_argument("--a_b")
    parser.add_argument("--c-d")
    args = parser.parse_args(words)
    assert (args.a_b, args.c_d) == ("1", "x_y")
    with pytest.raises(SystemExit):
        parser.parse_args(["--a", "1"])


@pytest.mark.parametrize("wrong", ["0", "two"])
def test_a_number_that_is_no_count_is_named(wrong, capsys):
    with pytest.raises(SystemExit):
        main(["check", "demo/pair_exp1", f"--workers={wrong}"])
    assert f"argument --workers: {wrong!r} is not a whole number of at least 1" in capsys.readouterr().err


def test_errors_become_one_message_where_they_are_a_mistake(tmp_path, capsys):
    def unreadable():
        (tmp_path / "none.txt").read_text()

    assert run_command(unreadable) == 1
    assert "none.txt" in capsys.readouterr().err
    with pytest.raises(ValueError, match="not ours"):
        run_command(lambda: (_ for _ in ()).throw(ValueError("not ours")))
    assert execute(Parser("A test."), lambda args: 7, []) == 7


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
