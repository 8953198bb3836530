"""Files that README.md, data/README.md and docs/ name are there."""

import re

import pytest
from places import ROOT

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
    assert named or page.name == "CONTRIBUTING.md"
