"""Full-rank normals: what is of them alone."""

import jax
import jax.numpy as jnp
import numpy as np

from bayou.fitting.guides.full_rank import FullRank

POSITION = np.array([1.0, -2.0, 0.5, 30.0])
SCALE = np.array([0.1, 2.0, 1.0, 5.0])


def test_what_is_above_the_diagonal_of_full_rank_is_not_read() -> None:
    guide = FullRank()
    params = guide.init(jnp.asarray(POSITION), jnp.asarray(SCALE))
    values = np.random.default_rng(1).normal(size=(4, 4))
    params = params._replace(factor=jnp.asarray(values))
    lower = params._replace(factor=jnp.tril(params.factor, -1))
    noise = guide.noise(jax.random.key(0), 1, 4, None)[0]
    np.testing.assert_array_equal(guide.transport(params, noise), guide.transport(lower, noise))
    np.testing.assert_array_equal(guide.std(params), guide.std(lower))
    assert guide.log_density(params, noise) == guide.log_density(lower, noise)


def test_the_covariance_is_that_of_the_cholesky_factor() -> None:
    params = FullRank().init(jnp.asarray(POSITION), jnp.asarray(SCALE))
    np.testing.assert_allclose(params.cholesky, np.diag(SCALE))
    params = params._replace(factor=jnp.ones((4, 4)))
    np.testing.assert_allclose(params.cholesky, np.diag(SCALE) + np.tril(np.ones((4, 4)), -1))
