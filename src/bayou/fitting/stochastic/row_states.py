"""The normals of variables with a value for each row, and how a step moves those that it visits.

Each row has its own optimizer. All that a step changes of a row lies side by side in one array, so
that a visit reads and writes one line of the cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import pytensor
from jax.flatten_util import ravel_pytree

from bayou.fitting.guides.mean_field import MeanFieldParams
from bayou.fitting.stochastic.negative_elbo import NORMALS

if TYPE_CHECKING:
    from collections.abc import Callable

    import optax

# A row is visited once an epoch, where the position is moved in each step: it moves further at a
# time, up to a rate at which its noise would take over.
ROW_RATE_FACTOR = 8.0
MAX_ROW_RATE = 0.5
# The weight of the last visit in the average: it is over about the last 20 visits.
AVERAGE_SHARE = 0.05


class RowState(NamedTuple):
    """Per-row optimizer state, updated in each step that visits the row.

    Attributes
    ----------
    params : MeanFieldParams, shapes (size,)
        The normals of the row.
    optimizer : pytree
        The state of the row's optimizer.
    average : MeanFieldParams, shapes (size,)
        The parameters, averaged over the last visits.
    """

    params: MeanFieldParams
    optimizer: optax.OptState
    average: MeanFieldParams


def pack_rows(optimizer: optax.GradientTransformation, params: MeanFieldParams) -> jax.Array:
    """Return the first states of rows, shape (num_rows, width), from their normals."""
    return jax.vmap(lambda row: _pack_row(optimizer, row)[0])(params)


def unpack_rows(optimizer: optax.GradientTransformation, packed: jax.Array, size: int) -> RowState:
    """Return the states of rows as a :class:`RowState` with leading axis num_rows.

    Parameters
    ----------
    optimizer : optax.GradientTransformation
        The optimizer of each row.
    packed : jax.Array, shape (num_rows, width)
        Their states.
    size : int
        The number of elements of a row.
    """
    zeros = jnp.zeros(size, pytensor.config.floatX)
    unpack = _pack_row(optimizer, MeanFieldParams(zeros, zeros))[1]
    rows: RowState = jax.vmap(unpack)(packed)
    return rows


def repack_rows(rows: RowState) -> jax.Array:
    """Return the states of rows side by side, shape (num_rows, width)."""
    return jax.vmap(lambda row: ravel_pytree(row)[0])(rows)


def average_rows(
    optimizer: optax.GradientTransformation, packed: jax.Array, size: int
) -> MeanFieldParams:
    """Return the averaged normals of all rows, shapes (num_rows, size)."""
    average: MeanFieldParams = jax.jit(lambda packed: unpack_rows(optimizer, packed, size).average)(
        packed
    )
    return average


def move_rows(
    optimizer: optax.GradientTransformation,
    rows: RowState,
    gradients: MeanFieldParams,
    rate: jax.Array,
) -> RowState:
    """Move the normals of the rows that a step visits.

    Parameters
    ----------
    optimizer : optax.GradientTransformation
        The optimizer of each row.
    rows : RowState, leading axis num_rows
        Their states.
    gradients : MeanFieldParams, shapes (num_rows, size)
        The gradients of the loss.
    rate : jax.Array, shape ()
        The rate of the step.
    """
    params, memory, average = rows
    white = NORMALS.whiten(params, gradients)
    updates, memory = jax.vmap(optimizer.update)(white, memory, params)
    move = NORMALS.color(params, updates)
    rate = jnp.minimum(ROW_RATE_FACTOR * rate, MAX_ROW_RATE)
    params = jax.tree.map(lambda old, change: old + rate * change, params, move)
    average = jax.tree.map(lambda old, new: old + AVERAGE_SHARE * (new - old), average, params)
    return RowState(params, memory, average)


def _pack_row(
    optimizer: optax.GradientTransformation, row: MeanFieldParams
) -> tuple[jax.Array, Callable[[jax.Array], RowState]]:
    """Return the first state of a row as one array, and the function that unpacks such an array."""
    return ravel_pytree(RowState(row, optimizer.init(row), row))
