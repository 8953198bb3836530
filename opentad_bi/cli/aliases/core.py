"""Options of the commands of the original systems, and what each is in a config.

A table is a tuple of `Flag`, in the order of the help. `build_parser` makes the arguments of a command of it,
`typed_flags` and `overrides` make keys of a config of what was typed, and `train_with` trains with them.
"""

import argparse
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..arguments import Parser, add_device_arguments
from ..main import call, overriding, train_words

LOGGER = logging.getLogger("opentad_bi")
_TRUTH = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}


def truth(text: str) -> bool:
    """What a word says that is True or False."""
    if text.lower() not in _TRUTH:
        raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")
    return _TRUTH[text.lower()]


def elsewhere(value: Any, typed: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """No keys by itself: other options, or the settings of the whole command, take account of it."""
    return {}


@dataclass(frozen=True)
class Flag:
    """One option of a command of an original system; where it is not typed, the config stays as it is.

    Args:
        name: as it is typed, without dashes.
        key: the key of the config that it sets, or the option of `train` that it is ("--resume"), or, for the table,
            the keys that `to_keys` sets; "": it is accepted, without effect.
        help: what it is.
        kind: int, float, a tuple of choices, bool (`--name` and `--no-name`), truth (`--name [True|False]`), list (one
            word or more), or what stands for a text in the help.
        none: whether it may be "none", no value.
        commands: those of the table that have it; (): all.
        to_keys: (value, everything typed, the config) -> {key: value}, where it is not `key` alone.
        group: heading in the help.
        required: whether the command needs it.
        other: further names.
    """

    name: str
    key: str
    help: str
    kind: Any = "TEXT"
    none: bool = False
    commands: tuple[str, ...] = ()
    to_keys: Callable[[Any, Mapping[str, Any], Any], dict[str, Any]] | None = None
    group: str = ""
    required: bool = False
    other: tuple[str, ...] = ()

    @property
    def dest(self) -> str:
        """Its name in parsed arguments."""
        return self.name.replace("-", "_")

    @property
    def idle(self) -> bool:
        """Whether it is accepted, without effect."""
        return not self.key and self.to_keys is None

    @property
    def metavar(self) -> str | None:
        """What stands for its value in the help."""
        if isinstance(self.kind, tuple):
            return f"{{{','.join([*self.kind, *(['none'] if self.none else [])])}}}"
        return {int: "N", float: "X", bool: None, truth: "True|False", list: "WORD"}.get(self.kind, self.kind)

    def add(self, cli: argparse._ActionsContainer, *, required: bool = True) -> None:
        """Add it to a parser; what is not typed is absent from the parsed arguments."""
        more: dict[str, Any] = {"dest": self.dest, "default": argparse.SUPPRESS, "help": self.help.replace("%", "%%")}
        if self.kind is bool:
            more["action"] = argparse.BooleanOptionalAction
        else:
            more |= {"type": self._value, "metavar": self.metavar}
        if self.kind is truth:
            more |= {"nargs": "?", "const": True}
        elif self.kind is list:
            more["nargs"] = "+"
        elif isinstance(self.kind, tuple):
            more["choices"] = (*self.kind, *([None] if self.none else []))
        names = [f"--{name}" for name in (self.name, *self.other)]
        cli.add_argument(*names, required=self.required and required, **more)

    def keys(self, typed: Mapping[str, Any], base: Any) -> dict[str, Any]:
        """{key of the config: value} where it was `typed`, of a `base` config."""
        if self.to_keys:
            return self.to_keys(typed[self.dest], typed, base)
        return {self.key: typed[self.dest]} if self.key and not self.key.startswith("--") else {}

    def _value(self, text: str) -> Any:
        """What a word means."""
        if self.none and text.lower() == "none":
            return None
        if isinstance(self.kind, tuple):
            return text.replace("-", "_")
        if self.kind is truth:
            return truth(text)
        try:
            return self.kind(text) if self.kind in (int, float) else text
        except ValueError:
            what = "a whole number" if self.kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}{' or none' if self.none else ''}") from None


def grouped(heading: str, *flags: Flag) -> tuple[Flag, ...]:
    """Options under a heading of the help."""
    return tuple(replace(flag, group=heading) for flag in flags)


def add_flags(cli: Parser, flags: Iterable[Flag], *, required: bool = True) -> None:
    """Add the options of a table to a parser, under their headings; `required=False`: none of them must be typed."""
    groups: dict[str, argparse._ActionsContainer] = {"": cli}
    for flag in flags:
        if flag.group not in groups:
            groups[flag.group] = cli.add_argument_group(flag.group)
        flag.add(groups[flag.group], required=required)


def build_parser(description: str, epilog: str, flags: Iterable[Flag], recipe: str | None = None) -> Parser:
    """The arguments of a command.

    Args:
        description, epilog: text of the help, before and after the options.
        recipe: name of the config that --config replaces; None: there is no --config.
    """
    cli = Parser(description, epilog)
    add_flags(cli, flags)
    if recipe:
        cli.add_argument("--config", default=recipe, help="the config that the options change")
    cli.add_argument("--cfg-options", nargs="+", default=[], metavar="a.b=v", help="further keys of the config")
    add_device_arguments(cli)
    return cli


def typed_flags(args: argparse.Namespace, flags: Iterable[Flag]) -> dict[str, Any]:
    """{name with underscores: value} of the options of a table that were typed."""
    return {flag.dest: vars(args)[flag.dest] for flag in flags if flag.dest in args}


def overrides(flags: Iterable[Flag], typed: Mapping[str, Any], base: Any) -> dict[str, Any]:
    """{key of the config: value} of what was typed.

    Args:
        typed: what `typed_flags` gives.
        base: the config as it is written.
    Raises:
        ValueError: options that exclude each other, one without what it needs, or a value that is not offered.
    """
    keys: dict[str, Any] = {}
    for flag in flags:
        if flag.dest in typed:
            keys |= flag.keys(typed, base)
    return keys


def train_with(
    config: Path, args: argparse.Namespace, flags: Iterable[Flag], keys: dict[str, Any], more: Sequence[str] = ()
) -> int:
    """Train by the command `train`; returns its exit code.

    Args:
        args: parsed arguments of `build_parser`; --cfg-options count more than `keys`.
        flags: its table, for those that are options of `train`.
        keys: {key of the config: value}.
    """
    own = [flag for flag in flags if flag.key.startswith("--") and not flag.to_keys and flag.dest in args]
    given = {"--seed": args.seed, "--device": args.device, **{flag.key: vars(args)[flag.dest] for flag in own}}
    options = [*overriding(keys), *args.cfg_options]
    return call("train", [*train_words(config, given, []), *more, *(["--cfg-options", *options] if options else [])])
