"""Independent normals (mean-field ADVI; Kucukelbir et al. 2017): two numbers a variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm


class MeanFieldParams(NamedTuple):
    """Location and log standard deviation of each element, shapes (size,)."""

    location: jax.Array
    log_scale: jax.Array


@dataclass(frozen=True)
class MeanField:
    """Normals without correlation.

    Parameters
    ----------
    initial_scale : float, default 0.1
        The standard deviation that a fit starts from.
    """

    initial_scale: float = 0.1

    def init(self, position: jax.Array) -> MeanFieldParams:
        """Return the parameters of a narrow member around a position."""
        return MeanFieldParams(position, jnp.full_like(position, jnp.log(self.initial_scale)))

    def noise(self, key: jax.Array, num_draws: int, size: int, dtype: Any) -> jax.Array:
        """Return standard normals, shape (num_draws, size)."""
        return jax.random.normal(key, (num_draws, size), dtype)

    def transport(self, params: MeanFieldParams, noise: jax.Array) -> jax.Array:
        """Return location + scale * noise."""
        return params.location + jnp.exp(params.log_scale) * noise

    def log_density(self, params: MeanFieldParams, position: jax.Array) -> jax.Array:
        """Return the log density of a position."""
        return norm.logpdf(position, params.location, jnp.exp(params.log_scale)).sum()

    def mean(self, params: MeanFieldParams) -> jax.Array:
        """Return the mean, shape (size,)."""
        return params.location

    def std(self, params: MeanFieldParams) -> jax.Array:
        """Return the standard deviations, shape (size,)."""
        return jnp.exp(params.log_scale)
