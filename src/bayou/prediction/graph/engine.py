"""The contract of the engines that compute predictions, and the sizes of their work.

Random numbers are a function of the seed, the number of the draw, the number of the piece of rows
and the position in it. They are therefore the same in whatever order pieces are computed, and on
however many threads. A piece is the number of rows whose random numbers are drawn together, so that
a change of its size changes the predictions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.prediction.graph.forward_graph import Arrays, ForwardGraph


@dataclass(frozen=True)
class EngineSizes:
    """The amount of work that an engine does at once.

    The figures were chosen for the caches of the two cores that the figures of docs/scaling.md were
    measured on. Fewer elements a piece cost calls, more of them cost cache misses.

    Attributes
    ----------
    jax_elements, pytensor_elements : int
        Elements of the largest output in a piece of rows, for one draw. They are part of what
        decides the random numbers.
    draws_per_call : int
        Draws in one call of the compiled JAX function; fewer are padded to as many.
    draws_per_block : int
        Draws that JAX vectorizes over.
    call_bytes : int
        Bytes of predictions that one call of the compiled JAX function returns, about.
    """

    jax_elements: int = 2**10
    pytensor_elements: int = 2**13
    draws_per_call: int = 1024
    draws_per_block: int = 64
    call_bytes: int = 2**23


DEFAULT_SIZES = EngineSizes()


@dataclass(frozen=True, eq=False)
class EngineGraph:
    """The graphs that an engine compiles.

    Attributes
    ----------
    graph : ForwardGraph
        The graph that they are of, with the inputs for the data.
    parameters : tuple of Variable
        The inputs that differ from draw to draw.
    names : tuple of str
        The names of the outputs.
    outputs : tuple of Variable
        All outputs that are predicted.
    row_outputs : tuple of int
        The indices of the outputs that differ from row to row: those that are computed.
    shared_draws : mapping of int to Variable
        The parameters in the place of random variables that are the same for all rows, by the
        index of the random variable.
    """

    graph: ForwardGraph
    parameters: tuple[Variable, ...]
    names: tuple[str, ...]
    outputs: tuple[Variable, ...]
    row_outputs: tuple[int, ...]
    shared_draws: Mapping[int, Variable]


class Engine(Protocol):
    """Computes the predictions that differ from row to row. Several threads may call it."""

    @property
    def compiler(self) -> str:
        """The compiler: "jax" or "pytensor"."""

    @property
    def max_rows(self) -> int | None:
        """The most rows of a call, whole pieces; None without a limit."""

    def __call__(
        self,
        parameters: Arrays,
        draws: NDArray[np.int64],
        fixed: Arrays,
        rows: Arrays,
        piece: int,
        seed: int,
    ) -> Arrays:
        """Return predictions, shapes (draws, ...).

        Parameters
        ----------
        parameters : sequence of ndarray, shapes (draws, ...)
            The values of the parameters in each draw.
        draws : ndarray of int64, shape (draws,)
            The numbers of the draws, which select the random numbers.
        fixed : sequence of ndarray
            The values of the containers without rows.
        rows : sequence of ndarray, shapes (rows, ...)
            The values of the containers with rows, one or more whole pieces; the last may be short.
        piece : int
            The number of the first piece.
        seed : int
            The seed.
        """


def generators_at(count: int, *position: int) -> list[np.random.Generator]:
    """Return NumPy generators that are a function of a position, such as (seed, draw, piece)."""
    seeds = np.random.SeedSequence(position).spawn(count)
    return [np.random.Generator(np.random.SFC64(seed)) for seed in seeds]
