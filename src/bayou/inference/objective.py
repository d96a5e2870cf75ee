"""What a fit lowers: the negative evidence lower bound, with path-derivative gradients.

"Sticking the landing" (Roeder, Wu and Duvenaud 2017): the parameters within log q are held still,
which leaves the gradient unbiased and lets its noise vanish where the guide is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from bayou.inference.guides import Guide, Params
    from bayou.inference.program import Inputs, Program


def negative_elbo(
    program: Program, guide: Guide, params: Params, noise: Any, inputs: Inputs
) -> jax.Array:
    """Return the loss: minus the ELBO, averaged over the draws of the noise.

    Parameters
    ----------
    program : Program
        The model.
    guide : Guide
        The family.
    params : pytree
        The member of the family.
    noise : array, leading axis num_draws
        Standard noise, from ``guide.noise``.
    inputs : tuple of array
        What the model is fed, then its data.

    Returns
    -------
    array, shape ()
        The loss in nats; lower is better.
    """
    still = jax.lax.stop_gradient(params)

    def gap(draw: Any) -> jax.Array:
        position = guide.transport(params, draw)
        return guide.log_density(still, position) - program.density(position, inputs)

    return jnp.mean(jax.vmap(gap)(noise))
