"""Threads of BLAS and OpenMP, limited while several computations run side by side.

Each computation would start as many threads as there are cores: two chains on two cores, with two
threads of BLAS each, run four times slower than with one each (logistic regression of 30,000 rows).
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from threadpoolctl import ThreadpoolController

from bayou.cluster.cores import usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadpoolctl import LibController


class _Limits:
    """The limits that hold now, and the threads of each library before the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limits: list[int] = []
        self._before: list[tuple[LibController, int]] = []
        # Looking for libraries takes 9 ms, a sixth of a short run of chains. New ones come with
        # modules.
        self._num_modules = 0
        self._libraries: list[LibController] = []

    def add(self, limit: int) -> None:
        with self._lock:
            if len(sys.modules) != self._num_modules:
                self._num_modules = len(sys.modules)
                self._libraries = ThreadpoolController().lib_controllers
            known = {library.filepath for library, _ in self._before}
            self._before += [
                (library, library.num_threads)
                for library in self._libraries
                if library.filepath not in known
            ]
            self._limits.append(limit)
            self._apply()

    def remove(self, limit: int) -> None:
        with self._lock:
            self._limits.remove(limit)
            self._apply()
            if not self._limits:
                self._before = []

    def _apply(self) -> None:
        """Set the smallest limit that holds; what a user has set lower stays as it is."""
        for library, before in self._before:
            library.set_num_threads(min([before, *self._limits]))


# The libraries have one number of threads for the whole process.
_limits = _Limits()


def limit_threads(number: int) -> None:
    """Have BLAS and OpenMP take at most as many threads, for as long as this process lives."""
    _limits.add(number)


@contextmanager
def limited_threads(num_parallel: int, cores: int | None = None) -> Iterator[None]:
    """Have computations that run side by side share the cores, in a ``with`` block.

    Calls may overlap, in several threads: the smallest number of threads of all holds, and the
    numbers before are back once the last one ends, also after an error.

    Parameters
    ----------
    num_parallel : int
        How many run at a time.
    cores : int, optional
        The cores that they share; by default all that this process may use.

    Examples
    --------
    >>> with limited_threads(num_parallel=4, cores=8):  # BLAS takes two threads for each
    ...     np.ones((2, 2)) @ np.ones((2, 2))
    array([[2., 2.],
           [2., 2.]])
    """
    limit = max(1, (cores or usable_cores()) // num_parallel)
    _limits.add(limit)
    try:
        yield
    finally:
        _limits.remove(limit)
