"""A predictor with its draws and seed: rows are cut into calls, and the results joined."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bayou.prediction.graph.row_dependence import RowShape
from bayou.prediction.row_predictor import RowPredictor


class Engine:
    """Two draws of each row, on the second axis of a draw; keeps the pieces of its calls."""

    compiler = "test"

    def __init__(self, max_rows: int | None) -> None:
        self.max_rows = max_rows
        self.pieces: list[int] = []

    def __call__(
        self, parameters: Any, draws: Any, fixed: Any, rows: Any, piece: int, seed: int
    ) -> list[Any]:
        self.pieces.append(piece)
        return [np.stack([parameters[0][draw] * rows[0] + seed for draw in draws])[:, None]]


def row_predictor(engine: Engine, predict_one: Any = None) -> RowPredictor:
    predictor: Any = SimpleNamespace(engine=engine, parameter_names=("b",), predict_one=predict_one)
    return RowPredictor(
        predictor,
        [np.array([1.0, 10.0]), np.array([5.0, 6.0])],
        np.arange(2),
        [],
        (RowShape((1, 6), 1),),
        4,
        100,
    )


@pytest.mark.parametrize(("max_rows", "pieces"), [(4, [2, 3, 4]), (8, [2, 4]), (None, [2])])
def test_rows_are_predicted_in_calls(max_rows: int | None, pieces: list[int]) -> None:
    engine, rows = Engine(max_rows), np.arange(10.0)
    [found] = row_predictor(engine).predict([rows], 8)
    assert found.tolist() == [[(rows + 100).tolist()], [(10 * rows + 100).tolist()]]
    assert engine.pieces == pieces


def test_rows_are_checked_with_the_first_draw_of_the_given_parameters() -> None:
    calls = []

    def predict_one(*arguments: Any) -> list[Any]:
        calls.append(arguments)
        return []

    row_predictor(Engine(None), predict_one).check(["rows"])  # type: ignore[list-item]
    assert calls == [([1.0], [], ["rows"])]
