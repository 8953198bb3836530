"""Command lines of the first version and of today's documents are parsed: the words alone, nothing runs."""

import re
import shlex
from pathlib import Path

import pytest
from places import ROOT

from opentad_bi.cli.main import COMMANDS, parser_of

# command lines as the documents, configs and docstrings of version 0.1.0 had them, and options of theirs
OLD = (Path(__file__).parent / "command_lines.txt").read_text().splitlines()
# scripts of that version that are subcommands now; the others are still in tools/ or in tools/originals/
MOVED = {
    "check_dataset": "check",
    "dataset_stats": "stats",
    "make_untrimmed_dataset": "join-clips",
    "verify_training_ready": "doctor",
    "debug_custom_prompt_init": "debug-prompts",
    "debug_gradient_flow": "debug-prompts",
    "make_demo_dataset": "demo-data detection",
    **{f"make_demo_{kind}": f"demo-data {kind}" for kind in ("clips", "features", "surveillance")},
}
PAGES = [ROOT / "README.md", ROOT / "data" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TYPED = re.compile(r"(?:opentad-bi|-m opentad_bi|(?:python )?tools/[\w/]+\.py) [^`#\n|]*")
KINDS = sorted({name.split()[0] for name in COMMANDS if " " in name})


def script_of(name):
    """The script of tools/ of a name, or None."""
    places = (ROOT / "tools" / f"{name}.py", ROOT / "tools" / "originals" / f"{name}.py")
    return next((path for path in places if path.is_file()), None)


def command_of(script):
    """The subcommand that a script of tools/ is."""
    return re.search(r'call\("([\w -]+)"', script.read_text())[1]


def parsed(name, words):
    return vars(parser_of(name).parse_args(words))


@pytest.mark.parametrize("line", OLD)
def test_a_command_line_of_the_first_version_is_parsed_by_what_stands_in_its_place(line):
    tool, *words = shlex.split(line)
    name = Path(tool).stem
    script, new = script_of(name), MOVED.get(name, name.replace("_", "-"))
    commands = {command_of(script)} if script else {new}
    commands |= {new} & COMMANDS.keys()
    hyphens = [word.replace("_", "-") if word.startswith("--") else word for word in words]
    for command in commands:
        assert parsed(command, words) == parsed(command, hyphens)


def lines_of(page):
    """(line, name of the command, its words) of every command line of a page."""
    text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
    for line in TYPED.findall(text):
        words = line.split()
        if words[0] == "python":
            words = words[1:]
        if words[0].startswith("tools/"):
            yield line, command_of(ROOT / words[0]), words[1:]
            continue
        words = words[1 + (words[0] == "-m") :]
        length = 2 if words[:1] and words[0] in KINDS else 1
        yield line, " ".join(words[:length]), words[length:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_that_a_page_names_are_there(page):
    for line, name, words in lines_of(page):
        assert name in COMMANDS or name in ("COMMAND", "run_METHOD", "--help"), line
        if name in COMMANDS:
            known = {option.replace("_", "-") for option in parser_of(name)._option_string_actions}
            typed = {word.partition("=")[0].rstrip(",.;:)").replace("_", "-") for word in words if word[:2] == "--"}
            assert typed <= known, line


def test_command_lines_of_the_start_page_are_parsed():
    found = [(name, words) for line, name, words in lines_of(ROOT / "README.md") if "..." not in name]
    assert len(found) > 30
    for name, words in found:
        if name in COMMANDS and words:
            parsed(name, words)
