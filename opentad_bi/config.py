"""Python-file configs: load, derive numbers from a few numbers, apply strict overrides, reject unknown keys.

Thin over `mmengine.Config` (files, `_base_`, `_delete_`, `custom_imports`). What is added:

* a top-level key that is none of `TOP_LEVEL` is a helper, such as `window_size = 768`: any string
  `"${expression}"` is replaced by the value of the expression over helpers (a name alone may stand for anything, dicts
  included; else arithmetic), so a child config or the command line that changes one number changes all that
  follows from it. A helper that nothing refers to is taken for a misspelt key, which is an error.
* an override (`a.b=v`) must name a key that exists; a new key is an error with the nearest known one. A key that is
  None may take a dict, whole or key by key: its keys are checked by whatever takes it.
* a child config may give a dict where its base has None, or `"${name}"`: the dict is then merged into that helper's
  value, if it has one.
* `short_names` maps a name to the places that it stands for: `short_names = dict(reader="dataset.*.reader")`. Who says
  `reader = "decord"`, in a child config or on the command line, sets those that are there. `"${reader}"` is what was
  last said of the name, or else what the first of the places says in the file that brings it.
* a key may have its earlier name (`registry.RENAMED`), in any file of a config and on the command line.
* bases are merged one after the other, each file once; one that is not beside the config is looked for among the
  shipped configs (`utils.config_files`).
"""

import ast
import copy
import itertools
import json
import operator
import pprint
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from mmengine.config import Config, ConfigDict

from .registry import RENAMED, current_name, nearest
from .utils.config_files import config_chain, find_config
from .utils.config_files import config_root as config_root
from .utils.files import read_json

TOP_LEVEL = ("dataset", "model", "branches", "solver", "workflow", "evaluation", "hooks", "work_dir", "custom_imports")

OPEN = ("wandb", "class_names", "class_prompts", "class_weights", "descriptors")  # dicts with keys of the user's own

_REFERENCE = re.compile(r"\$\{([^{}]+)\}")
_SHORT = "short_names"
_INHERITED = "_inherited_"  # key of a dict, whose value is the "${name}" that the dict stands over in a base
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
}


def load_config(path: str | Path, overrides: dict[str, Any] | None = None) -> Config:
    """Read a config file and return it with every `${...}` resolved.

    Args:
        path: the config file, or the name of a shipped one, see `utils.config_files.find_config`.
        overrides: {"a.b.0.c": value}; keys must exist, but those below a None. Helpers take effect before numbers are
            derived.
    Returns:
        a config of the keys `TOP_LEVEL` alone; `filename` is its file.
    Raises:
        FileNotFoundError: no such file, or none of one of its bases.
        KeyError: an unknown top-level key, override or name in an expression.
        ValueError: the file is not valid Python; a dict in a child config stands over something that is none; an
            override puts text where a number stands; several shipped configs are called so.
    """
    path = find_config(path)
    cfg = raw_config(path)
    tree = cfg.to_dict()
    _refuse_unused(tree, cfg.text, path)
    return Config(_derive(tree, overrides or {}, path), filename=str(path))


def raw_config(path: str | Path, steps: list[tuple[Path, dict, dict]] | None = None) -> Config:
    """A config file as it is written, with all its top-level keys and no number derived; raises as `load_config`.

    Args:
        path: as of `load_config`.
        steps: a list, to which (file, what it says, all that is said so far) is added for every file of the config,
            dicts in both, in the order in which they are merged.
    """
    path = find_config(path)

    def merge(child, base, allow_list_keys=False):
        merged = _merge_file(child, base)
        if steps is not None:
            steps.append((chain[len(steps)], copy.deepcopy(child), ConfigDict(copy.deepcopy(merged)).to_dict()))
        return merged

    try:
        chain = config_chain(path)
        above = reversed(chain[:-1])
        # the one way into mmengine's inheritance, which refuses a dict over anything else, and a key of two bases: it
        # reads the files as a chain, each the base of the next
        with patch.multiple(
            Config,
            _get_base_files=staticmethod(lambda file: [str(base) for base in itertools.islice(above, 1)]),
            _get_cfg_path=staticmethod(lambda base, file: (base, None)),
            _merge_a_into_b=staticmethod(merge),
        ):
            return Config.fromfile(str(path))
    except SyntaxError as error:
        raise ValueError(f"config {path} is not valid Python: {error}") from error
    except ValueError as error:
        raise ValueError(f"config {path}: {error}") from error


