"""The families of distributions that a fit chooses from: one a file, all behind one contract."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import jax

type Params = Any

LOG_2_PI = math.log(2 * math.pi)


class Guide(Protocol):
    """A family of distributions over the unconstrained position, shape (size,).

    A guide is a hashable value without state: parameters are a pytree that its functions take and
    return. Its functions are pure JAX and are called under ``jit``, ``vmap`` and ``grad``.
    """

    def init(self, position: jax.Array, scale: jax.Array) -> Params:
        """Return parameters around a position, with about these standard deviations."""
        ...

    def noise(self, key: jax.Array, num_draws: int, size: int, dtype: Any) -> Any:
        """Return standard noise for ``num_draws`` positions, leading axis num_draws."""
        ...

    def transport(self, params: Params, noise: Any) -> jax.Array:
        """Return the position that the noise of one draw is carried to."""
        ...

    def log_density(self, params: Params, position: jax.Array) -> jax.Array:
        """Return the log density of a position."""
        ...

    def whiten(self, params: Params, gradient: Params) -> Params:
        """Return the gradient with respect to steps in units of the guide's own spread."""
        ...

    def colour(self, params: Params, step: Params) -> Params:
        """Return the change of the parameters that a step in those units makes."""
        ...

    def mean(self, params: Params) -> jax.Array:
        """Return the mean, shape (size,)."""
        ...

    def std(self, params: Params) -> jax.Array:
        """Return the standard deviations, shape (size,)."""
        ...
