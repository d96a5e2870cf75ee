"""Prefetching: chunks in order, one ahead and no more; errors arrive and no thread stays."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest

from bayou.feeding.prefetch import iterate_ahead, prefetch

RANGES = [(0, 3), (3, 3), (6, 1), (7, 2)]
LENGTH = 3
WAIT = 60


@dataclass
class Counting:
    """A feed of step numbers that records what it was asked for, and fails at a step."""

    fails_at: int = -1
    shapes: tuple[tuple[int, ...], ...] = ((),)
    dtypes: tuple[np.dtype, ...] = (np.dtype(np.int64),)
    asked: list[int] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    gathered: dict[int, threading.Event] = field(
        default_factory=lambda: {first: threading.Event() for first, _ in RANGES}
    )

    def fill(self, first: int, slots: list[np.ndarray]) -> None:
        [slot] = slots
        count = len(slot)
        self.asked.append(first)
        self.threads.add(threading.current_thread().name)
        self.gathered[first].set()
        if first <= self.fails_at < first + count:
            raise OSError(f"no step {self.fails_at}")
        slot[...] = np.arange(first, first + count)


def feed_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("bayou-feed")]


def test_chunks_of_all_feeds_in_order() -> None:
    feeds = [Counting(), Counting()]
    for (first, count), chunk in zip(RANGES, prefetch(feeds, RANGES, LENGTH), strict=True):
        assert len(chunk) == 2
        for stacked in chunk:
            assert len(stacked) == LENGTH
            np.testing.assert_array_equal(stacked[:count], np.arange(first, first + count))
    assert feeds[0].asked == feeds[1].asked == [0, 3, 6, 7]
    assert len(feeds[0].threads | feeds[1].threads) == 1
    assert threading.current_thread().name not in feeds[0].threads
    assert feed_threads() == []


def test_nothing_to_feed() -> None:
    assert list(prefetch([Counting()], [], LENGTH)) == []
    assert list(prefetch([], RANGES, LENGTH)) == [()] * 4
    assert feed_threads() == []


def test_a_chunk_stays_as_it_is_until_the_next_is_asked_for() -> None:
    feed = Counting()
    chunks = prefetch([feed], RANGES, LENGTH)
    (slot,) = next(chunks)
    assert feed.gathered[3].wait(WAIT)
    np.testing.assert_array_equal(slot, np.arange(3))
    chunks.close()


def test_one_chunk_is_gathered_ahead_and_no_more() -> None:
    feed = Counting()
    chunks = prefetch([feed], RANGES, LENGTH)
    assert feed.asked == []
    next(chunks)
    assert feed.gathered[3].wait(WAIT)
    assert feed.asked == [0, 3]
    next(chunks)
    assert feed.gathered[6].wait(WAIT)
    assert feed.asked == [0, 3, 6]
    chunks.close()


@pytest.mark.parametrize(("fails_at", "arrived"), [(1, 0), (4, 1), (6, 2), (8, 3)])
def test_an_error_arrives_at_its_chunk(fails_at: int, arrived: int) -> None:
    chunks = prefetch([Counting(fails_at)], RANGES, LENGTH)
    for first, count in RANGES[:arrived]:
        np.testing.assert_array_equal(next(chunks)[0][:count], np.arange(first, first + count))
    with pytest.raises(OSError, match=f"no step {fails_at}"):
        next(chunks)
    assert feed_threads() == []
    assert list(chunks) == []


@pytest.mark.parametrize("taken", [1, 2, 4])
def test_the_thread_ends_with_the_iterator(taken: int) -> None:
    chunks = prefetch([Counting()], RANGES, LENGTH)
    for _ in range(taken):
        next(chunks)
    assert len(feed_threads()) == 1
    chunks.close()
    assert feed_threads() == []


def test_one_item_is_made_ahead_and_errors_come_in_their_place() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(3):
            made.append(number)
            yield number
        raise OSError("gone")

    with ThreadPoolExecutor(1) as executor:
        found = iterate_ahead(items(), executor)
        assert next(found) == 0
        executor.submit(int).result()  # What was asked for before this is done.
        assert made == [0, 1]
        assert [next(found), next(found)] == [1, 2]
        with pytest.raises(OSError, match="gone"):
            next(found)
        assert list(iterate_ahead(iter("ab"), executor)) == ["a", "b"]
        assert list(iterate_ahead(iter(()), executor)) == []
