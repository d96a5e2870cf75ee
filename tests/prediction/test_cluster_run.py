"""Predictions on workers: all that is sent pickles, each builds its own predictor, in order."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import bayou as by
from bayou.prediction import cluster_run
from bayou.prediction.chunks import Done, Unit
from bayou.prediction.cluster_run import OnCluster, _begin_worker, _predict_units
from bayou.prediction.graph.row_dependence import RowShape
from bayou.prediction.output.memory_sink import MemorySink
from bayou.prediction.output.template import PredictedVariable, PredictionTemplate
from bayou.prediction.row_predictor import RowPredictor


class Engine:
    """Stands for what a worker compiled."""

    max_rows = None

    def __call__(self, parameters: Any, draws: Any, fixed: Any, rows: Any, *at: Any) -> list[Any]:
        return [parameters[0][:, None] * rows[0]]


def build() -> tuple[Any, list[Any]]:
    return SimpleNamespace(engine=Engine(), parameter_names=("b",), predict_one=None), []


SETTINGS: dict[str, Any] = {
    "parameters": [np.array([1.0, 2.0])],
    "draw_numbers": np.arange(2),
    "fixed": [],
    "shapes": (RowShape((6,), 0),),
    "piece_rows": 4,
    "seed": 1,
}


def test_a_worker_predicts_units_with_a_predictor_of_its_own() -> None:
    sent = pickle.loads(pickle.dumps((build, SETTINGS)))
    predictor = _begin_worker(*sent, index=1)
    units = [
        Unit(0, [np.arange(4.0)], None),
        Unit(4, [np.arange(4.0, 6.0)], Done(6, "digest")),
    ]
    sent_units = pickle.loads(pickle.dumps(units))
    first, second = _predict_units(list, predictor, sent_units)
    assert first[0].tolist() == [[0, 1, 2, 3], [0, 2, 4, 6]]
    assert second[0].tolist() == [[4, 5], [8, 10]]
    assert sent_units[1].chunk_done == Done(6, "digest")


class InThisProcess:
    """Stands for workers of a cluster: two states in this process; all that is sent is pickled."""

    def __init__(self, begin: Any) -> None:
        self.states = [pickle.loads(pickle.dumps(begin))(index) for index in range(2)]

    def __len__(self) -> int:
        return len(self.states)

    def started(self, index: int) -> Any:
        return lambda: None

    def submit(self, index: int, function: Any, tasks: Any) -> Any:
        sent_function, sent_tasks = pickle.loads(pickle.dumps((function, tasks)))
        return lambda: sent_function(self.states[index], sent_tasks)

    def wait(self, futures: Any) -> Any:
        # The last one first, as a quick worker ends before a slow one.
        return futures[-1:]

    def result(self, future: Any) -> Any:
        return future()


def chunks(num_rows: int) -> Iterator[list[Unit]]:
    for begin in range(0, num_rows, 8):
        rows = np.arange(begin, min(begin + 8, num_rows), dtype=float)
        yield [
            Unit(begin, [rows[:4]], None),
            Unit(begin + 4, [rows[4:]], Done(begin + len(rows), "")),
        ]


@pytest.fixture
def on_cluster(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], OnCluster]:
    @contextmanager
    def start_workers(cluster: Any, begin: Any) -> Iterator[InThisProcess]:
        yield InThisProcess(begin)

    monkeypatch.setattr(cluster_run, "start_workers", start_workers)
    return lambda build: OnCluster(by.Ray(num_workers=2), build)


def test_units_of_all_workers_come_in_order(on_cluster: Any) -> None:
    template = PredictionTemplate(
        (PredictedVariable("y", np.dtype(float), (24,), ("row",), 0),),
        np.arange(1),
        np.arange(2),
        {"row": range(24)},
        24,
        {},
        {},
    )
    sink, (predictor, _) = MemorySink(template), build()
    here = RowPredictor(predictor, **SETTINGS)
    units = list(on_cluster(build)(here, chunks(24), sink))
    assert [unit.begin for unit in units] == list(range(0, 24, 4))
    assert [unit.chunk_done is not None for unit in units] == [False, True] * 3
    y = sink.tree.predictions["y"].values[0]
    assert y.tolist() == [list(range(24)), list(range(0, 48, 2))]


def failing_build() -> Any:
    class Failing(Engine):
        def __call__(self, *arguments: Any) -> Any:
            raise ValueError("no memory")

    predictor, fixed = build()
    predictor.engine = Failing()
    return predictor, fixed


def test_an_error_of_a_worker_is_raised(on_cluster: Any) -> None:
    here = RowPredictor(build()[0], **SETTINGS)
    with pytest.raises(ValueError, match="no memory"):
        list(on_cluster(failing_build)(here, chunks(24), SimpleNamespace(reduction=list)))
