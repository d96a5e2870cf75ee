"""Predictions on the workers of a cluster: this process reads the rows and writes the results."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from bayou.cluster.task_queue import run_tasks
from bayou.cluster.workers import start_workers
from bayou.prediction.row_predictor import RowPredictor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bayou.cluster.ray import Ray
    from bayou.prediction.chunks import Unit
    from bayou.prediction.graph.forward_graph import Arrays
    from bayou.prediction.graph.predictor import Predictor
    from bayou.prediction.output.sink import Sink

    type BuildPredictor = Callable[[], tuple[Predictor, Arrays]]


@dataclass(frozen=True, eq=False)
class OnCluster:
    """Predicts units on the workers of a cluster, as :class:`bayou.prediction.run.Executor` has it.

    Attributes
    ----------
    cluster : Ray
        The cluster.
    build : callable
        () -> the predictor, and values of containers. It is pickled, since a compiled predictor
        cannot be: each worker builds its own.
    """

    cluster: Ray
    build: BuildPredictor

    def __call__[Reduced](
        self, predictor: RowPredictor, chunks: Iterable[list[Unit]], sink: Sink[Reduced]
    ) -> Iterator[Unit]:
        """Yield each unit, in order, once its predictions are in the sink.

        Raises
        ------
        WorkerDiedError
            If some rows ended all workers that were given them.
        """
        settings = {name: value for name, value in vars(predictor).items() if name != "predictor"}
        with start_workers(self.cluster, partial(_begin_worker, self.build, settings)) as pool:
            # A unit is many megabytes, and all take about as long: none is read far ahead.
            results = run_tasks(
                pool,
                partial(_predict_units, sink.reduction),
                chain.from_iterable(chunks),
                read_ahead=1,
            )
            for result in results:
                if result.error is not None:
                    raise result.error
                unit = result.task
                sink.put(unit.begin, unit.num_rows, result.value)
                yield unit


def _begin_worker(build: BuildPredictor, settings: dict[str, Any], index: int) -> RowPredictor:
    """Return the predictor of one worker, compiled there."""
    predictor, _ = build()
    return RowPredictor(predictor, **settings)


def _predict_units[Reduced](
    reduction: Callable[[Arrays], Reduced], predictor: RowPredictor, units: list[Unit]
) -> list[Reduced]:
    return [reduction(predictor.predict(unit.rows, unit.begin)) for unit in units]
