"""The engine that JAX compiles: many draws and some pieces of rows in one call.

The draws are in blocks that JAX vectorizes over; a loop in the compiled function goes through the
blocks and the pieces, so that one compilation serves any number of draws and rows.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pytensor.tensor as pt

from bayou.density.jax_function import jax_function
from bayou.density.prng import noise_key
from bayou.feeding.row_padding import pad_rows
from bayou.models.random_variables import (
    draws_in_loops,
    random_nodes,
    with_random_nodes_replaced,
)
from bayou.prediction.graph.forward_graph import input_like, prediction_dtype
from bayou.prediction.graph.jax_random import SAMPLERS, draw_by_key
from bayou.prediction.graph.parameter_ranges import is_out_of_range, range_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.containers.variables.dims import Numbers
    from bayou.models.random_variables import RandomNode
    from bayou.prediction.graph.engine import EngineGraph, EngineSizes
    from bayou.prediction.graph.forward_graph import Arrays
    from bayou.prediction.graph.row_dependence import RowShapes


def jax_covers(outputs: Sequence[Variable]) -> bool:
    """Return whether JAX has samplers for all random variables that outputs depend on."""
    distributions = {type(node.op) for node in random_nodes(outputs)}
    return distributions <= SAMPLERS.keys() and not draws_in_loops(outputs)


class JaxEngine:
    """Predictions by a function that JAX compiled, as :class:`Engine` has it.

    Parameters
    ----------
    graphs : EngineGraph
        The graphs to compile, of distributions that :func:`jax_covers`.
    shapes : RowShapes
        The shapes of the outputs and of all random variables.
    piece_rows : int
        The rows of a piece.
    sizes : EngineSizes
        How much is computed at once.

    Raises
    ------
    NotImplementedError
        If PyTensor has no JAX conversion of an operation.
    TypeError
        If a shape depends on values, which JAX does not support.
    """

    compiler = "jax"

    def __init__(
        self, graphs: EngineGraph, shapes: RowShapes, piece_rows: int, sizes: EngineSizes
    ) -> None:
        graph = graphs.graph
        rows = [input_like(row, (piece_rows, *row.type.shape[1:])) for row in graph.rows]
        key = pt.lscalar("key")
        tests: list[Variable] = []
        self._tested: list[RandomNode] = []
        self._names = [graphs.names[index] for index in graphs.row_outputs]

        def replacement(index: int, node: RandomNode) -> Variable:
            if index in graphs.shared_draws:
                return graphs.shared_draws[index]
            if (test := is_out_of_range(node)) is not None:
                tests.append(test)
                self._tested.append(node)
            return draw_by_key(node, key, index, shapes.random[index].with_rows(piece_rows))

        outputs = with_random_nodes_replaced(graphs.outputs, replacement)
        self._function = jax_function(
            [*graphs.parameters, key, *graph.fixed.values(), *rows],
            [
                *(outputs[index] for index in graphs.row_outputs),
                pt.stack(tests) if tests else pt.zeros(0, bool),
            ],
            dict(zip(graph.rows, rows, strict=True)),
        )
        self._shapes = [shapes.outputs[index] for index in graphs.row_outputs]
        self._dtypes = [
            jax.dtypes.canonicalize_dtype(prediction_dtype(graphs.outputs[index]))
            for index in graphs.row_outputs
        ]
        # After the axis of the draws.
        self._row_axes = [(shape.row_axis or 0) + 1 for shape in self._shapes]
        self._piece_rows = piece_rows
        self._draws_per_call = sizes.draws_per_call
        self._draws_per_block = sizes.draws_per_block
        row_bytes = sum(
            shape.row_size * dtype.itemsize
            for shape, dtype in zip(self._shapes, self._dtypes, strict=True)
        )
        piece_bytes = sizes.draws_per_call * piece_rows * row_bytes
        self.max_rows = max(1, sizes.call_bytes // max(1, piece_bytes)) * piece_rows
        self._compiled = jax.jit(
            self._blocks,
            # Each call stays on the thread that makes it: pieces are computed side by side.
            compiler_options={"xla_cpu_multi_thread_eigen": False},
        )
        # Traced now, so that what JAX does not support is met before anything is predicted.
        jax.eval_shape(
            self._compiled,
            [
                _abstract(parameter, (sizes.draws_per_call, *parameter.type.shape))
                for parameter in graphs.parameters
            ],
            np.empty(sizes.draws_per_call, np.int64),
            1,
            [_abstract(value, value.type.shape) for value in graph.fixed.values()],
            [_abstract(row, (self.max_rows, *row.type.shape[1:])) for row in rows],
            0,
            1,
            0,
        )

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
        num_rows = len(rows[0])
        # Padded with the last row and draw, so that another number of them compiles nothing.
        padded = [pad_rows(array, self.max_rows) for array in rows]
        num_pieces = -(-num_rows // self._piece_rows)
        size = self._draws_per_call
        results: list[list[Numbers]] = []
        for start in range(0, len(draws), size):
            count = min(size, len(draws) - start)
            values = [pad_rows(value[start : start + size], size) for value in parameters]
            numbers = pad_rows(draws[start : start + size], size)
            num_blocks = -(-count // self._draws_per_block)
            *parts, are_out_of_range = self._compiled(
                values, numbers, num_blocks, fixed, padded, piece, num_pieces, seed
            )
            if np.any(are_out_of_range):
                pairs = zip(self._tested, np.asarray(are_out_of_range), strict=True)
                raise range_error([node for node, is_out in pairs if is_out], self._names)
            results.append(
                [
                    np.asarray(part)[:count, *(slice(None),) * (axis - 1), :num_rows]
                    for part, axis in zip(parts, self._row_axes, strict=True)
                ]
            )
        if len(results) == 1:
            return results[0]
        return [np.concatenate(parts) for parts in zip(*results, strict=True)]

    def _one_draw(
        self,
        values: Sequence[jax.Array],
        draw: jax.Array,
        fixed: Sequence[jax.Array],
        rows: Sequence[jax.Array],
        piece: jax.Array,
        seed: jax.Array,
    ) -> list[jax.Array]:
        """Compute the outputs of one draw for one piece of rows, and which parameters are wrong."""
        key = jax.random.fold_in(jax.random.fold_in(noise_key(seed), draw), piece)
        *outputs, are_out_of_range = self._function(*values, key, *fixed, *rows)
        parts = [part.astype(dtype) for part, dtype in zip(outputs, self._dtypes, strict=True)]
        return [*parts, are_out_of_range]

    def _blocks(
        self,
        values: Sequence[jax.Array],
        draws: jax.Array,
        num_blocks: jax.Array,
        fixed: Sequence[jax.Array],
        rows: Sequence[jax.Array],
        first_piece: jax.Array,
        num_pieces: jax.Array,
        seed: jax.Array,
    ) -> list[jax.Array]:
        """Compute some blocks of draws for some pieces of rows.

        Their numbers are arguments and no constants, so that others compile nothing. Elements of
        the results beyond them are undefined.
        """
        block_size, piece_rows = self._draws_per_block, self._piece_rows
        vectorized = jax.vmap(self._one_draw, in_axes=(0, 0, None, None, None, None))

        def compute_block(index: jax.Array, results: list[jax.Array]) -> list[jax.Array]:
            piece, start = index // num_blocks, index % num_blocks * block_size
            row = piece * piece_rows
            block_values, numbers = jax.tree.map(
                lambda array: jax.lax.dynamic_slice_in_dim(array, start, block_size),
                (values, draws),
            )
            piece_of_rows = [jax.lax.dynamic_slice_in_dim(array, row, piece_rows) for array in rows]
            *parts, are_out_of_range = vectorized(
                block_values, numbers, fixed, piece_of_rows, first_piece + piece, seed
            )
            return [
                jax.lax.dynamic_update_slice(
                    result,
                    part,
                    # Draws are on the first axis.
                    [{0: start, row_axis: row}.get(axis, 0) for axis in range(part.ndim)],
                )
                for result, part, row_axis in zip(results[:-1], parts, self._row_axes, strict=True)
            ] + [results[-1] | are_out_of_range.any(axis=0)]

        results = [
            jnp.empty((self._draws_per_call, *shape.with_rows(self.max_rows)), dtype)
            for shape, dtype in zip(self._shapes, self._dtypes, strict=True)
        ] + [jnp.zeros(len(self._tested), bool)]
        return jax.lax.fori_loop(0, num_blocks * num_pieces, compute_block, results)  # type: ignore[no-any-return]


def _abstract(variable: Variable, shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    """Return the shape and dtype of an argument, for JAX to trace with."""
    abstract: jax.ShapeDtypeStruct = jax.eval_shape(partial(jnp.empty, shape, variable.type.dtype))
    return abstract
