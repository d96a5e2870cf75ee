"""A normal whose covariance is a diagonal plus a matrix of low rank (Ong, Nott and Smith 2018).

It costs ``rank + 2`` numbers for each element of the position, and time in proportion to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from bayou.fitting.guides import LOG_2_PI

if TYPE_CHECKING:
    from jax.typing import DTypeLike


class LowRankParams(NamedTuple):
    """Location, scales and common directions.

    The covariance is ``D (I + factor @ factor.T) D`` with ``D = diag(exp(log_scale))``.

    Attributes
    ----------
    location : jax.Array, shape (size,)
        The mean.
    log_scale : jax.Array, shape (size,)
        The log of the diagonal of ``D``.
    factor : jax.Array, shape (size, rank)
        The common directions, in units of ``D``.
    """

    location: jax.Array
    log_scale: jax.Array
    factor: jax.Array


@dataclass(frozen=True)
class LowRank:
    """Normals whose correlations come from a few common directions.

    Parameters
    ----------
    rank : int, default 10
        The number of directions, limited to the number of elements.
    """

    rank: int = 10

    def init(self, position: jax.Array, scale: jax.Array) -> LowRankParams:
        """Return parameters around a position, with about these standard deviations."""
        size = len(position)
        rank = min(self.rank, size)
        # At zero, all directions would have the same gradient and stay the same. The key is fixed,
        # so that the start is a function of the arguments.
        factor = 0.1 * jax.random.normal(jax.random.key(0), (size, rank), position.dtype)
        return LowRankParams(position, jnp.log(scale), factor)

    def noise(
        self, key: jax.Array, num_draws: int, size: int, dtype: DTypeLike | None
    ) -> tuple[jax.Array, jax.Array]:
        """Return standard normals, shapes (num_draws, size) and (num_draws, rank)."""
        diagonal_key, common_key = jax.random.split(key)
        return (
            jax.random.normal(diagonal_key, (num_draws, size), dtype),
            jax.random.normal(common_key, (num_draws, min(self.rank, size)), dtype),
        )

    def transport(self, params: LowRankParams, noise: tuple[jax.Array, jax.Array]) -> jax.Array:
        """Return location + scale * (diagonal noise + factor @ common noise)."""
        diagonal, common = noise
        return params.location + jnp.exp(params.log_scale) * (diagonal + params.factor @ common)

    def log_density(self, params: LowRankParams, position: jax.Array) -> jax.Array:
        """Return the log density of a position, by the matrix inversion lemma."""
        white = (position - params.location) * jnp.exp(-params.log_scale)
        capacity = jnp.eye(params.factor.shape[1]) + params.factor.T @ params.factor
        cholesky = jnp.linalg.cholesky(capacity)
        common = jax.scipy.linalg.solve_triangular(cholesky, params.factor.T @ white, lower=True)
        half_log_determinant = jnp.log(jnp.diag(cholesky)).sum() + params.log_scale.sum()
        squares = jnp.sum(white**2 + LOG_2_PI) - jnp.sum(common**2)
        return -0.5 * squares - half_log_determinant

    def whiten(self, params: LowRankParams, gradient: LowRankParams) -> LowRankParams:
        """Return the gradient with respect to steps in units of the standard deviations."""
        return gradient._replace(location=jnp.exp(params.log_scale) * gradient.location)

    def color(self, params: LowRankParams, step: LowRankParams) -> LowRankParams:
        """Return the change of the parameters that a step in those units makes."""
        return step._replace(location=jnp.exp(params.log_scale) * step.location)

    def covariance_factor(self, params: LowRankParams) -> jax.Array:
        """Return a matrix that gives the covariance if multiplied by its transpose.

        Its shape is (size, size + rank).
        """
        scale = jnp.exp(params.log_scale)
        return jnp.hstack([jnp.diag(scale), scale[:, None] * params.factor])

    def mean(self, params: LowRankParams) -> jax.Array:
        """Return the mean, shape (size,)."""
        return params.location

    def std(self, params: LowRankParams) -> jax.Array:
        """Return the standard deviations, shape (size,)."""
        return jnp.exp(params.log_scale) * jnp.sqrt(1 + jnp.sum(params.factor**2, axis=1))
