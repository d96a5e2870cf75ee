"""Chains that wait for one another, so that their positions are evaluated in one call.

Each chain always needs its next gradient, whatever its trajectory is, so no lane of a call is idle
while all chains run. Rows are then read once for all chains.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    type Array = NDArray[np.float64]

# Seconds after which a chain that waits no longer counts on the others.
PATIENCE = 0.05


class Lanes:
    """The positions of chains that run side by side.

    Parameters
    ----------
    evaluate : callable
        (positions, shape (num_lanes, size)) -> rows of results, each of its position alone.
    num_lanes : int
        The most chains.
    size : int
        The length of a position.
    """

    def __init__(self, evaluate: Callable[[Array], Array], num_lanes: int, size: int) -> None:
        self._evaluate = evaluate
        self._positions = np.zeros((num_lanes, size))
        self._results: list[Array | None] = [None] * num_lanes
        # Locks that are held until the results of their lanes are there: the fastest signal between
        # threads that Python has.
        self._gates = [threading.Lock() for _ in range(num_lanes)]
        for gate in self._gates:
            gate.acquire()
        self._free = list(range(num_lanes))
        self._waiting: list[int] = []
        self._num_active = 0
        self._lock = threading.Lock()

    def join(self) -> Lane | None:
        """Return a lane for a chain, which leaves when it is deleted; None if all are taken."""
        with self._lock:
            if not self._free:
                return None
            self._num_active += 1
            return Lane(self, self._free.pop(0))

    def leave(self, lane: int) -> None:
        """End a lane; chains that wait for it go on."""
        with self._lock:
            self._num_active -= 1
            self._free.append(lane)
            lanes = self._take() if self._are_all_waiting() else []
        self._run(lanes)

    def evaluate(self, lane: int, position: Array) -> Array:
        """Return the results of a position, once the other chains have come to theirs."""
        with self._lock:
            self._positions[lane] = position
            self._waiting.append(lane)
            lanes = self._take() if self._are_all_waiting() else []
        if not lanes:
            while not self._gates[lane].acquire(timeout=PATIENCE):
                with self._lock:
                    lanes = self._take() if lane in self._waiting else []
                if lanes:
                    break
        if lanes:
            try:
                self._run(lanes)
            finally:
                self._gates[lane].acquire()
        results = self._results[lane]
        if results is None:
            raise RuntimeError("the evaluation of another chain failed")
        return results

    def _are_all_waiting(self) -> bool:
        return 0 < self._num_active <= len(self._waiting)

    def _take(self) -> list[int]:
        lanes, self._waiting = self._waiting, []
        return lanes

    def _run(self, lanes: list[int]) -> None:
        """Evaluate the positions of lanes that wait, and let their chains go on."""
        if not lanes:
            return
        results: Array | None = None
        try:
            # A copy, since other chains may write theirs meanwhile.
            results = self._evaluate(self._positions.copy())
        finally:
            for lane in lanes:
                self._results[lane] = None if results is None else results[lane]
                self._gates[lane].release()


class LaneGroups:
    """As many groups of lanes as chains need: those of one group are evaluated in one call.

    Parameters
    ----------
    new_lanes : callable
        () -> another group.
    """

    def __init__(self, new_lanes: Callable[[], Lanes]) -> None:
        self._new_lanes = new_lanes
        self._groups: list[Lanes] = []
        self._lock = threading.Lock()

    def join(self) -> Lane:
        """Return a lane for a chain."""
        with self._lock:
            for group in self._groups:
                if lane := group.join():
                    return lane
            self._groups.append(self._new_lanes())
            lane = self._groups[-1].join()
            assert lane is not None
            return lane


class Lane:
    """One chain among those that run side by side.

    Parameters
    ----------
    lanes : Lanes
        All of them.
    number : int
        Which one.
    """

    def __init__(self, lanes: Lanes, number: int) -> None:
        self._lanes, self._number = lanes, number

    def __call__(self, position: Array) -> Array:
        """Return the results of a position."""
        return self._lanes.evaluate(self._number, position)

    def __del__(self) -> None:
        """Leave, so that no other chain waits for this one."""
        self._lanes.leave(self._number)