def _merge_file(child, base):
    """What a config file says, merged into what those before it say, with the names that stand for several places."""
    known = base.get(_SHORT, {})
    names = {**known, **child.get(_SHORT, {})}
    base, child = ({current_name(key, names): value for key, value in tree.items()} for tree in (base, child))
    for name in names.keys() & child.keys():
        _set_places(base, names[name], child[name])
    merged = _merge(child, base)
    for name, places in names.items():
        found = _places(merged, places)
        if name not in merged and found:
            node, key, _ = found[0]
            merged[name] = copy.deepcopy(node[key])
        elif name not in known and name in merged:  # set by a file before the one that says what it stands for
            _set_places(merged, places, merged[name])
    return merged


def _set_places(tree, places, value):
    """Set those of the `places` that exist; a dict is merged into what stands there."""
    for node, key, _ in _places(tree, places):
        node[key] = _merge({key: copy.deepcopy(value)}, node)[key]


def _places(tree, places):
    """Those of the `places` of a short name ("a.*.0.b", or a list of such) that exist: [(dict or list, key, path)]."""
    found = []
    for place in [places] if isinstance(places, str) else places:
        nodes = [(tree, ())]
        for part in place.split("."):
            last = [(node, key, (*path, str(key))) for node, path in nodes for key in _keys(node, part)]
            nodes = [(node[key], path) for node, key, path in last]
        found += [(node, key, ".".join(path)) for node, key, path in last]
    return found


def _keys(node, part):
    """The keys of a dict, or indices of a list, that `part` of a path means; "*": all."""
    keys = range(len(node)) if isinstance(node, list) else list(node) if isinstance(node, dict) else ()
    wanted = int(part) if isinstance(node, list) and part.isdigit() else _spelled(part, keys)
    return [key for key in keys if part in ("*", key) or key == wanted]


def _names_in(text):
    """The names that the expressions in a text refer to."""
    return {name for expression in _REFERENCE.findall(text) for name in re.findall(r"[A-Za-z_]\w*", expression)}


def _spelled(key, known):
    """`key` as `known` has it: where one of both has an earlier name, they are the same key."""
    earlier = [old for old, now in RENAMED.items() if key in now and key not in known and old in known]
    return earlier[0] if earlier else current_name(key, known)


def _merge(child, base):
    """As mmengine merges a config into its base, but a dict may also stand over a None or a `"${name}"` of the base."""
    merged = base.copy()
    for key, value in child.items():
        key = _spelled(key, merged)
        if isinstance(value, dict) and key in merged:
            value, below = value.copy(), merged[key]
            if not value.pop("_delete_", False) and below is not None:
                if isinstance(below, str) and _REFERENCE.fullmatch(below):
                    below = {_INHERITED: below}
                if not isinstance(below, dict):
                    raise ValueError(
                        f"{key}={dict(value)} in a child config stands over {below!r} in its base; give it "
                        "_delete_=True to take its place"
                    )
                value = _merge(value, below)
        merged[key] = ConfigDict(value) if isinstance(value, dict) else value
    return merged


def config_of_data(path: str | Path, overrides: dict[str, Any] | None = None) -> Config:
    """A resolved config from a JSON file, of which nothing is imported or run; other keys than a config's are left out.

    Args:
        overrides: {"a.b.0.c": value}; keys must exist.
    Returns:
        a config of the keys `TOP_LEVEL` alone.
    Raises:
        FileNotFoundError: no such file.
        KeyError: an unknown override.
        ValueError: the file is not a JSON object, or asks for modules (`custom_imports`).
    """
    tree = read_json(path, "config")
    if not isinstance(tree, dict):
        raise ValueError(f"config {path} is not a JSON object, but a {type(tree).__name__}")
    if tree.get("custom_imports"):
        raise ValueError(f"config {path} asks for modules to import, which data may not; give a Python config instead")
    return Config(_derive({key: value for key, value in tree.items() if key in TOP_LEVEL}, overrides or {}, path))


