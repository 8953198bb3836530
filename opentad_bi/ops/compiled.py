"""How the sequential loops of this package are compiled; only modules that hold such loops import it."""

import numba


def kernel(function):
    """Compile `function` at its first call, without the GIL; kept on disk where a folder can be written."""
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package nor the home folder is writable: compile in every process
        return numba.njit(**options)(function)
