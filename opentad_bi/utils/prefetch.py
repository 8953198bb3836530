"""Work on the next thing in a thread while the caller uses this one."""

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T]) -> Generator[T, None, None]:
    """The entries of `items`, the next of which is made in one background thread while the caller has this one.

    At most two exist at a time. An exception in the thread is raised where its entry would have come. Close the
    generator (`contextlib.closing`) before anything that the thread uses: that waits for the thread.
    """
    end: Any = object()
    items = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        pending = pool.submit(next, items, end)
        while (item := pending.result()) is not end:
            pending = pool.submit(next, items, end)
            yield item
            del item  # or it would wait here for the one after the next
