"""Low-rank normals: what is of them alone."""

import jax.numpy as jnp
import numpy as np

from bayou.fitting.guides.low_rank import LowRank

POSITION = np.array([1.0, -2.0, 0.5, 30.0])
SCALE = np.array([0.1, 2.0, 1.0, 5.0])
SIZE = 4


def test_low_rank_takes_no_more_directions_than_there_are_elements() -> None:
    params = LowRank(rank=10).init(jnp.asarray(POSITION), jnp.asarray(SCALE))
    assert params.factor.shape == (SIZE, SIZE)
    assert LowRank(rank=1).init(jnp.asarray(POSITION), jnp.asarray(SCALE)).factor.shape == (SIZE, 1)


def test_directions_start_apart_and_alike_each_time() -> None:
    first, again = (LowRank(2).init(jnp.asarray(POSITION), jnp.asarray(SCALE)) for _ in range(2))
    np.testing.assert_array_equal(first.factor, again.factor)
    assert np.linalg.matrix_rank(first.factor) == 2
