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

from bayou.inference.forward import (
    draws_in_loops,
    dtype_of,
    generators_of,
    random_nodes,
    substituted,
    with_shape,
)
from bayou.inference.noise import noise_key
from bayou.inference.program import jax_function
from bayou.inference.samplers import SAMPLERS, by_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.inference.forward import Graph
    from bayou.inference.rowwise import Shape

# (values of the parameters, shapes (draws, ...); numbers of the draws; what the containers without
# rows hold; rows; number of the piece; seed) -> outputs, shapes (draws, ...).
type Engine = Callable[..., list[NDArray[Any]]]

# Draws that JAX takes at a time, and those of them that it computes side by side: as few as stay in
# the caches.
MANY, ABREAST = 1024, 64


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
    shapes: Sequence[Shape],
    num_rows: int,
) -> Engine:
    """Translate outputs to JAX, for many draws at once.

    Parameters
    ----------
    graph : Graph
        What they are of.
    parameters : sequence of Variable
        The inputs that differ from draw to draw.
    outputs : sequence of Variable
        What is asked for.
    chosen : sequence of int
        The numbers of those outputs that are computed.
    places : mapping of int to Variable
        The parameters that stand for random variables, by the numbers of these.
    shapes : sequence of Shape
        Of all the random variables, in their order.
    num_rows : int
        The rows of a piece.
    """
    key = pt.lscalar("key")

    def substitute(index: int, node: Any) -> Variable:
        if index in places:
            return places[index]
        return by_key(node, key, index, shapes[index].of(num_rows))

    rows = [with_shape(row, (num_rows, *row.type.shape[1:])) for row in graph.rows]
    substitutes = substituted(outputs, substitute)
    function = jax_function(
        [*parameters, key, *graph.fixed.values(), *rows],
        [substitutes[index] for index in chosen],
        dict(zip(graph.rows, rows, strict=True)),
    )
    dtypes = [jax.dtypes.canonicalize_dtype(dtype_of(outputs[index])) for index in chosen]

    def one(values: Any, draw: Any, fixed: Any, row_values: Any, piece: Any, seed: Any) -> Any:
        at = jax.random.fold_in(jax.random.fold_in(noise_key(seed), draw), piece)
        found = function(*values, at, *fixed, *row_values)
        return [part.astype(dtype) for part, dtype in zip(found, dtypes, strict=True)]

    abreast = jax.vmap(one, in_axes=(0, 0, None, None, None, None))

    def many(values: Any, draws: Any, count: Any, *others: Any) -> Any:
        """Compute a number of blocks of draws, which is no constant; the rest is of no meaning."""

        def block(index: Any, results: Any) -> Any:
            start = index * ABREAST
            part, numbers = jax.tree.map(
                lambda array: jax.lax.dynamic_slice_in_dim(array, start, ABREAST), (values, draws)
            )
            found = abreast(part, numbers, *others)
            return [
                jax.lax.dynamic_update_slice_in_dim(result, values, start, 0)
                for result, values in zip(results, found, strict=True)
            ]

        single = jax.eval_shape(
            one, *jax.tree.map(lambda array: array[0], (values, draws)), *others
        )
        empty = [jnp.empty((MANY, *part.shape), part.dtype) for part in single]
        return jax.lax.fori_loop(0, count, block, empty)

    compiled = jax.jit(many)
    # Traced now, so that what JAX cannot do is met before anything is predicted.
    jax.eval_shape(
        compiled,
        [_empty(place, (MANY, *place.type.shape)) for place in parameters],
        np.empty(MANY, np.int64),
        1,
        [_empty(place, place.type.shape) for place in graph.fixed.values()],
        [_empty(row, row.type.shape) for row in rows],
        0,
        0,
    )

    def engine(
        values: Any, draws: NDArray[Any], fixed: Any, row_values: Any, piece: int, seed: int
    ) -> list[NDArray[Any]]:
        results: list[list[NDArray[Any]]] = []
        for start in range(0, len(draws), MANY):
            count = min(MANY, len(draws) - start)
            # Filled up with the last draw, so that any number of them compiles nothing.
            chosen = np.minimum(np.arange(start, start + MANY), len(draws) - 1)
            block = [value[chosen] for value in values]
            blocks = -(-count // ABREAST)
            found = compiled(block, draws[chosen], blocks, fixed, row_values, piece, seed)
            results.append([np.asarray(part)[:count] for part in found])
        if len(results) == 1:
            return results[0]
        return [np.concatenate(parts) for parts in zip(*results, strict=True)]

    return engine


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
