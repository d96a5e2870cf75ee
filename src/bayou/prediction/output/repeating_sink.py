"""The sink that is given predictions of distinct rows, and repeats them for all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayou.prediction.output.memory_sink import MemorySink

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.prediction.graph.forward_graph import Arrays
    from bayou.prediction.output.template import PredictionTemplate


class RepeatingSink(MemorySink):
    """A sink that keeps all draws of all rows in memory, of predictions of the distinct ones.

    Parameters
    ----------
    template : PredictionTemplate
        The dataset of all rows.
    codes : ndarray of int64, shape (rows,)
        Which of the distinct rows each row is.
    """

    def __init__(self, template: PredictionTemplate, codes: NDArray[np.int64]) -> None:
        super().__init__(template)
        self._codes = codes
        self._order = np.argsort(codes, kind="stable")
        # Where the rows that are one of the distinct ones begin in this order.
        self._begins = np.searchsorted(codes[self._order], np.arange(codes.max() + 2))

    def put(self, start: int, count: int, values: Arrays) -> None:
        """Keep the predictions of some distinct rows, shapes (draws, ...)."""
        rows = self._order[self._begins[start] : self._begins[start + count]]
        for variable, array in zip(self.template.row_variables, values, strict=True):
            axis = (variable.row_axis or 0) + 1
            place: tuple[slice | NDArray[np.int64], ...] = (*[slice(None)] * axis, rows)
            self._arrays[variable.name][place] = np.take(array, self._codes[rows] - start, axis)
