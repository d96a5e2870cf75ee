"""A worker of a fit by passes: it reads and sums its parts of the rows. All of it runs there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayou.density.build import compile_program
from bayou.density.evaluator import Evaluator
from bayou.feeding.read import take_numbered
from bayou.fitting.rows.all_rows import blocks_of_part

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.density.program import Program
    from bayou.feeding.feed import Arrays
    from bayou.feeding.layout import ColumnLayout

    type Array = NDArray[np.float64]
    # Evaluator, *arrays -> sums over its rows.
    type RowSums = Callable[..., tuple[Array, ...]]


@dataclass(frozen=True)
class PassModel:
    """The part of a fit by passes that all workers have in common.

    Attributes
    ----------
    model : pymc.Model
        The model in minibatches.
    feeds_all_rows, graph_gradients : bool
        The options that its program was compiled with.
    layout : ColumnLayout or None
        The columns of its source; None for rows in memory.
    counts : tuple of int
        The number of rows of each block of the source.
    block_rows : int
        The number of rows that are evaluated at once.
    max_positions : int
        The most positions of a call.
    """

    model: pm.Model
    feeds_all_rows: bool
    graph_gradients: bool
    layout: ColumnLayout | None
    counts: tuple[int, ...]
    block_rows: int
    max_positions: int


@dataclass(frozen=True)
class PassWorker:
    """The state of a worker: the model, compiled there, and its source, opened there."""

    shared: PassModel
    program: Program


@dataclass(frozen=True)
class PartSum:
    """A part of the rows, and what is summed over it.

    Attributes
    ----------
    rows : range
        The numbers of the rows.
    function : callable
        A method of :class:`bayou.density.evaluator.Evaluator`.
    arguments : tuple of ndarray
        Its arguments: positions, and directions if it takes them.
    """

    rows: range
    function: RowSums
    arguments: tuple[Array, ...]


@dataclass(frozen=True)
class PartRows:
    """A part of the rows, and the sorted numbers of those that are taken from it."""

    rows: range
    numbers: NDArray[np.int64]


def open_worker(_: int, shared: PassModel) -> PassWorker:
    """Compile the model of a worker."""
    program = compile_program(
        shared.model, feeds_all_rows=shared.feeds_all_rows, graph_gradients=shared.graph_gradients
    )
    return PassWorker(shared, program)


def sum_parts(worker: PassWorker, parts: list[PartSum]) -> list[tuple[Array, ...]]:
    """Return the sums over parts of the rows; those of all parts add up to that of all rows."""
    shared, sums = worker.shared, []
    for part in parts:
        blocks = blocks_of_part(worker.program, part.rows, shared.block_rows, shared.counts)
        evaluator = Evaluator(worker.program, blocks, max_positions=shared.max_positions)
        sums.append(part.function(evaluator, *part.arguments))
    return sums


def take_parts(worker: PassWorker, parts: list[PartRows]) -> list[Arrays]:
    """Return rows of the source by their numbers, of each part."""
    shared = worker.shared
    assert shared.layout is not None
    return [
        take_numbered(shared.layout, shared.counts, part.numbers, shared.block_rows, part.rows)
        for part in parts
    ]
