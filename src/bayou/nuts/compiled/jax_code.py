"""JAX functions of a density: of all chains at once, compiled for one set of shapes."""

from __future__ import annotations

import logging
import os
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pytensor.tensor as pt
from jax.experimental.serialize_executable import deserialize_and_load, serialize
from pytensor.compile.mode import JAX as JAX_MODE
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace

from bayou.density.jax_function import funcify
from bayou.fitting.guides.coordinates import Frame
from bayou.nuts.code_cache.code_files import code_key, read_code, write_code
from bayou.nuts.compiled.bound_density import MAX_DENSE
from bayou.nuts.compiled.density_graphs import jax_codes
from bayou.nuts.compiled.jax_rewrites import rewrite_for_speed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.containers.variables.dims import Numbers
    from bayou.nuts.compiled.density_graphs import DensityGraphs

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class JaxCode:
    """Compiled functions of one set of shapes.

    Attributes
    ----------
    evaluate : callable
        (coordinates, shape (num_lanes, size), the origin and factor of their frame, data) -> log
        densities, each followed by its gradient, shape (num_lanes, 1 + size).
    expand : callable
        (coordinates, shape (size,), origin, factor, data) -> flat draw.
    """

    evaluate: Callable[..., jax.Array]
    expand: Callable[..., jax.Array]


def is_dense(size: int) -> bool:
    """Return whether the factor of coordinates is a matrix, also where it is a diagonal one."""
    return size <= MAX_DENSE


def jax_code(
    graphs: DensityGraphs,
    lengths: NDArray[np.int64],
    arguments: Sequence[Numbers],
    size: int,
    num_lanes: int,
) -> JaxCode:
    """Return the code of graphs for shapes, compiled once for all graphs that are equal.

    Parameters
    ----------
    graphs : DensityGraphs
    lengths : ndarray of int64
        The lengths of the free variables, which are constants of the code.
    arguments : sequence of ndarray
        Data of these shapes.
    size : int
        The length of a position.
    num_lanes : int
        The number of positions of a call.

    Raises
    ------
    NotImplementedError
        If JAX cannot compile the graphs.
    """
    shapes = tuple(value.shape for value in arguments)
    key = (graphs.key, tuple(lengths.tolist()), shapes, size, num_lanes)

    def compile_code() -> JaxCode:
        constants = graphs.inputs[1], pt.constant(lengths)
        density = _function(graphs, graphs.density, constants, (size,), shapes)
        draw = _function(graphs, graphs.draw, constants, (size,), shapes)

        def lane(
            coordinates: jax.Array, origin: jax.Array, factor: jax.Array, *data: jax.Array
        ) -> jax.Array:
            frame = Frame(origin, factor)
            value, gradient = density(frame.positions(coordinates), *data)
            rows = [jnp.reshape(value, (1,)), frame.gradients(gradient)]
            return jnp.concatenate(rows).astype(jnp.float64)

        def expand(
            coordinates: jax.Array, origin: jax.Array, factor: jax.Array, *data: jax.Array
        ) -> jax.Array:
            return draw(Frame(origin, factor).positions(coordinates), *data)[0]

        position = np.zeros(size)
        factor = np.eye(size) if is_dense(size) else np.ones(size)
        rest = (position, factor, *arguments)
        lanes = jax.vmap(lane, (0, *(None for _ in rest)))
        return JaxCode(
            _read_or_compile(lanes, (np.zeros((num_lanes, size)), *rest)),
            _read_or_compile(expand, (position, *rest)),
        )

    try:
        return jax_codes.get_or_compile(key, compile_code)
    # JAX has no type of error for what it cannot trace: lengths that depend on values, for one.
    except (TypeError, ValueError, IndexError) as error:
        raise NotImplementedError(str(error)) from error


def _read_or_compile(
    function: Callable[..., jax.Array], example: Sequence[Numbers]
) -> Callable[..., jax.Array]:
    """Return the code of a function for arguments like an example, from a file if it is there."""
    lowered = jax.jit(function).lower(*example)
    # The text leaves out arguments that are not used, but code is for their shapes too.
    arguments = str(lowered.args_info)
    flags = os.environ.get("XLA_FLAGS", "")
    parts = ["jax", lowered.as_text(), arguments, str(jax.devices()[0]), flags]
    key = code_key(parts, ("jax", "jaxlib"))
    content = read_code(key)
    if content is not None:
        try:
            return _load(content, example)
        # XLA has no type of error for code that it does not take.
        except Exception as error:
            _logger.info("Machine code is compiled again: %s", error)
    compiled = lowered.compile()
    try:
        content = pickle.dumps(serialize(compiled))
        _load(content, example)
        write_code(key, content)
    # Nor for code that it cannot write, such as that of callbacks.
    except Exception as error:
        _logger.info("Machine code is not kept: %s", error)
    return compiled


def _load(content: bytes, example: Sequence[Numbers]) -> Callable[..., jax.Array]:
    """Return code from the bytes of a file, after a call.

    Code that was compiled by another process, and read from the cache of JAX itself, is written
    without its functions: it loads, and fails when it is called ("NOT_FOUND", jaxlib 0.12).
    """
    loaded: Callable[..., jax.Array] = deserialize_and_load(*pickle.loads(content))
    jax.block_until_ready(loaded(*example))
    return loaded


def _function(
    graphs: DensityGraphs,
    outputs: Sequence[Variable],
    constants: tuple[Variable, Variable],
    position_shape: tuple[int, ...],
    shapes: Sequence[tuple[int, ...]],
) -> Callable[..., Sequence[jax.Array]]:
    """Return a JAX function of the position and the data, rewritten for their shapes."""
    variables = [graphs.inputs[0], *graphs.inputs[2:]]
    inputs = [
        variable.type.clone(shape=shape)(name=variable.name)
        for variable, shape in zip(variables, [position_shape, *shapes], strict=True)
    ]
    replacements = dict(zip(variables, inputs, strict=True)) | dict([constants])
    replaced = clone_replace(list(outputs), replacements, rebuild_strict=False)
    graph = FunctionGraph(inputs, replaced, clone=True)
    checks = "ninf_switch" if graphs.check_bounds else None
    rewrite = "local_check_parameter_to_ninf_switch" if checks else "local_remove_check_parameter"
    JAX_MODE.including(rewrite).optimizer.rewrite(graph)
    rewrite_for_speed(graph)
    return funcify(graph)
