"""Errors that name the thing, the value and the choices: whose mistake they are, and what their messages are made of.

The package raises what Python users expect and catch (ValueError, KeyError, FileNotFoundError, ...), with the whole
message. Which of them are a user's mistake, and not a bug, is decided here alone.
"""

import importlib
import traceback
from collections.abc import Collection
from itertools import islice
from types import ModuleType

MISTAKES = (ValueError, KeyError, IndexError, ImportError, OSError, FloatingPointError)
SHOWN = 5


class UserError(Exception):
    """A mistake in what a user gave: the command line prints the message as one line, without a traceback.

    Plug-ins outside the package may raise it. Of the package's own errors, and of those in which the system names a
    file, `of` makes one.
    """

    @classmethod
    def of(cls, error: BaseException) -> "UserError | None":
        """The user's mistake that `error` reports; None for a bug, such as a ValueError from inside a library."""
        if isinstance(error, cls):
            return error
        about_file = isinstance(error, OSError) and error.filename is not None
        if isinstance(error, MISTAKES) and (about_file or _raised_here(error)):
            return cls(message_of(error))
        return None


def _raised_here(error):
    """Does the innermost call of a traceback belong to this package?"""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and (frames[-1].f_globals.get("__package__") or "").partition(".")[0] == __package__


def message_of(error: BaseException) -> str:
    """The message of an error, without the quotes that a KeyError puts around it; its type where it has none."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return text.strip() or type(error).__name__


def require(module: str, install: str | None = None) -> ModuleType:
    """Import `module`; where it is missing, an ImportError says what to install (`install`, default its own name).

    Packages that only some commands need are imported so, where they are used.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{module} is needed here: pip install {install or module}") from error


def some(names: Collection) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, islice(names, SHOWN))) + more
