"""Python-file configs: load, derive numbers from `params`, apply strict overrides, reject unknown keys.

Thin over `mmengine.Config` (files, `_base_`, `_delete_`, `custom_imports`). What is added:

* `params` holds the few numbers everything else follows from. Any string `"${expression}"` elsewhere is replaced
  by the value of the expression over `params` (arithmetic only), so a child config or the command line that
  changes `params.window_size` changes all that depends on it.
* an override (`a.b=v`) must name a key that exists; a new key is an error with the nearest known one.
* top-level keys other than `TOP_LEVEL` are an error.
"""

import ast
import copy
import operator
import re
from pathlib import Path

from mmengine.config import Config

from .registry import check_keys, nearest

TOP_LEVEL = (
    "params",
    "dataset",
    "model",
    "branches",
    "solver",
    "workflow",
    "evaluation",
    "hooks",
    "work_dir",
    "custom_imports",
)

_REFERENCE = re.compile(r"\$\{([^{}]+)\}")
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
}


def load_config(path, overrides=None):
    """Read a config file and return it with every `${...}` resolved.

    Args:
        path: the config file.
        overrides: {"a.b.0.c": value}; keys must exist. `params.*` take effect before numbers are derived.
    Raises:
        FileNotFoundError: no such file.
        KeyError: an unknown top-level key, override or name in an expression.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"config {path} does not exist")
    cfg = Config.fromfile(str(path))
    check_keys(str(path), cfg, TOP_LEVEL)
    overrides = overrides or {}
    tree = cfg.to_dict()
    for key, value in overrides.items():
        if key.split(".")[0] == "params":
            _override(tree, key, value)
    tree = resolve(tree)
    for key, value in overrides.items():
        if key.split(".")[0] != "params":
            _override(tree, key, value)
    return Config(tree, filename=str(path))


def parse_overrides(words):
    """`["a.b=1", "c=x"]` as typed after --cfg-options to {"a.b": 1, "c": "x"}; values are Python literals or text."""
    overrides = {}
    for word in words or []:
        key, sep, text = word.partition("=")
        if not sep or not key:
            raise ValueError(f"--cfg-options {word!r}: expected key=value, such as solver.train.batch_size=4")
        try:
            overrides[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            overrides[key] = {"true": True, "false": False, "none": None}.get(text.lower(), text)
    return overrides


def _override(tree, path, value):
    """Set `path` ("a.b.0.c") in nested dicts and lists to `value`; every part must exist."""
    node, parts = tree, path.split(".")
    for depth, part in enumerate(parts):
        keys = range(len(node)) if isinstance(node, list) else node if isinstance(node, dict) else ()
        step = int(part) if isinstance(node, list) and part.isdigit() else part
        if step not in keys:
            where = ".".join(parts[:depth]) or "the config"
            raise KeyError(f"--cfg-options {path}: {part!r} is not in {where}; {nearest(part, keys)}")
        if depth < len(parts) - 1:
            node = node[step]
    node[step] = value


def resolve(tree):
    """Replace every `"${expression}"` in `tree` by its value over `tree["params"]`; they may refer to each other."""
    params = tree.get("params", {})
    cache, pending = {}, []

    def lookup(name):
        if name not in params:
            raise KeyError(f"${{{name}}}: {name!r} is not in params; {nearest(name, params)}")
        if name in pending:
            raise ValueError(f"params refer to each other in a circle: {' -> '.join([*pending, name])}")
        if name not in cache:
            pending.append(name)
            cache[name] = walk(params[name])
            pending.pop()
        return cache[name]

    def walk(node):
        if isinstance(node, dict):
            return {key: walk(value) for key, value in node.items()}
        if isinstance(node, (list, tuple)):
            return type(node)(walk(value) for value in node)
        if not isinstance(node, str):
            return node
        whole = _REFERENCE.fullmatch(node)
        if whole:
            return copy.deepcopy(_evaluate(whole[1], lookup))
        return _REFERENCE.sub(lambda match: str(_evaluate(match[1], lookup)), node)

    return {key: walk(value) for key, value in tree.items()}


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
        raise ValueError(f"${{{expression}}}: only names of params, numbers and + - * / // % may be used")

    return value(ast.parse(expression.strip(), mode="eval").body)
