"""The predictor of one model with its draws and seed: a function from rows to predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.prediction.graph.forward_graph import Arrays
    from bayou.prediction.graph.predictor import Predictor
    from bayou.prediction.graph.row_dependence import RowShape


@dataclass(frozen=True, eq=False)
class RowPredictor:
    """Predictions of rows that do not depend on each other.

    Attributes
    ----------
    predictor : Predictor
        The compiled predictor.
    parameters : sequence of ndarray, shapes (draws, ...)
        The draws of its parameters, including those drawn once for all rows.
    draw_numbers : ndarray of int64, shape (draws,)
        The numbers of the draws, which select the random numbers.
    fixed : sequence of ndarray
        The values of the containers without rows.
    shapes : tuple of RowShape
        The shapes of the predictions that differ from row to row.
    piece_rows : int
        The rows of a piece.
    seed : int
        The seed of the random numbers.
    """

    predictor: Predictor
    parameters: Arrays
    draw_numbers: NDArray[np.int64]
    fixed: Arrays
    shapes: tuple[RowShape, ...]
    piece_rows: int
    seed: int

    def predict(self, rows: Arrays, begin: int) -> Arrays:
        """Return the predictions of some rows, shapes (draws, ...).

        Parameters
        ----------
        rows : sequence of ndarray, shapes (rows, ...)
            The values of the containers with rows.
        begin : int
            The number of the first row, a multiple of the rows of a piece.
        """
        engine, num_rows = self.predictor.engine, len(rows[0])
        call_rows = engine.max_rows or num_rows
        parts = [
            engine(
                self.parameters,
                self.draw_numbers,
                self.fixed,
                [array[start : start + call_rows] for array in rows],
                (begin + start) // self.piece_rows,
                self.seed,
            )
            for start in range(0, num_rows, call_rows)
        ]
        if len(parts) == 1:
            return parts[0]
        return [
            np.concatenate(part, axis=(shape.row_axis or 0) + 1)
            for part, shape in zip(zip(*parts, strict=True), self.shapes, strict=True)
        ]

    def check(self, rows: Arrays) -> None:
        """Check that rows fit the model: that no index is out of range, for example.

        Raises
        ------
        ValueError
            If the model cannot be computed for them.
        """
        first_draw = [value[0] for value in self.parameters[: len(self.predictor.parameter_names)]]
        self.predictor.predict_one(first_draw, self.fixed, rows)
