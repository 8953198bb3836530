"""Files, links, targets of make, registries and folders that the documents name are there."""

import re

import pytest
from places import ROOT

from opentad_bi import registry

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "data" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
FOLDERS = ("benchmarks", "configs", "docs", "opentad_bi", "tests", "tools")
FILES = {p.relative_to(ROOT).as_posix() for folder in FOLDERS for p in (ROOT / folder).rglob("*") if p.is_file()}
FILES |= {p.name for p in ROOT.iterdir()}
# what the pages tell the reader to write, and what a run writes
EXAMPLES = {
    "mine.py",
    "mine_features.py",
    "mine_fusion.py",
    "mine_pair.py",
    "my_neck.py",
    "my_config.py",
    "my_fusion.py",
    "my_configs/my_config.py",
    "opentad_bi/models/necks/smooth.py",
    "resolved_config.py",
    "output/custom_prompts/gpu1_id0/resolved_config.py",
}
NAMED = re.compile(r"(?<![\w/.*-])(?:\.\./)*((?:[\w-]+/)*[\w-]+\.(?:py|md|toml))\b")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page):
    named = set(NAMED.findall(page.read_text(encoding="utf-8"))) - EXAMPLES
    absent = [name for name in sorted(named) if not any(f == name or f.endswith(f"/{name}") for f in FILES)]
    assert not absent, f"{page.name} names {', '.join(absent)}"
    assert named or page.name in ("CONTRIBUTING.md", "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    dead = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not dead, f"{page.name} links to {', '.join(dead)}"


def targets():
    """Targets of the Makefile, and those that `make help` describes."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    described = set(re.findall(r"^## ([\w-]+) ", text, re.MULTILINE))
    return set(re.findall(r"^([\w-]+):", text, re.MULTILINE)), described


def test_every_target_of_make_is_described():
    known, described = targets()
    assert described == known - {"help"} and len(described) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_targets_of_make_that_a_page_names_exist(page):
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z][\w-]*)(?=`|\s{2}|$| [A-Z]+=)", text, re.MULTILINE))
    assert named <= targets()[0], f"{page.name} names make {', '.join(sorted(named - targets()[0]))}"
    rooms = re.findall(r"\bmake \w+ ROOM=([\w/.]+)", text)
    assert all((ROOT / "tests" / room).exists() for room in rooms), f"{page.name} names the rooms {rooms}"


def test_the_table_for_contributors_names_folders_and_registries_that_exist():
    rows = [line.split("|")[1:-1] for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines() if line[:1] == "|"]
    kinds = {name for name, kind in vars(registry).items() if isinstance(kind, registry.Kind)}
    assert len(rows) > 12
    for _, folder, registries, _, tests in rows[2:]:
        for path in re.findall(r"`((?:opentad_bi|tests|configs)/[^`]*)`", folder + tests):
            assert (ROOT / path).is_dir(), path
        assert set(re.findall(r"`(\w+)`", registries)) <= kinds, registries
