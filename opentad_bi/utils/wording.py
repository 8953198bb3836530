"""Parts of messages."""

from itertools import islice

SHOWN = 5


def some(names):
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, islice(names, SHOWN))) + more
