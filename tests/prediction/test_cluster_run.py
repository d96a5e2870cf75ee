"""Predictions on workers: what is sent to them pickles, and each builds its own predictor."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np

from bayou.prediction.chunks import Done, Unit
from bayou.prediction.cluster_run import _begin_worker, _predict_units
from bayou.prediction.graph.row_dependence import RowShape


class Engine:
    """Stands for what a worker compiled."""

    max_rows = None

    def __call__(self, parameters: Any, draws: Any, fixed: Any, rows: Any, *at: Any) -> list[Any]:
        return [parameters[0][:, None] * rows[0]]


def build() -> tuple[Any, list[Any]]:
    return SimpleNamespace(engine=Engine(), given=("b",), predict_one=None), []


SETTINGS = {
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
