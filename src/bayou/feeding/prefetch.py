"""Chunks of batches, gathered one ahead in a background thread while the last one is used."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from bayou.feeding.feed import empty_slots

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor

    from bayou.feeding.feed import Arrays, Feed


def prefetch(
    feeds: Sequence[Feed], ranges: Sequence[tuple[int, int]], length: int
) -> Iterator[Arrays]:
    """Yield the stacked batches of each range of steps, for all inputs of all feeds.

    Parameters
    ----------
    feeds : sequence of Feed
        The feeds, in the order of the inputs that they fill.
    ranges : sequence of (first, count)
        The steps of each chunk.
    length : int
        The steps that a chunk has room for; at least every count.

    Yields
    ------
    tuple of ndarray, shapes (length, *batch)
        One array an input; the first ``count`` steps are those of the range. They are valid until
        the next chunk is asked for, when they begin to be filled again.

    Notes
    -----
    Memory is that of two chunks. An error in a feed reaches the caller at the chunk it belongs to,
    and the thread ends with the iterator.
    """
    sets = [[empty_slots(feed, length) for feed in feeds] for _ in ranges[:2]]

    def gather(number: int) -> Arrays:
        first, count = ranges[number]
        slots = sets[number % 2]
        for feed, arrays in zip(feeds, slots, strict=True):
            feed.fill(first, [array[:count] for array in arrays])
        return tuple(array for arrays in slots for array in arrays)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="bayou-feed") as executor:
        pending = executor.submit(gather, 0) if ranges else None
        for number in range(len(ranges)):
            assert pending is not None
            chunk = pending.result()
            pending = executor.submit(gather, number + 1) if number + 1 < len(ranges) else None
            yield chunk


def ahead[Item](items: Iterator[Item], executor: Executor) -> Iterator[Item]:
    """Yield items, the next of which is made in a background thread while one is used.

    Parameters
    ----------
    items : iterator
        Gone through by the executor alone; an error reaches the caller in its place.
    executor : Executor
        Of one thread.

    Yields
    ------
    item
    """
    end = object()
    pending = executor.submit(next, items, end)
    while (item := pending.result()) is not end:
        pending = executor.submit(next, items, end)
        yield item  # type: ignore[misc]
