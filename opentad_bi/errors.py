"""Errors that name the thing, the value and the choices, and what messages are made of.

Packages that only some commands need are imported at use, by name, with the cure.

Parts of messages.
"""

import importlib
from itertools import islice


def require(module, install=None):
    """Import `module`; where it is missing, an ImportError says what to install (`install`, default its own name)."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{module} is needed here: pip install {install or module}") from error


SHOWN = 5


def some(names):
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, islice(names, SHOWN))) + more
