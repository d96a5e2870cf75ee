"""The functions that were compiled for one program, each once, by what its code depends on."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class FunctionKey:
    """All that the code of a compiled function depends on, apart from the program.

    Each module that compiles functions derives a frozen dataclass of its own, so that keys of two
    modules are never equal. Its fields must be hashable and compare by value.
    """


class CompiledFunctions:
    """Cache of the functions that were compiled for one program.

    It may be used from several threads: a function is compiled by one of them, and the others
    wait. It is never emptied, since it goes with its program.
    """

    def __init__(self) -> None:
        self._functions: dict[FunctionKey, Callable[..., object]] = {}
        # Reentrant, since what is compiled may ask for another function of the program.
        self._lock = threading.RLock()

    def get_or_compile[Function: Callable[..., object]](
        self, key: FunctionKey, compile_function: Callable[[], Function]
    ) -> Function:
        """Return the function of a key, compiled by ``compile_function`` if there is none yet."""
        with self._lock:
            if key not in self._functions:
                self._functions[key] = compile_function()
            function: Function = self._functions[key]  # type: ignore[assignment]
            return function

    def num_compilations(self) -> dict[FunctionKey, int]:
        """Return how many times each function was compiled: once for each shape of arguments."""
        with self._lock:
            return {
                # Functions that were compiled for given shapes have no cache.
                key: function._cache_size() if hasattr(function, "_cache_size") else 1
                for key, function in self._functions.items()
            }


class BlockSizes:
    """Numbers of rows of the blocks that functions of one program were compiled for.

    A block of any of these numbers compiles nothing.
    """

    def __init__(self) -> None:
        self._sizes: set[int] = set()
        self._lock = threading.Lock()

    def choose(
        self, default: int, *, fits: Callable[[int], bool], cost: Callable[[int], float]
    ) -> int:
        """Return the cheapest size in use that fits, else ``default``, which is in use from now on.

        Parameters
        ----------
        default : int
            Number of rows to compile for if no size in use fits.
        fits : callable
            (size) -> whether blocks of this size will do.
        cost : callable
            (size) -> time that a pass over all rows takes in blocks of this size, in any unit.
        """
        with self._lock:
            size = min(filter(fits, self._sizes), key=cost, default=default)
            self._sizes.add(size)
            return size
