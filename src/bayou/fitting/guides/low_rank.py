"""A normal whose covariance is a diagonal plus a matrix of low rank (Ong, Nott and Smith 2018).

It costs ``rank + 2`` numbers a variable, and time in proportion to them.
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
    """Location and log of the diagonal's root, shapes (size,), and factor, shape (size, rank).

    The covariance is ``D (I + factor @ factor.T) D`` with ``D = diag(exp(log_scale))``: the factor
    is in units of the diagonal.
    """

    location: jax.Array
    log_scale: jax.Array
    factor: jax.Array


@dataclass(frozen=True)
class LowRank:
    """Normals with the correlations of a few common directions.

    Parameters
    ----------
    rank : int, default 10
        The number of directions; no more than the variables have elements is used.
    """

    rank: int = 10

    def init(self, position: jax.Array, scale: jax.Array) -> LowRankParams:
        """Return parameters around a position, with about these standard deviations."""
        size = len(position)
        rank = min(self.rank, size)
        # Directions that all start at zero would have no gradient to part by.
        factor = 0.1 * jax.random.normal(jax.random.key(0), (size, rank), position.dtype)
        return LowRankParams(position, jnp.log(scale), factor)

    def noise(
        self, key: jax.Array, num_draws: int, size: int, dtype: DTypeLike | None
    ) -> tuple[jax.Array, jax.Array]:
        """Return standard normals, shapes (num_draws, size) and (num_draws, rank)."""
        own, common = jax.random.split(key)
        return (
            jax.random.normal(own, (num_draws, size), dtype),
            jax.random.normal(common, (num_draws, min(self.rank, size)), dtype),
        )

    def transport(self, params: LowRankParams, noise: tuple[jax.Array, jax.Array]) -> jax.Array:
        """Return location + scale * (own noise + factor @ common noise)."""
        own, common = noise
        return params.location + jnp.exp(params.log_scale) * (own + params.factor @ common)

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
        """Return the gradient with respect to steps in units of the guide's own spread."""
        return gradient._replace(location=jnp.exp(params.log_scale) * gradient.location)

    def color(self, params: LowRankParams, step: LowRankParams) -> LowRankParams:
        """Return the change of the parameters that a step in those units makes."""
        return step._replace(location=jnp.exp(params.log_scale) * step.location)

    def mean(self, params: LowRankParams) -> jax.Array:
        """Return the mean, shape (size,)."""
        return params.location

    def std(self, params: LowRankParams) -> jax.Array:
        """Return the standard deviations, shape (size,)."""
        return jnp.exp(params.log_scale) * jnp.sqrt(1 + jnp.sum(params.factor**2, axis=1))
