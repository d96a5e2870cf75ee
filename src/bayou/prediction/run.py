"""The way of all rows through the predictor into a sink, on the threads of this process."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from bayou.cluster.cores import usable_cores
from bayou.cluster.threads import limited_threads
from bayou.prediction.chunks import NOTHING_DONE, Done, read_chunks
from bayou.progress import row_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from bayou.prediction.chunks import ChunkSizes, Unit
    from bayou.prediction.output.sink import Sink
    from bayou.prediction.plan import PredictionPlan
    from bayou.prediction.row_predictor import RowPredictor


class Executor(Protocol):
    """Predicts units of rows, wherever that is."""

    def __call__[Reduced](
        self, predictor: RowPredictor, chunks: Iterable[list[Unit]], sink: Sink[Reduced]
    ) -> Iterator[Unit]:
        """Yield each unit, in order, once its predictions are in the sink.

        Chunks are read as they are needed: no more than two of them are in memory.
        """


def write_predictions[Reduced](
    plan: PredictionPlan,
    sink: Sink[Reduced],
    sizes: ChunkSizes,
    execute: Executor,
    *,
    progressbar: bool,
    done: Done = NOTHING_DONE,
    note: Callable[[Done], None] = lambda done: None,
) -> None:
    """Predict all rows, and write the predictions to a sink.

    Parameters
    ----------
    plan : PredictionPlan
        What to predict.
    sink : Sink
        Takes the predictions.
    sizes : ChunkSizes
        How many rows are handled at once.
    execute : Executor
        Predicts units of rows.
    progressbar : bool
        Whether to show the number of rows that are done.
    done : Done, optional
        The rows that the sink has from an earlier run.
    note : callable, optional
        Takes the rows that are done, after each chunk.

    Raises
    ------
    ValueError
        If the rows that the sink has are of other data.
    """
    if plan.joint is not None:
        sink.put(0, plan.template.num_rows, sink.reduction(plan.joint))
        sink.flush(plan.template.num_rows)
    elif plan.template.row_variables:
        chunks = read_chunks(plan.rows, plan.predictor, sizes, done)
        with row_progress("predict", plan.template.num_rows, progressbar) as advance:
            advance(done.num_rows)
            for unit in execute(plan.predictor, chunks, sink):
                if unit.chunk_done is not None:
                    sink.flush(unit.chunk_done.num_rows)
                    note(unit.chunk_done)
                advance(unit.num_rows)
    sink.finish(plan.shared)


def on_threads[Reduced](
    predictor: RowPredictor, chunks: Iterable[list[Unit]], sink: Sink[Reduced]
) -> Iterator[Unit]:
    """Predict units on the threads of this process, as :class:`Executor` has it."""

    def predict(unit: Unit) -> None:
        predictions = predictor.predict(unit.rows, unit.begin)
        sink.put(unit.begin, unit.num_rows, sink.reduction(predictions))

    cores = usable_cores()
    threads = ThreadPoolExecutor(cores)
    with limited_threads(cores):
        try:
            pending: deque[list[tuple[Unit, Future[None]]]] = deque()
            for units in chunks:
                pending.append([(unit, threads.submit(predict, unit)) for unit in units])
                # The next chunk is read while this one is predicted, and follows without a pause.
                if len(pending) > 1:
                    yield from _finished(pending.popleft())
            while pending:
                yield from _finished(pending.popleft())
        finally:
            threads.shutdown(cancel_futures=True)


def _finished(units: list[tuple[Unit, Future[None]]]) -> Iterator[Unit]:
    for unit, future in units:
        future.result()
        yield unit
