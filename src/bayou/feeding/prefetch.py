"""Chunks of batches, gathered in a background thread while the chunk before is computed."""

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
    """Yield the batches of ranges of steps, for all inputs of all feeds.

    Parameters
    ----------
    feeds : sequence of Feed
        The feeds, in the order of the inputs that they fill.
    ranges : sequence of (first, count)
        The first step and the number of steps of each chunk.
    length : int
        The number of steps that the arrays of a chunk have room for; at least every count.

    Yields
    ------
    tuple of ndarray, shapes (length, *batch)
        One array an input, of which the first `count` entries are filled. Valid until the next
        chunk is requested, when the arrays are filled again.

    Notes
    -----
    Two chunks are in memory. An error of a feed is raised at the chunk that it concerns. The thread
    ends with the iterator.
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


def iterate_ahead[Item](items: Iterator[Item], executor: Executor) -> Iterator[Item]:
    """Yield items while a background thread gets the next one.

    Parameters
    ----------
    items : iterator
        Only the executor calls it. Its errors are raised in place of an item.
    executor : Executor
        An executor of one thread.

    Yields
    ------
    item
    """
    end = object()
    pending = executor.submit(next, items, end)
    while (item := pending.result()) is not end:
        pending = executor.submit(next, items, end)
        yield item  # type: ignore[misc]
