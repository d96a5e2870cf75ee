"""A map over items that are made one ahead, while threads work on those before."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future


def map_ahead[Item, Result](
    function: Callable[[Item], Result], items: Iterator[Item], num_threads: int
) -> Iterator[Result]:
    """Yield the results of a function in the order of the items.

    Items are taken in this thread, while others compute: no more of them are in memory at a time
    than threads, and one.

    Parameters
    ----------
    function : callable
        Must release the GIL for any gain.
    items : iterator
        Taken as threads are free.
    num_threads : int
        The most calls at a time.

    Examples
    --------
    >>> list(map_ahead(abs, iter([-2, 1]), 2))
    [2, 1]
    """
    if num_threads == 1:
        yield from map(function, items)
        return
    running: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(num_threads) as threads:
        for item in items:
            running.append(threads.submit(function, item))
            if len(running) == num_threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
