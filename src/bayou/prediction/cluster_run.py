"""Rows of predictions shared out to the workers of a cluster, read and written by this process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bayou.cluster.tasks import run_tasks
from bayou.cluster.workers import start_workers
from bayou.prediction.run import Computation, Run
from bayou.progress import row_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from bayou.cluster.ray import Ray
    from bayou.prediction.graph.predictor import Predictor
    from bayou.prediction.run import Arrays, Chunk, Sink

    type Make = Callable[[], tuple[Predictor, list[NDArray[Any]]]]


@dataclass(frozen=True, eq=False)
class RunOnCluster(Run):
    """What it takes to predict all rows on a cluster.

    Attributes
    ----------
    cluster : Ray
    make : callable
        Returns the predictor, and values of containers; it pickles, while what is compiled does
        not, so that each worker calls it.
    """

    cluster: Ray
    make: Make

    def into(
        self,
        sink: Sink,
        chunk_rows: int,
        unit_rows: int,
        shown: bool,
        *,
        done: tuple[int, str] = (0, ""),
        note: Callable[[int, str], None] = lambda num_rows, digest: None,
    ) -> None:
        """Predict rows, and put what is predicted into a sink, as :meth:`Run.into` does.

        Raises
        ------
        WorkerDiedError
            If workers died of some rows, again and again.
        ValueError
            If the rows that the sink has already are others.
        """
        found = self.computation
        others = (found.values, found.numbers, found.fixed, found.shapes, found.seed)
        begin = partial(_begin, self.make, others)
        bar = row_progress("predict", self.rows.num_rows, shown)
        with start_workers(self.cluster, begin) as pool, bar as advance:
            units = _units(self.chunks(chunk_rows, done, advance), unit_rows)
            predict = partial(_predicted, sink.digest)
            # Units are many megabytes, and take alike: none is read while others wait.
            for result in run_tasks(pool, predict, units, read_ahead=1):
                if result.error is not None:
                    raise result.error
                unit, count = result.task, len(result.task.rows[0])
                sink.put(unit.begin, count, result.value)
                advance(count)
                if unit.begin + count == unit.end:
                    sink.reached(unit.end)
                    note(unit.end, unit.digest)


@dataclass(frozen=True, eq=False)
class _Unit:
    """Some rows of a chunk, from a number on; where that ends, and the digest of all till there."""

    begin: int
    rows: list[NDArray[Any]]
    end: int
    digest: str


def _units(chunks: Iterator[Chunk], size: int) -> Iterator[_Unit]:
    for chunk in chunks:
        for begin, rows in chunk.units(size):
            yield _Unit(begin, rows, chunk.end, chunk.digest)


def _begin(make: Make, others: tuple[Any, ...], index: int) -> Computation:
    found, _ = make()
    return Computation(found, *others)


def _predicted(
    digest: Callable[[Arrays], Any], computation: Computation, units: list[_Unit]
) -> list[Any]:
    return [digest(computation.predicted(unit.rows, unit.begin)) for unit in units]
