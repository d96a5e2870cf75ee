"""A map in threads: results in order, no more items ahead than threads, errors where they are."""

import threading
import time

import pytest

from bayou.feeding.map_ahead import map_ahead


@pytest.mark.parametrize("num_threads", [1, 2, 3])
def test_results_are_in_the_order_of_the_items(num_threads: int) -> None:
    def late(item: int) -> int:
        time.sleep(0.01 * (item % 3 == 0))
        return item**2

    assert list(map_ahead(late, iter(range(10)), num_threads)) == [item**2 for item in range(10)]


def test_few_items_are_taken_ahead() -> None:
    taken, done = [], threading.Event()

    def items() -> object:
        for item in range(10):
            taken.append(item)
            yield item

    results = map_ahead(lambda _: done.wait(5), items(), 2)
    threading.Timer(0.05, done.set).start()
    next(results)
    assert len(taken) == 2
    results.close()


def test_errors_are_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(map_ahead(lambda item: 1 / item, iter([1, 0, 1]), 2))