def _derive(tree, overrides, path):
    """The keys `TOP_LEVEL` of `tree`: overrides of helpers come before what follows from them, the others after."""
    made = set()
    for key, value in overrides.items():
        name, dot, below = key.partition(".")
        name = _spelled(name, tree)
        if name not in TOP_LEVEL:
            _override(tree, key, value, made)
            for node, last, place in _places(tree, tree.get(_SHORT, {}).get(name, [])):
                if name not in _names_in(str(node[last])):
                    _override(tree, place + dot + below, copy.deepcopy(value), made)
    tree = resolve(tree, str(path))
    for key, value in overrides.items():
        if key.split(".")[0] in TOP_LEVEL:
            _override(tree, key, value, made)
    return tree


def config_text(cfg: Config) -> str:
    """A resolved config as Python source that reads back as the same config."""
    # mmengine's own `pretty_text` formats through yapf, which takes seconds
    return "".join(
        f"{key} = {pprint.pformat(value, width=110, sort_dicts=False)}\n" for key, value in cfg.to_dict().items()
    )


def text_with_current_names(text: str) -> str:
    """The text of a config (`config_text`), for a comparison with one of another version.

    All names are those of now, keys are sorted, and lines break where those of any text with the same values do.
    """

    def current(match):
        names = RENAMED.get(match[1], (match[1],))
        return f"'{names[0 if match[2] else -1]}'{match[2]}"  # a key, or a value

    text = re.sub(r"'(\w+)'(:?)", current, text)
    try:
        said = {line.targets[0].id: ast.literal_eval(line.value) for line in ast.parse(text).body}  # type: ignore
    except (ValueError, SyntaxError, AttributeError):  # not written by `config_text`
        return text
    return "".join(f"{key} = {pprint.pformat(said[key], width=110)}\n" for key in sorted(said))


