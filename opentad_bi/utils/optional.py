"""Packages that only some commands need are imported at use, by name, with the cure."""

import importlib


def require(module, install=None):
    """Import `module`; where it is missing, an ImportError says what to install (`install`, default its own name)."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{module} is needed here: pip install {install or module}") from error
