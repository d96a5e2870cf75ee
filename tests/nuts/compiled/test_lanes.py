"""Chains that wait for one another: one call for all, and none waits for a chain that has ended."""

import threading
import time
from typing import Any

import numpy as np
import pytest

from bayou.nuts.compiled.lanes import Lane, LaneGroups, Lanes


class Calls:
    """Doubles positions, and counts the calls."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        self.number += 1
        if (positions == 666).any():
            raise ArithmeticError("666")
        return 2 * positions


def run_chains(lanes: Lanes, lengths: list[int]) -> list[list[float]]:
    """Run a chain of each length in a thread of its own, and return what it got."""
    results: list[list[float]] = [[] for _ in lengths]
    joined: list[Any] = [lanes.join() for _ in lengths]

    def chain(number: int) -> None:
        lane = joined[number]
        joined[number] = None
        for step in range(lengths[number]):
            results[number].append(float(lane(np.array([10.0 * step + number]))[0]))

    threads = [threading.Thread(target=chain, args=(number,)) for number in range(len(lengths))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()
    return results


def test_each_chain_gets_its_own_results_and_calls_are_shared() -> None:
    calls, lengths = Calls(), [50, 50, 20, 35]
    results = run_chains(Lanes(calls, 4, 1), lengths)
    assert results == [
        [2.0 * (10 * step + number) for step in range(length)]
        for number, length in enumerate(lengths)
    ]
    # As many calls as the longest chain has steps, and a few while chains end.
    assert calls.number <= 55


def test_a_chain_that_is_late_is_not_waited_for() -> None:
    lanes = Lanes(Calls(), 2, 1)
    first, second = lanes.join(), lanes.join()
    assert isinstance(first, Lane)
    assert isinstance(second, Lane)
    begin = time.perf_counter()
    assert float(first(np.array([3.0]))[0]) == 6
    assert time.perf_counter() - begin < 5
    assert lanes.join() is None


def test_a_failure_reaches_all_chains() -> None:
    lanes = Lanes(Calls(), 1, 1)
    lane = lanes.join()
    assert lane is not None
    with pytest.raises(ArithmeticError):
        lane(np.array([666.0]))
    assert float(lane(np.array([1.0]))[0]) == 2


def test_groups_are_made_as_chains_join() -> None:
    made: list[Lanes] = []

    def new_lanes() -> Lanes:
        made.append(Lanes(Calls(), 2, 1))
        return made[-1]

    groups = LaneGroups(new_lanes)
    joined = [groups.join() for _ in range(3)]
    assert len(made) == 2
    del joined[0]
    groups.join()
    assert len(made) == 2