def parse_overrides(words: Iterable[str] | None) -> dict[str, Any]:
    """`["a.b=1", "c=x"]` as typed after --cfg-options to {"a.b": 1, "c": "x"}; values are Python literals or text."""
    overrides = {}
    for word in words or []:
        key, sep, text = word.partition("=")
        if not sep or not key:
            raise ValueError(f"--cfg-options {word!r}: expected key=value, such as solver.train.batch_size=4")
        try:
            overrides[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            overrides[key] = _json(
                text, {"true": True, "false": False, "none": None, "null": None}.get(text.lower(), text)
            )
    return overrides


def _json(text, otherwise):
    """The dict or list that `text` is in JSON, whose true and null are none of Python's."""
    try:
        return json.loads(text) if text[:1] in ("{", "[") else otherwise
    except ValueError:
        return otherwise


def _override(tree, path, value, made):
    """Set `path` ("a.b.0.c") in nested dicts and lists to `value`; every part must exist, but those below a None.

    `made` collects the paths at which overrides put a dict in the place of None; later ones may add keys to it.
    """
    node, parts = tree, path.split(".")
    for depth, part in enumerate(parts):
        keys = range(len(node)) if isinstance(node, list) else node if isinstance(node, dict) else ()
        step = int(part) if isinstance(node, list) and part.isdigit() else _spelled(part, keys)
        above = ".".join(parts[:depth])
        may_be_new = isinstance(node, dict) and depth and (above in made or parts[depth - 1] in OPEN)
        if step not in keys:
            if not (may_be_new and part):
                raise KeyError(
                    f"--cfg-options {path}: {part!r} is not in {above or 'the config'}; {nearest(part, keys)}"
                )
            node[step] = None
        if depth < len(parts) - 1:
            if node[step] is None:
                node[step] = {}
                made.add(".".join(parts[: depth + 1]))
            node = node[step]
    old = node[step]
    is_number = isinstance(old, (int, float)) and not isinstance(old, bool)
    if is_number and isinstance(value, str) and not _REFERENCE.search(value):
        raise ValueError(f"--cfg-options {path}: a number is expected, such as {old}; got {value!r}")
    node[step] = value


def dataset_config(splits: dict, split: str) -> dict:
    """Config of the dataset `split` ("train", "test") of a config's `dataset`, inside `wrap` if that is given."""
    names = [name for name in splits if name != "wrap"]
    if split not in names:
        raise KeyError(f"dataset has no split {split!r}; {nearest(split, names)}")
    wrap = splits.get("wrap")
    return {**wrap, "dataset": splits[split]} if wrap else splits[split]


def resolve(tree: dict, where: str = "config") -> dict:
    """The `TOP_LEVEL` part of `tree`, every `"${expression}"` in it replaced by its value over the other keys."""
    helpers = {key: value for key, value in tree.items() if key not in TOP_LEVEL}
    cache: dict[str, Any] = {}
    pending: list[str] = []

    def lookup(name):
        name = _spelled(name, helpers)
        if name not in helpers:
            raise KeyError(f"{where}: no key {name!r} for ${{{name}}}; {nearest(name, helpers)}")
        if name in pending:
            raise ValueError(f"{where}: keys refer to each other in a circle: {' -> '.join([*pending, name])}")
        if name not in cache:
            pending.append(name)
            cache[name] = walk(helpers[name])
            pending.pop()
        return cache[name]

    def over(inherited, own, reference):
        if inherited is not None and not isinstance(inherited, dict):
            raise ValueError(f"{where}: {reference} is {inherited!r}, but a child config has a dict there: {own}")
        return _merge(own, inherited) if inherited else own

    def walk(node):
        if isinstance(node, dict):
            own = {key: walk(value) for key, value in node.items() if key != _INHERITED}
            return over(walk(node[_INHERITED]), own, node[_INHERITED]) if _INHERITED in node else own
        if isinstance(node, (list, tuple)):
            return type(node)(walk(value) for value in node)
        if not isinstance(node, str):
            return node
        whole = _REFERENCE.fullmatch(node)
        if whole:
            return copy.deepcopy(_evaluate(whole[1], lookup))
        return _REFERENCE.sub(lambda match: str(_evaluate(match[1], lookup)), node)

    return {key: walk(value) for key, value in tree.items() if key in TOP_LEVEL}


def config_origins(path: str | Path) -> dict:
    """Which file says what: the resolved config as dicts and lists, with the path of a file in the place of each value.

    A list of plain values has one file, the last that changed it; what is derived has the one with the expression.
    """
    steps: list[tuple[Path, dict, dict]] = []
    told: dict[tuple, Path] = {}
    before: dict[tuple, Any] = {}
    raw_config(path, steps)
    for file, said, tree in steps:
        now, own = _flat(tree), _flat(said)
        told |= {key: file for key, value in now.items() if key in own or key not in before or before[key] != value}
        before = now
    order = [file for file, _, _ in steps]
    tree = steps[-1][2] if steps else {}

    def walk(node, key):
        if isinstance(node, dict) and node:
            own = {part: walk(value, (*key, part)) for part, value in node.items()}
            below = own.pop(_INHERITED, {})
            return _merge(own, below) if isinstance(below, dict) else own
        if isinstance(node, (list, tuple)) and node:
            items = [walk(value, (*key, place)) for place, value in enumerate(node)]
            return items if any(isinstance(item, (dict, list)) for item in items) else max(items, key=order.index)
        whole = _REFERENCE.fullmatch(node) if isinstance(node, str) else None
        found = walk(tree[whole[1]], (whole[1],)) if whole and whole[1] in tree else None
        return found if isinstance(found, (dict, list)) else told[key]

    return {key: walk(value, (key,)) for key, value in tree.items() if key in TOP_LEVEL}


def _flat(node, path=()):
    """{path: value} of all that is in nested dicts and lists."""
    if not isinstance(node, (dict, list, tuple)) or not node:
        return {path: node}
    items = node.items() if isinstance(node, dict) else enumerate(node)
    return {key: value for part, below in items for key, value in _flat(below, (*path, part)).items()}


def _refuse_unused(tree, text, path):
    """KeyError for a top-level key that no expression in `text`, the config and all its bases, refers to."""
    used = {*(_spelled(name, tree) for name in _names_in(text)), *tree.get(_SHORT, {}), _SHORT}
    for key in tree:
        if key not in TOP_LEVEL and key not in used:
            hint = nearest(key, [*TOP_LEVEL, *used])
            raise KeyError(f"{path}: top-level key {key!r} is unknown, and nothing refers to it; {hint}")


def _evaluate(expression, lookup):
    """Value of an arithmetic expression over names; anything else in it is a ValueError."""

    def value(node):
        if isinstance(node, ast.Name):
            return lookup(node.id)
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.operand))
        raise ValueError(f"${{{expression}}}: only names of top-level keys, numbers and + - * / // % may be used")

    return value(ast.parse(expression.strip(), mode="eval").body)
