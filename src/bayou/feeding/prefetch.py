"""Chunks of batches, gathered one ahead in a background thread while the last one is used."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from bayou.feeding.feed import Feed

type Chunk = tuple[NDArray[Any], ...]


def prefetch(feeds: Sequence[Feed], ranges: Iterable[tuple[int, int]]) -> Iterator[Chunk]:
    """Yield the stacked batches of each range of steps, for all feeds.

    Parameters
    ----------
    feeds : sequence of Feed
        The feeds, in the order of the inputs that they fill.
    ranges : iterable of (first, count)
        The steps of each chunk.

    Yields
    ------
    tuple of ndarray, shapes (count, *batch)
        One array a feed.

    Notes
    -----
    Memory is that of two chunks. An error in a feed reaches the caller at the chunk it belongs to,
    and the thread ends with the iterator.
    """

    def gather(first: int, count: int) -> Chunk:
        return tuple(feed.stack(first, count) for feed in feeds)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="bayou-feed") as executor:
        pending = None
        for first, count in ranges:
            following = executor.submit(gather, first, count)
            if pending is not None:
                yield pending.result()
            pending = following
        if pending is not None:
            yield pending.result()
