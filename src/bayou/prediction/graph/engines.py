"""Predictions for one piece of rows at a time, by JAX or by PyTensor's own compiler.

Random numbers depend on the seed, the number of the draw, the number of the piece and the place in
it, so that they are the same whatever is computed first, and by how many threads.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytensor
import pytensor.tensor as pt

from bayou.density.jax_function import jax_function
from bayou.density.prng import noise_key
from bayou.feeding.row_padding import pad_rows
from bayou.prediction.graph.forward_graph import (
    draws_in_loops,
    dtype_of,
    generators_of,
    random_nodes,
    substituted,
    with_shape,
)
from bayou.prediction.graph.jax_random import SAMPLERS, by_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.prediction.graph.forward_graph import Graph
    from bayou.prediction.graph.row_dependence import Rowwise

# (values of the parameters, shapes (draws, ...); numbers of the draws; what the containers without
# rows hold; rows; number of the first piece; seed) -> outputs, shapes (draws, ...).
type Engine = Callable[..., list[NDArray[Any]]]

# Draws that JAX takes at a time, and those of them that it computes side by side: as few as stay in
# the caches. What it makes of them in one call takes about so many bytes.
MANY, ABREAST = 1024, 64
CALL_BYTES = 2**23


def jax_covers(outputs: Sequence[Variable]) -> bool:
    """Tell whether JAX draws all the random variables that outputs depend on."""
    kinds = {type(node.op) for node in random_nodes(outputs)}
    return kinds <= SAMPLERS.keys() and not draws_in_loops(outputs)


def jax_engine(
    graph: Graph,
    parameters: Sequence[Variable],
    outputs: Sequence[Variable],
    chosen: Sequence[int],
    places: Mapping[int, Variable],
    found: Rowwise,
    piece_rows: int,
) -> tuple[Engine, int]:
    """Translate outputs to JAX, for many draws and some pieces of rows at once.

    Parameters
    ----------
    graph : Graph
        What they are of.
    parameters : sequence of Variable
        The inputs that differ from draw to draw.
    outputs : sequence of Variable
        What is asked for.
    chosen : sequence of int
        The numbers of those outputs that are computed, all of which differ from row to row.
    places : mapping of int to Variable
        The parameters that stand for random variables, by the numbers of these.
    found : Rowwise
        The shapes of the outputs, and of all the random variables.
    piece_rows : int
        The rows of a piece.

    Returns
    -------
    engine : Engine
    most : int
        The rows that it takes at most, which are whole pieces.
    """
    key = pt.lscalar("key")

    def substitute(index: int, node: Any) -> Variable:
        if index in places:
            return places[index]
        return by_key(node, key, index, found.nodes[index].of(piece_rows))

    rows = [with_shape(row, (piece_rows, *row.type.shape[1:])) for row in graph.rows]
    substitutes = substituted(outputs, substitute)
    function = jax_function(
        [*parameters, key, *graph.fixed.values(), *rows],
        [substitutes[index] for index in chosen],
        dict(zip(graph.rows, rows, strict=True)),
    )
    shapes = [found.outputs[index] for index in chosen]
    dtypes = [jax.dtypes.canonicalize_dtype(dtype_of(outputs[index])) for index in chosen]
    row_axes = [(shape.row_axis or 0) + 1 for shape in shapes]
    row_bytes = sum(
        shape.row_size * dtype.itemsize for shape, dtype in zip(shapes, dtypes, strict=True)
    )
    num_pieces = max(1, CALL_BYTES // max(1, MANY * piece_rows * row_bytes))
    most = num_pieces * piece_rows

    def one(values: Any, draw: Any, fixed: Any, row_values: Any, piece: Any, seed: Any) -> Any:
        at = jax.random.fold_in(jax.random.fold_in(noise_key(seed), draw), piece)
        made = function(*values, at, *fixed, *row_values)
        return [part.astype(dtype) for part, dtype in zip(made, dtypes, strict=True)]

    abreast = jax.vmap(one, in_axes=(0, 0, None, None, None, None))

    def many(
        values: Any, draws: Any, blocks: Any, fixed: Any, row_values: Any,
        first: Any, pieces: Any, seed: Any,
    ) -> Any:  # fmt: skip
        """Compute some blocks of draws of some pieces, no constants; the rest has no meaning."""

        def block(index: Any, results: Any) -> Any:
            piece, start = index // blocks, index % blocks * ABREAST
            row = piece * piece_rows
            part, numbers = jax.tree.map(
                lambda array: jax.lax.dynamic_slice_in_dim(array, start, ABREAST), (values, draws)
            )
            some = [jax.lax.dynamic_slice_in_dim(array, row, piece_rows) for array in row_values]
            made = abreast(part, numbers, fixed, some, first + piece, seed)
            return [
                jax.lax.dynamic_update_slice(result, part, _corner(part.ndim, start, axis, row))
                for result, part, axis in zip(results, made, row_axes, strict=True)
            ]

        results = [
            jnp.empty((MANY, *shape.of(most)), dtype)
            for shape, dtype in zip(shapes, dtypes, strict=True)
        ]
        return jax.lax.fori_loop(0, blocks * pieces, block, results)

    # Each call on the thread that makes it: pieces of rows are computed side by side.
    compiled = jax.jit(many, compiler_options={"xla_cpu_multi_thread_eigen": False})
    # Traced now, so that what JAX cannot do is met before anything is predicted.
    jax.eval_shape(
        compiled,
        [_empty(place, (MANY, *place.type.shape)) for place in parameters],
        np.empty(MANY, np.int64),
        1,
        [_empty(place, place.type.shape) for place in graph.fixed.values()],
        [_empty(row, (most, *row.type.shape[1:])) for row in rows],
        0,
        1,
        0,
    )

    def engine(
        values: Any, draws: NDArray[Any], fixed: Any, row_values: Any, piece: int, seed: int
    ) -> list[NDArray[Any]]:
        num_rows = len(row_values[0])
        # Padded with the last row and draw, so that any number of them compiles nothing.
        padded = [pad_rows(array, most) for array in row_values]
        pieces = -(-num_rows // piece_rows)
        results: list[list[NDArray[Any]]] = []
        for start in range(0, len(draws), MANY):
            count = min(MANY, len(draws) - start)
            block, numbers = (
                [pad_rows(value[start : start + MANY], MANY) for value in values],
                pad_rows(draws[start : start + MANY], MANY),
            )
            blocks = -(-count // ABREAST)
            made = compiled(block, numbers, blocks, fixed, padded, piece, pieces, seed)
            results.append(
                [
                    np.asarray(part)[:count, *(slice(None),) * (axis - 1), :num_rows]
                    for part, axis in zip(made, row_axes, strict=True)
                ]
            )
        if len(results) == 1:
            return results[0]
        return [np.concatenate(parts) for parts in zip(*results, strict=True)]

    return engine, most


def _corner(ndim: int, start: Any, axis: int, row: Any) -> list[Any]:
    """Return the place of a block of draws of a piece."""
    return [{0: start, axis: row}.get(place, 0) for place in range(ndim)]


def _empty(place: Variable, shape: tuple[int, ...]) -> Any:
    return jax.eval_shape(partial(jnp.empty, shape, place.type.dtype))


def pytensor_engine(
    graph: Graph,
    parameters: Sequence[Variable],
    outputs: Sequence[Variable],
    chosen: Sequence[int],
    places: Mapping[int, Variable],
) -> Engine:
    """Compile outputs by PyTensor, in its default mode, for a draw at a time and any rows."""
    substitutes = substituted(outputs, lambda index, node: places.get(index))
    made = [substitutes[index] for index in chosen]
    generators = generators_of(made)
    inputs = [*parameters, *graph.fixed.values(), *graph.rows]
    function = pytensor.function(
        [*inputs, *(pytensor.In(generator, mutable=True) for generator in generators)],
        made,
        on_unused_input="ignore",
    )
    dtypes = [dtype_of(outputs[index]) for index in chosen]
    lock = threading.Lock()

    def engine(
        values: Any, draws: NDArray[Any], fixed: Any, row_values: Any, piece: int, seed: int
    ) -> list[NDArray[Any]]:
        results = []
        for place, draw in enumerate(draws.tolist()):
            numbers = generators_at(len(generators), seed, draw, piece)
            with lock:
                found = function(*(value[place] for value in values), *fixed, *row_values, *numbers)
            results.append(
                [np.array(part, dtype) for part, dtype in zip(found, dtypes, strict=True)]
            )
        return [np.stack(parts) for parts in zip(*results, strict=True)]

    return engine


def generators_at(count: int, *place: int) -> list[np.random.Generator]:
    """Return generators that depend on a place alone."""
    seeds = np.random.SeedSequence(place).spawn(count)
    return [np.random.Generator(np.random.SFC64(seed)) for seed in seeds]
