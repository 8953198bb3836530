"""The field's words in messages, help texts, docstrings and documents: a user searches for the word he knows."""

import ast
import re

import pytest
from places import ROOT

WORDS = {  # pattern: what to write in its place
    r"guess(es|ed|ing)?": "chance level",
    r"by lots": "chance level, random",
    r"(tells?|told)(?! \w* ?apart)": "logs, reports, says, shows",
    r"mend(s|ed|ing)?": "fix",
    r"cures?": "fix, hint",
    r"reckon(s|ed|ing)?": "estimated",
    r"house": "architecture",
    r"floors": "layers",
    r"laws?": "invariants",
    r"shells": "entry points",
    r"watched": "logged metrics",
    r"squash(es|ed|ing)": "resized without keeping the aspect ratio",
    r"\w+_shares?": "*_ratio, or a weight",
    r"lifespans?": "visibility intervals, tracks",
    r"former": "previous, earlier",
    r"lacking": "missing",
    r"foreign": "unexpected",
    r"twins?": "duplicates, counterparts",
    r"strange": "non-finite, unexpected",
    r"(go|goes|going|went) on with (a|the|this|that|another|it)": "resume",
    r"draws?": "random sampling",
    r"agreement": "cross-direction score voting",
    r"(?<!there )(is|are) no (?!longer|more|other|less)[a-z]+": "invalid, unknown, is not a ...",
    r"(the )?first so many": "at most N",
    r"every (weight|tensor) of the file has its place": "all tensors loaded",
}
SNIPPETS = r"\b(a|an|every|each|per|one|longest|which|of) units?\b"  # in the rooms of prompts on features
FEATURES = (
    "opentad_bi/datasets/feature_prompts/",
    "opentad_bi/evaluation/",
    "opentad_bi/ops/records.py",
    "docs/prompts",
)
ALLOWED = {  # pattern: {beginning of a path: why}
    r"draws?": {
        "opentad_bi/evaluation/": "pictures are drawn",
        "opentad_bi/cli/detect": "pictures are drawn",
        "opentad_bi/cli/arguments.py": "pictures are drawn",
        "docs/fgclip.md": "pictures are drawn",
        "opentad_bi/cli/aliases/methods.py": "the earlier name of an option",
    },
    r"\w+_shares?": {
        "opentad_bi/registry.py": "earlier names",
        "opentad_bi/evaluation/anomaly/frame_auc.py": "a key of numbers.json, which users read",
    },
    r"watched": {
        "opentad_bi/engine/": "a key in checkpoints and event files",
        "docs/plugins.md": "an earlier name",
    },
    r"former": {"opentad_bi/engine/data.py": "a key in checkpoints"},
    r"(tells?|told)(?! \w* ?apart)": {
        "opentad_bi/cli/aliases/fgclip.py": "captions that tell of regions: no log is meant",
    },
    r"agreement": {"opentad_bi/registry.py": "an earlier name"},
}


def texts(path):
    """(line, text) of what users read in a file: strings of a module, lines of a document."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return list(enumerate(text.splitlines(), 1))
    strings = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    return [(node.lineno, re.sub(r"\s+", " ", node.value)) for node in strings if isinstance(node.value, str)]


@pytest.fixture(scope="module")
def all_texts():
    paths = [*ROOT.glob("opentad_bi/**/*.py"), *ROOT.glob("docs/*.md"), ROOT / "README.md"]
    return {str(path.relative_to(ROOT)): texts(path) for path in sorted(paths)}


def uses(all_texts, pattern):
    """ "path:line: text" of every use of a pattern, as words of their own, that is not allowed."""
    word = re.compile(rf"(?<![\w/`-])(?:{pattern})(?![\w/`])", re.IGNORECASE)
    allowed = tuple(ALLOWED.get(pattern, ()))
    return [
        f"{path}:{line}: ...{text[max(0, found.start() - 40) : found.end() + 30]}..."
        for path, lines in all_texts.items()
        if not (allowed and path.startswith(allowed))
        for line, text in lines
        if (found := word.search(text))
    ]


@pytest.mark.parametrize("pattern", WORDS)
def test_words_that_no_user_searches_for_stay_out(all_texts, pattern):
    found = uses(all_texts, pattern)
    assert not found, f"write {WORDS[pattern]}:\n" + "\n".join(found)


def test_rows_of_features_are_snippets(all_texts):
    found = uses({path: lines for path, lines in all_texts.items() if path.startswith(FEATURES)}, SNIPPETS)
    assert not found, "write snippet:\n" + "\n".join(found)


def test_what_is_allowed_is_still_there(all_texts):
    for pattern, places in ALLOWED.items():
        for place in places:
            own = {path: lines for path, lines in all_texts.items() if path.startswith(place)}
            word = re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)
            assert any(word.search(text) for lines in own.values() for _, text in lines), (pattern, place)
