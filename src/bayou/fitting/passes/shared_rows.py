"""The rows of a fit by passes on the workers of a cluster.

A pass is a sum. Its rows are cut into parts, several for each worker, so that a worker takes the
next one when it is done, and one that dies costs the part that it had. A part is read where it is
summed; the sums come back, and are added in the order of the parts.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayou.cluster.task_queue import run_tasks
from bayou.cluster.workers import start_workers
from bayou.density.evaluator import Evaluator
from bayou.errors import warn
from bayou.feeding.read import take_numbered
from bayou.fitting.passes.pass_worker import (
    PartRows,
    PartSum,
    PassModel,
    open_worker,
    sum_parts,
    take_parts,
)
from bayou.fitting.rows.all_rows import full_block_rows, num_all_rows, source_layout
from bayou.models.pickling import carry_densities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.cluster.ray import Ray
    from bayou.cluster.task_queue import GroupFunction
    from bayou.cluster.workers import Workers
    from bayou.density.program import Program
    from bayou.feeding.feed import Arrays
    from bayou.feeding.layout import ColumnLayout
    from bayou.fitting.passes.pass_worker import RowSums
    from bayou.fitting.rows.pass_counts import PassCounter

    type Array = NDArray[np.float64]
    type StartWorkers = Callable[..., AbstractContextManager[Workers]]

# Parts for each worker: with more, less is lost with a worker and none waits long for the last one,
# but each costs a message of about a millisecond, and a source is read from the start of a block.
PARTS_PER_WORKER = 4


@dataclass(frozen=True)
class SharedRows:
    """All rows of a fit, on the workers of a cluster.

    Attributes
    ----------
    workers : Workers
        Each with a :class:`bayou.fitting.passes.pass_worker.PassWorker`.
    parts : tuple of range
        The numbers of the rows of each part, together all of them.
    """

    workers: Workers
    parts: tuple[range, ...]

    def sums(self, function: RowSums, *arguments: Array) -> tuple[Array, ...]:
        """Return what a method of an evaluator returns for all rows.

        Raises
        ------
        Exception
            The error that a part raised.
        WorkerDiedError
            If three workers died of a part, or in a row as they started.
        """
        tasks = [PartSum(rows, function, arguments) for rows in self.parts]
        first, *others = self._results(sum_parts, tasks)
        for of_part in others:
            first = tuple(old + new for old, new in zip(first, of_part, strict=True))
        return first

    def take(
        self, layout: ColumnLayout, blocks: Sequence[int], rows: NDArray[np.int64], size: int
    ) -> Arrays:
        """Return rows of the source by their numbers, as :func:`bayou.feeding.read.take_numbered`.

        Each worker reads its parts, unless the source has random access.
        """
        if layout.source.random_access:
            return take_numbered(layout, blocks, rows, size)
        ends = np.searchsorted(rows, [part.stop for part in self.parts])
        tasks = [
            PartRows(part, numbers)
            for part, numbers in zip(self.parts, np.split(rows, ends[:-1]), strict=True)
            if len(numbers)
        ]
        arrays, start = layout.empty(len(rows)), 0
        for values in self._results(take_parts, tasks):
            stop = start + len(values[0])
            for array, value in zip(arrays, values, strict=True):
                array[start:stop] = value
            start = stop
        return arrays

    def _results[Task, Value](
        self, function: Callable[..., Sequence[Value]], tasks: list[Task]
    ) -> Iterator[Value]:
        group_function: GroupFunction[Task] = function
        for result in run_tasks(self.workers, group_function, tasks):
            if result.error is not None:
                raise result.error
            yield result.value


@dataclass(frozen=True, kw_only=True)
class SharedEvaluator(Evaluator):
    """The log density of a program on all of its rows, which workers have.

    Attributes
    ----------
    rows : SharedRows
        The rows, in the place of ``blocks``.
    counter : PassCounter
        Counts the passes.
    """

    rows: SharedRows
    counter: PassCounter

    def densities(self, positions: Array) -> Array:
        """Return log densities."""
        return self.gradients(positions)[0]

    def gradients(self, positions: Array) -> tuple[Array, Array]:
        """Return log densities and their gradients."""
        values, gradients = self._sums(Evaluator.gradients, positions)
        return values, gradients

    def hessian_products(self, position: Array, directions: Array) -> tuple[Array, Array]:
        """Return the gradient at a position, and the Hessian there times each direction."""
        gradient, products = self._sums(Evaluator.hessian_products, position, directions)
        return gradient, products

    def hessians(self, positions: Array, directions: Array) -> tuple[Array, Array]:
        """Return the gradients at positions, and the Hessian at each times each direction."""
        gradients, products = self._sums(Evaluator.hessians, positions, directions)
        return gradients, products

    def _sums(self, function: RowSums, *arguments: Array) -> tuple[Array, ...]:
        sums = self.rows.sums(function, *arguments)
        self.counter.passes += 1.0
        return sums


@contextmanager
def shared_rows(
    cluster: Ray | None,
    model: pm.Model,
    program: Program,
    block_rows: int,
    max_positions: int,
    start_pool: StartWorkers = start_workers,
) -> Iterator[SharedRows | None]:
    """Start the workers of a fit by passes, and end them with the ``with`` block.

    Parameters
    ----------
    cluster : Ray or None
        Where they run; None for a fit in this process alone.
    model : pymc.Model
        The model in minibatches.
    program : Program
        The same model, whose rows may be weighted.
    block_rows : int
        The most rows that a worker evaluates at once.
    max_positions : int
        The most positions of a call.
    start_pool : callable, optional
        Starts the workers.

    Yields
    ------
    SharedRows or None
        None without a cluster.

    Warns
    -----
    UserWarning
        If the source has fewer blocks than there are workers.
    """
    if cluster is None:
        yield None
        return
    carry_densities(model)
    layout, counts = source_layout(program)
    size = full_block_rows(program, block_rows)
    shared = PassModel(
        model,
        program.options.feeds_all_rows,
        program.options.graph_gradients,
        layout,
        counts,
        size,
        max_positions,
    )
    with start_pool(cluster, open_worker, shared=shared) as workers:
        num_parts = PARTS_PER_WORKER * len(workers)
        if layout is None or layout.source.random_access:
            num_rows = num_all_rows(program)
            units = np.diff([*range(0, num_rows, size), num_rows])
        else:
            units = np.array(counts)
        parts = even_parts(units, num_parts)
        if layout is not None and len(parts) < len(workers):
            warn(
                f"Only {len(parts)} of {len(workers)} workers of `cluster` can read at a time: "
                f"{layout.source!r} has no more blocks that can be read by themselves.\n"
                "Hint: write the rows in several files, or in more row groups, or by by.shuffle."
            )
        yield SharedRows(workers, parts)


def even_parts(units: NDArray[np.int64], num_parts: int) -> tuple[range, ...]:
    """Cut rows into consecutive parts of about as many rows, at the ends of units.

    Parameters
    ----------
    units : ndarray of int64, shape (num_units,)
        The number of rows of each unit, which is not cut.
    num_parts : int
        The most parts.

    Returns
    -------
    tuple of range
        The numbers of the rows of each part, none of them empty.

    Examples
    --------
    >>> even_parts(np.array([5, 5, 1, 9]), 2)
    (range(0, 10), range(10, 20))
    """
    ends = np.cumsum(units)
    wanted = ends[-1] * np.arange(1, num_parts + 1) / num_parts
    # The nearest end of a unit.
    middles = (ends[:-1] + ends[1:]) / 2
    stops = sorted({int(ends[place]) for place in np.searchsorted(middles, wanted)})
    starts = [0, *stops[:-1]]
    return tuple(range(*pair) for pair in zip(starts, stops, strict=True) if pair[0] < pair[1])
