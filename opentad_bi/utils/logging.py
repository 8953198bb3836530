"""The one logger of the package, and warnings about data, which `--strict` makes errors.

A run logs to the console and to a text file in its work folder, from rank 0.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from .distributed import is_main

LOGGER = logging.getLogger("opentad_bi")


class _Console(logging.Handler):
    """Console lines that do not tear a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


@contextlib.contextmanager
def quietly(level: int = logging.WARNING) -> Iterator[None]:
    """Without messages below a level, such as those of data that are built to be looked at, and then once more."""
    before = LOGGER.level
    LOGGER.setLevel(max(before, level))
    try:
        yield
    finally:
        LOGGER.setLevel(before)


def setup_logging(path: str | Path | None = None) -> logging.Logger:
    """Log to the console and, if given, append to the text file `path`; other ranks log errors only."""
    for handler in list(LOGGER.handlers):
        LOGGER.removeHandler(handler)
        handler.close()
    LOGGER.propagate = False
    LOGGER.setLevel(logging.INFO if is_main() else logging.ERROR)
    handlers: list[logging.Handler] = [_Console()]
    if path is not None and is_main():
        handlers.append(logging.FileHandler(path))
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s: %(message)s", "%Y-%m-%d %H:%M:%S"))
        LOGGER.addHandler(handler)
    return LOGGER


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


def warn(problem: str, *, logger: logging.Logger = LOGGER) -> None:
    """Log `problem`, a whole message, as a warning.

    Raises:
        ValueError: with the same message, inside `strictly()`.
    """
    if _strict:
        raise ValueError(f"{problem} (a warning, which --strict makes an error)")
    logger.warning("%s", problem)
