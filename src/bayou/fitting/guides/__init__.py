"""The families of distributions that a fit chooses from, and the contract that they share.

One family a file; `named_guides` has their names. `coordinates` is the affine map between the
coordinates that a guide is a distribution of and the model's own position. `approximation` is the
member of a family that a fit ends with.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import jax
    from jax.typing import DTypeLike

__all__ = ["LOG_2_PI", "Guide", "Noise", "Params"]

# Pytrees of JAX arrays: the parameters that `Guide.init` returns, and the noise of `Guide.noise`.
# Each guide has its own structure of both, so that neither has a narrower type.
type Params = Any
type Noise = Any

LOG_2_PI = math.log(2 * math.pi)


class Guide(Protocol):
    """A family of distributions over the unconstrained variables of a model, joined in one vector.

    Pass a guide as the `method` of :func:`bayou.fit`. Implementing a guide:

    - Write a class with the eight methods below; it need not inherit from this one.
    - Make it hashable, equal if its options are equal, and without state, such as a frozen
      dataclass: it is a key of the cache of compiled steps.
    - Keep the parameters in a pytree of JAX arrays, such as a NamedTuple, that ``init`` returns.
    - Write the methods in pure JAX: they are called under ``jit``, ``vmap`` and ``grad``.
    - Let ``transport`` turn standard noise into a position (the vector of unconstrained values), as
      a differentiable function of the parameters (the reparameterization trick).
    - Let ``whiten`` and ``color`` be transposes of each other. They convert gradients and steps, so
      that an optimizer works in units of the guide's own standard deviations. To leave that out,
      return the last argument in both.

    Examples
    --------
    A family of normals that all have the standard deviation 0.5, and only a location to fit:

    >>> import jax, jax.numpy as jnp
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class FixedScale:
    ...     def init(self, position, scale):
    ...         return position
    ...
    ...     def noise(self, key, num_draws, size, dtype):
    ...         return jax.random.normal(key, (num_draws, size), dtype)
    ...
    ...     def transport(self, params, noise):
    ...         return params + 0.5 * noise
    ...
    ...     def log_density(self, params, position):
    ...         return jax.scipy.stats.norm.logpdf(position, params, 0.5).sum()
    ...
    ...     def whiten(self, params, gradient):
    ...         return 0.5 * gradient
    ...
    ...     def color(self, params, step):
    ...         return 0.5 * step
    ...
    ...     def mean(self, params):
    ...         return params
    ...
    ...     def std(self, params):
    ...         return jnp.full_like(params, 0.5)
    >>> with pm.Model():
    ...     mu = pm.Normal("mu")
    ...     y = pm.Normal("y", mu, 1, observed=[1.0, 2.0, 3.0])
    ...     fit = by.fit(2000, FixedScale(), random_seed=1, progressbar=False)
    >>> round(float(fit.mean["mu"]), 1), float(fit.std["mu"])
    (1.5, 0.5)
    """

    def init(self, position: jax.Array, scale: jax.Array) -> Params:
        """Return parameters around a position, with about these standard deviations.

        Parameters
        ----------
        position, scale : jax.Array, shape (size,)
            The mean, and the standard deviations, which are positive.

        Returns
        -------
        pytree of jax.Array
        """
        ...

    def noise(self, key: jax.Array, num_draws: int, size: int, dtype: DTypeLike | None) -> Noise:
        """Return standard noise for several positions.

        Parameters
        ----------
        key : jax.Array
            A key of :mod:`jax.random`, on which alone the noise depends.
        num_draws, size : int
            The number of positions and of their elements.
        dtype : dtype or None
            The dtype of the noise; None for JAX's default.

        Returns
        -------
        pytree of jax.Array, leading axis num_draws
        """
        ...

    def transport(self, params: Params, noise: Noise) -> jax.Array:
        """Return the position that the noise of one draw is carried to.

        Parameters
        ----------
        params : pytree of jax.Array
            The parameters.
        noise : pytree of jax.Array
            The noise of one draw, without the leading axis.

        Returns
        -------
        jax.Array, shape (size,)
        """
        ...

    def log_density(self, params: Params, position: jax.Array) -> jax.Array:
        """Return the log density of a position.

        Parameters
        ----------
        params : pytree of jax.Array
            The parameters.
        position : jax.Array, shape (size,)
            The position.

        Returns
        -------
        jax.Array, shape ()
            In nats, normalized.
        """
        ...

    def whiten(self, params: Params, gradient: Params) -> Params:
        """Return the gradient with respect to steps in units of the guide's standard deviations.

        Parameters
        ----------
        params : pytree of jax.Array
            The parameters.
        gradient : pytree of jax.Array
            The gradient of the loss with respect to the parameters.

        Returns
        -------
        pytree of jax.Array
            Of the structure of the parameters.
        """
        ...

    def color(self, params: Params, step: Params) -> Params:
        """Return the change of the parameters that a step in these units makes.

        Parameters
        ----------
        params : pytree of jax.Array
            The parameters.
        step : pytree of jax.Array
            The step of the optimizer.

        Returns
        -------
        pytree of jax.Array
            Of the structure of the parameters; added to them.
        """
        ...

    def mean(self, params: Params) -> jax.Array:
        """Return the mean of the position.

        Parameters
        ----------
        params : pytree of jax.Array
            The parameters.

        Returns
        -------
        jax.Array, shape (size,)
        """
        ...

    def std(self, params: Params) -> jax.Array:
        """Return the standard deviations of the position.

        Parameters
        ----------
        params : pytree of jax.Array
            The parameters.

        Returns
        -------
        jax.Array, shape (size,)
        """
        ...
