"""List the configs that come with the toolbox, show what one says once all is put together, or start an own from it."""

import pprint
from argparse import Namespace
from pathlib import Path
from typing import Any

from ..config import config_origins, config_text, load_config, parse_overrides
from ..utils.config_files import config_root, find_config, shipped_configs
from ..utils.files import read_text, write_text

TYPED = "--options"


def list_configs(args: Namespace) -> int:
    """Print the names of the shipped configs under their folders; ValueError if there is none with the word."""
    word = (args.word or "").lower()
    groups: dict[str, list[tuple[str, str]]] = {}
    for path in shipped_configs():
        name, about = path.with_suffix("").as_posix(), about_config(config_root() / path)
        if word in f"{name} {about}".lower():
            groups.setdefault(path.parent.as_posix(), []).append((name, about))
    if not groups:
        raise ValueError(f"no shipped config has {args.word!r} in its name or its first sentence")
    for folder, found in groups.items():
        width = max(len(name) for name, _ in found)
        print(f"{folder}/")
        print("".join(f"  {name:{width}}  {about}\n" for name, about in found))
    return 0


def about_config(path: Path) -> str:
    """The first sentence of the comment at the top of a config file."""
    lines = []
    for line in read_text(path, "config").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    sentence, end, _ = " ".join(lines).partition(". ")
    return sentence + end.strip()


def show(args: Namespace) -> int:
    """Print a resolved config."""
    overrides, path = parse_overrides(args.cfg_options), find_config(args.config)
    cfg = load_config(path, overrides)
    print(f"# {label(path)}{' with ' + ' '.join(args.cfg_options) if overrides else ''}")
    if not args.origin:
        print(config_text(cfg), end="")
        return 0
    values, origins = cfg.to_dict(), config_origins(path)
    plain = load_config(path).to_dict() if overrides else values
    for key, value in values.items():
        typed = [tuple(name.split(".")[1:]) for name in overrides if name.split(".")[0] == key]
        lines = annotated(value, origins.get(key), plain.get(key), typed)
        print(f"{key} = " + "\n".join(f"{text}  # {origin}" if origin else text for text, origin in lines))
    return 0


def annotated(
    value: Any, origin: Any, plain: Any, typed: list[tuple[str, ...]], indent: str = ""
) -> list[tuple[str, str]]:
    """The lines of a value as Python source, each with its origin.  Returns [(text, origin, which may be "")].

    Args:
        origin: the file, or dicts and lists of files for what is in `value`.
        plain: what the config says without overrides.
        typed: paths of overrides below here; () is one of this value.
    """
    typed_here = () in typed
    if isinstance(value, dict) and value:
        brackets, items = "{}", [(key, f"{key!r}: ", item) for key, item in value.items()]
    elif isinstance(value, list | tuple) and any(isinstance(item, dict | list | tuple) for item in value):
        brackets, items = "[]" if isinstance(value, list) else "()", [(i, "", item) for i, item in enumerate(value)]
    else:
        changed = type(value) is not type(plain) or value != plain
        places = [] if typed_here or not isinstance(origin, Path) else [label(origin)]
        places += [TYPED] if typed_here or changed else []
        return [(pprint.pformat(value, width=100).replace("\n", f"\n{indent}"), ", ".join(places))]
    lines, deeper = [(brackets[0], "")], indent + "    "
    for key, start, item in items:
        below = [path[1:] for path in typed if path and path[0] == str(key)] + ([()] if typed_here else [])
        inner = annotated(item, _at(origin, key), _at(plain, key), below, deeper)
        inner[0] = (f"{deeper}{start}{inner[0][0]}", inner[0][1])
        inner[-1] = (f"{inner[-1][0]},", inner[-1][1])
        lines += inner
    return [*lines, (f"{indent}{brackets[1]}", "")]


def _at(node: Any, key: Any) -> Any:
    """What a nested dict or list holds at `key`; a file stands for all below it, and None is nothing."""
    if isinstance(node, dict):
        return node.get(key)
    if isinstance(node, list | tuple):
        return node[key] if isinstance(key, int) and key < len(node) else None
    return node if isinstance(node, Path) else None


def label(path: Path | str) -> str:
    """A config file by its path below configs/, if it is shipped, else by its own."""
    path, root = Path(path), config_root()
    own = path.resolve()
    return own.relative_to(root).as_posix() if own.is_relative_to(root) else str(path)


def copy(args: Namespace) -> int:
    """Write a config that is based on another, or all that the other says."""
    path = find_config(args.config)
    out = args.folder / path.name
    if out.exists():
        raise FileExistsError(f"{out} exists; it is not replaced")
    shipped = path.resolve().is_relative_to(config_root())
    name = label(path).removesuffix(".py") if shipped else str(path.resolve())
    if args.flat:
        text = f"# All that {label(path)} says.\n{config_text(load_config(path))}"
    else:
        text = f"# An edit of {label(path)}: {about_config(path)}\n_base_ = [{name!r}]\n"
    args.folder.mkdir(parents=True, exist_ok=True)
    write_text(out, text)
    print(f"{out} is written")
    return 0
