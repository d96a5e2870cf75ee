"""The way of rows through a predictor into a sink: in order, in bounded memory, noted by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from bayou.prediction.chunks import NOTHING_DONE, ChunkSizes, Done, Unit, read_chunks
from bayou.prediction.output.memory_sink import MemorySink
from bayou.prediction.output.template import PredictedVariable, PredictionTemplate
from bayou.prediction.plan import PredictionPlan
from bayou.prediction.run import on_threads, write_predictions
from tests.prediction.test_chunks import rows_of

NUM_ROWS = 23
SIZES = ChunkSizes(chunk=6, unit=2)


class Doubling:
    """Stands for a predictor: two draws of each row, its double and that plus one."""

    def predict(self, rows: Any, begin: int) -> list[Any]:
        return [np.stack([2 * rows[0], 2 * rows[0] + 1])]

    def check(self, rows: Any) -> None:
        pass


def plan(joint: Any = None) -> PredictionPlan:
    variables = (
        PredictedVariable("y", np.dtype(float), (NUM_ROWS,), ("row",), 0),
        PredictedVariable("scale", np.dtype(float), (), (), None),
    )
    template = PredictionTemplate(
        variables, np.arange(1), np.arange(2), {"row": range(NUM_ROWS)}, NUM_ROWS, {}, {}
    )
    predictor: Any = Doubling()
    rows = rows_of(np.arange(float(NUM_ROWS)))
    return PredictionPlan(template, rows, predictor, [np.array([5.0, 6.0])], joint, {})


def test_all_rows_are_written() -> None:
    sink = MemorySink(plan().template)
    noted: list[Done] = []
    write_predictions(plan(), sink, SIZES, on_threads, progressbar=False, note=noted.append)
    found = sink.tree.predictions
    expected = 2 * np.arange(NUM_ROWS)
    assert found["y"].values.tolist() == [[expected.tolist(), (expected + 1).tolist()]]
    assert found["scale"].values.tolist() == [[5, 6]]
    assert [done.num_rows for done in noted] == [6, 12, 18, 23]


def test_units_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()

    def predict(self: Doubling, rows: Any, begin: int) -> list[Any]:
        found.update(library["num_threads"] for library in threadpool_info())
        return [np.stack([rows[0], rows[0]])]

    monkeypatch.setattr(Doubling, "predict", predict)
    with threadpool_limits(2):
        sink = MemorySink(plan().template)
        write_predictions(plan(), sink, SIZES, on_threads, progressbar=False)
        assert {library["num_threads"] for library in threadpool_info()} == {2}
    assert found == {1}


def test_rows_that_depend_on_each_other_are_written_at_once() -> None:
    joint = [np.arange(2.0 * NUM_ROWS).reshape(2, NUM_ROWS)]
    sink = MemorySink(plan().template)
    write_predictions(plan(joint), sink, SIZES, on_threads, progressbar=False)
    assert sink.tree.predictions["y"].values.tolist() == [joint[0].tolist()]


def test_done_rows_are_not_predicted_again() -> None:
    noted: list[Done] = []
    first = MemorySink(plan().template)
    write_predictions(plan(), first, SIZES, on_threads, progressbar=False, note=noted.append)
    sink = MemorySink(plan().template)
    sink.put(0, 12, [np.full((2, 12), -1.0)])
    write_predictions(plan(), sink, SIZES, on_threads, progressbar=False, done=noted[1])
    y = sink.tree.predictions["y"].values[0, 0]
    assert y.tolist() == [-1] * 12 + (2 * np.arange(12, NUM_ROWS)).tolist()


def test_units_come_in_order_and_two_chunks_are_in_memory() -> None:
    plan_of_rows = plan()
    read, finished = [], []

    def chunks() -> Iterator[list[Unit]]:
        predictor = plan_of_rows.predictor
        for units in read_chunks(plan_of_rows.rows, predictor, SIZES, NOTHING_DONE):
            # All but the chunk that was read last are finished before the next one is read.
            assert len(read) - len(finished) <= 3
            read.extend(units)
            yield units

    for unit in on_threads(plan_of_rows.predictor, chunks(), MemorySink(plan_of_rows.template)):
        finished.append(unit.begin)  # noqa: PERF401
    assert finished == list(range(0, NUM_ROWS, 2))


def test_an_error_of_a_unit_is_raised_in_its_place() -> None:
    class Failing(Doubling):
        def predict(self, rows: Any, begin: int) -> list[Any]:
            if begin == 8:
                raise ValueError("row 8")
            return super().predict(rows, begin)

    sink, noted = MemorySink(plan().template), []
    failing: Any = Failing()
    broken = PredictionPlan(plan().template, plan().rows, failing, [], None, {})
    with pytest.raises(ValueError, match="row 8"):
        write_predictions(broken, sink, SIZES, on_threads, progressbar=False, note=noted.append)
    assert [done.num_rows for done in noted] == [6]
