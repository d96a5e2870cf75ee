"""States of rows: packed side by side, moved by an optimizer of their own, averaged."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bayou.fitting.guides.mean_field import MeanFieldParams
from bayou.fitting.stochastic.row_states import (
    MAX_ROW_RATE,
    ROW_RATE_FACTOR,
    RowState,
    average_rows,
    move_rows,
    pack_rows,
    repack_rows,
    unpack_rows,
)

ADAM = optax.chain(optax.scale_by_adam(), optax.scale(-1.0))
DESCENT = optax.scale(-1.0)


def normals(num_rows: int, size: int, seed: int = 0) -> MeanFieldParams:
    random = np.random.default_rng(seed)
    location, log_scale = random.normal(size=(2, num_rows, size))
    return MeanFieldParams(jnp.asarray(location), jnp.asarray(log_scale))


@pytest.mark.parametrize("optimizer", [ADAM, DESCENT], ids=["Adam", "descent"])
@pytest.mark.parametrize(("num_rows", "size"), [(1, 1), (5, 3)])
def test_packed_states_come_back(
    num_rows: int, size: int, optimizer: optax.GradientTransformation
) -> None:
    params = normals(num_rows, size)
    packed = pack_rows(optimizer, params)
    assert packed.ndim == 2
    assert len(packed) == num_rows
    rows = unpack_rows(optimizer, packed, size)
    np.testing.assert_array_equal(rows.params.location, params.location)
    np.testing.assert_array_equal(rows.average.log_scale, params.log_scale)
    np.testing.assert_array_equal(repack_rows(rows), packed)
    np.testing.assert_array_equal(average_rows(optimizer, packed, size).location, params.location)


def states(params: MeanFieldParams) -> RowState:
    size = params.location.shape[1]
    return unpack_rows(DESCENT, pack_rows(DESCENT, params), size)


@pytest.mark.parametrize("rate", [0.01, 10.0])
def test_rows_move_further_than_the_position_up_to_a_limit(rate: float) -> None:
    params = MeanFieldParams(jnp.zeros((3, 1)), jnp.full((3, 1), np.log(2.0)))
    gradients = MeanFieldParams(jnp.ones((3, 1)), jnp.ones((3, 1)))
    moved = move_rows(DESCENT, states(params), gradients, jnp.asarray(rate))
    row_rate = min(ROW_RATE_FACTOR * rate, MAX_ROW_RATE)
    # The step of a location is in units of its standard deviation, here 2.
    np.testing.assert_allclose(moved.params.location, -row_rate * 2**2)
    np.testing.assert_allclose(moved.params.log_scale, np.log(2) - row_rate)
    # The average follows slowly.
    assert (jnp.abs(moved.average.location) < 0.1 * jnp.abs(moved.params.location)).all()


def test_the_average_comes_to_where_the_rows_are() -> None:
    rows = states(normals(4, 2))
    still = jax.tree.map(jnp.zeros_like, rows.params)
    moved = rows._replace(params=jax.tree.map(lambda leaf: leaf + 1, rows.params))
    for _ in range(200):
        moved = move_rows(DESCENT, moved, still, jnp.asarray(0.1))
    np.testing.assert_allclose(moved.average.location, rows.params.location + 1, atol=1e-3)
