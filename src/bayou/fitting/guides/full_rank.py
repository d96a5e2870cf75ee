"""A normal with any covariance (full-rank ADVI; Kucukelbir et al. 2017), of size**2 / 2 numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from bayou.fitting.guides import LOG_2_PI

if TYPE_CHECKING:
    from jax.typing import DTypeLike


class FullRankParams(NamedTuple):
    """Location and Cholesky factor of the covariance.

    Attributes
    ----------
    location : jax.Array, shape (size,)
        The mean.
    log_diagonal : jax.Array, shape (size,)
        The log of the diagonal of the Cholesky factor, so that it stays positive.
    factor : jax.Array, shape (size, size)
        The part of the Cholesky factor below the diagonal. The rest of the array is not read.
    """

    location: jax.Array
    log_diagonal: jax.Array
    factor: jax.Array

    @property
    def cholesky(self) -> jax.Array:
        """The lower triangular factor, shape (size, size)."""
        return jnp.tril(self.factor, -1) + jnp.diag(jnp.exp(self.log_diagonal))


@dataclass(frozen=True)
class FullRank:
    """Normals with every correlation."""

    def init(self, position: jax.Array, scale: jax.Array) -> FullRankParams:
        """Return parameters around a position, with these standard deviations."""
        size = len(position)
        return FullRankParams(position, jnp.log(scale), jnp.zeros((size, size), position.dtype))

    def noise(
        self, key: jax.Array, num_draws: int, size: int, dtype: DTypeLike | None
    ) -> jax.Array:
        """Return standard normals, shape (num_draws, size)."""
        return jax.random.normal(key, (num_draws, size), dtype)

    def transport(self, params: FullRankParams, noise: jax.Array) -> jax.Array:
        """Return location + cholesky @ noise."""
        return params.location + params.cholesky @ noise

    def log_density(self, params: FullRankParams, position: jax.Array) -> jax.Array:
        """Return the log density of a position."""
        white = solve_triangular(params.cholesky, position - params.location, lower=True)
        return -0.5 * jnp.sum(white**2 + LOG_2_PI) - params.log_diagonal.sum()

    # Adam moves every entry of the factor by about the rate, whatever the noise of its gradient. Of
    # a matrix of such entries the norm grows with the root of the size; divided by the size, it
    # stays far below one, and the factor well-conditioned. Undivided, fits of 15 to 43 elements
    # (nearly separable classes, a regression, a hierarchy) ended with an ELBO of 1e19 at rate 0.05;
    # divided by the root of the size, one of 20 elements still did.
    def whiten(self, params: FullRankParams, gradient: FullRankParams) -> FullRankParams:
        """Return the gradient with respect to steps in units of the standard deviations."""
        cholesky = params.cholesky
        return FullRankParams(
            cholesky.T @ gradient.location,
            gradient.log_diagonal,
            jnp.tril(cholesky.T @ jnp.tril(gradient.factor, -1), -1) / len(cholesky),
        )

    def color(self, params: FullRankParams, step: FullRankParams) -> FullRankParams:
        """Return the change of the parameters that a step in those units makes."""
        cholesky = params.cholesky
        return FullRankParams(
            cholesky @ step.location,
            step.log_diagonal,
            jnp.tril(cholesky @ jnp.tril(step.factor, -1), -1) / len(cholesky),
        )

    def covariance_factor(self, params: FullRankParams) -> jax.Array:
        """Return a matrix that gives the covariance if multiplied by its transpose."""
        return params.cholesky

    def mean(self, params: FullRankParams) -> jax.Array:
        """Return the mean, shape (size,)."""
        return params.location

    def std(self, params: FullRankParams) -> jax.Array:
        """Return the standard deviations, shape (size,)."""
        return jnp.sqrt(jnp.sum(params.cholesky**2, axis=1))
