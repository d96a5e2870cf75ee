"""The engine that PyTensor compiles, in its default mode: a draw at a time, any distribution."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytensor

from bayou.models.random_variables import (
    generators_of,
    random_nodes,
    with_random_nodes_replaced,
)
from bayou.prediction.graph.engine import generators_at
from bayou.prediction.graph.forward_graph import prediction_dtype
from bayou.prediction.graph.parameter_ranges import (
    draw_error,
    find_range_error,
    is_out_of_range,
    range_error,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.prediction.graph.engine import EngineGraph
    from bayou.prediction.graph.forward_graph import Arrays


class PytensorEngine:
    """Predictions by a function that PyTensor compiled, as :class:`Engine` has it.

    Parameters
    ----------
    graphs : EngineGraph
        The graphs to compile.
    piece_rows : int, optional
        The rows of a piece, and the most of a call; by default any number, which are one piece.
    """

    compiler = "pytensor"

    def __init__(self, graphs: EngineGraph, piece_rows: int | None = None) -> None:
        self.max_rows = piece_rows
        outputs = with_random_nodes_replaced(
            graphs.outputs, lambda index, node: graphs.shared_draws.get(index)
        )
        computed = [outputs[index] for index in graphs.row_outputs]
        tests = [(node, is_out_of_range(node)) for node in random_nodes(computed)]
        self._tested = [node for node, test in tests if test is not None]
        computed += [test for _, test in tests if test is not None]
        generators = generators_of(computed)
        self._num_generators = len(generators)
        self._inputs = [*graphs.parameters, *graphs.graph.data_inputs, *generators]
        self._computed = computed
        self._names = [graphs.names[index] for index in graphs.row_outputs]
        self._function = pytensor.function(
            [
                *graphs.parameters,
                *graphs.graph.data_inputs,
                *(pytensor.In(generator, mutable=True) for generator in generators),
            ],
            computed,
            on_unused_input="ignore",
        )
        self._dtypes = [prediction_dtype(graphs.outputs[index]) for index in graphs.row_outputs]
        # A compiled function of PyTensor has one storage for its arguments.
        self._lock = threading.Lock()

    def __call__(
        self,
        parameters: Arrays,
        draws: NDArray[np.int64],
        fixed: Arrays,
        rows: Arrays,
        piece: int,
        seed: int,
    ) -> Arrays:
        """Return predictions, shapes (draws, ...)."""
        results = []
        for index, draw in enumerate(draws.tolist()):
            generators = generators_at(self._num_generators, seed, draw, piece)
            values = (value[index] for value in parameters)
            with self._lock:
                outputs = self._draw(*values, *fixed, *rows, *generators)
            results.append(
                [np.array(part, dtype) for part, dtype in zip(outputs, self._dtypes, strict=True)]
            )
        return [np.stack(parts) for parts in zip(*results, strict=True)]

    def _draw(self, *values: object) -> Arrays:
        """Return the outputs of one draw, all of whose parameters are in their ranges."""
        try:
            outputs = self._function(*values)
        except ValueError as error:
            found = find_range_error(self._inputs, self._computed, values, self._names)
            raise (found or draw_error(error, self._names)) from error
        count = len(outputs) - len(self._tested)
        wrong = [node for node, is_out in zip(self._tested, outputs[count:], strict=True) if is_out]
        if wrong:
            raise range_error(wrong, self._names)
        return outputs[:count]  # type: ignore[no-any-return]
