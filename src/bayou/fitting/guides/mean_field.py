"""Independent normals (mean-field ADVI; Kucukelbir et al. 2017): two numbers a variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from bayou.fitting.guides import LOG_2_PI

if TYPE_CHECKING:
    from jax.typing import DTypeLike


class MeanFieldParams(NamedTuple):
    """Location and log standard deviation of each element, shapes (size,)."""

    location: jax.Array
    log_scale: jax.Array


@dataclass(frozen=True)
class MeanField:
    """Normals without correlation."""

    def init(self, position: jax.Array, scale: jax.Array) -> MeanFieldParams:
        """Return parameters around a position, with these standard deviations."""
        return MeanFieldParams(position, jnp.log(scale))

    def noise(
        self, key: jax.Array, num_draws: int, size: int, dtype: DTypeLike | None
    ) -> jax.Array:
        """Return standard normals, shape (num_draws, size)."""
        return jax.random.normal(key, (num_draws, size), dtype)

    def transport(self, params: MeanFieldParams, noise: jax.Array) -> jax.Array:
        """Return location + scale * noise."""
        return params.location + jnp.exp(params.log_scale) * noise

    def log_density(self, params: MeanFieldParams, position: jax.Array) -> jax.Array:
        """Return the log density of a position."""
        white = (position - params.location) * jnp.exp(-params.log_scale)
        return -0.5 * jnp.sum(white**2 + LOG_2_PI) - params.log_scale.sum()

    def whiten(self, params: MeanFieldParams, gradient: MeanFieldParams) -> MeanFieldParams:
        """Return the gradient with respect to steps in units of the standard deviations."""
        return MeanFieldParams(jnp.exp(params.log_scale) * gradient.location, gradient.log_scale)

    def color(self, params: MeanFieldParams, step: MeanFieldParams) -> MeanFieldParams:
        """Return the change of the parameters that a step in those units makes."""
        return MeanFieldParams(jnp.exp(params.log_scale) * step.location, step.log_scale)

    def mean(self, params: MeanFieldParams) -> jax.Array:
        """Return the mean, shape (size,)."""
        return params.location

    def std(self, params: MeanFieldParams) -> jax.Array:
        """Return the standard deviations, shape (size,)."""
        return jnp.exp(params.log_scale)
