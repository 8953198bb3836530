"""Warnings that a command's `--strict` makes errors."""

import contextlib
import logging
from collections.abc import Iterator

_LOGGER = logging.getLogger("opentad_bi")
_strict = False


@contextlib.contextmanager
def strictly(strict: bool = True) -> Iterator[None]:
    """Make every `warn` inside the block an error; the commands run inside it with the value of their `--strict`."""
    global _strict
    before, _strict = _strict, strict
    try:
        yield
    finally:
        _strict = before


def is_strict() -> bool:
    """Do warnings about data count as errors here?"""
    return _strict


def warn(problem: str, *, logger: logging.Logger = _LOGGER) -> None:
    """Log `problem`, a whole message, as a warning.

    Raises:
        ValueError: with the same message, inside `strictly()`.
    """
    if _strict:
        raise ValueError(f"{problem} (a warning, which --strict makes an error)")
    logger.warning("%s", problem)
