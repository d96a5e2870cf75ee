"""What a fit lowers: the negative evidence lower bound, with path-derivative gradients.

"Sticking the landing" (Roeder, Wu and Duvenaud 2017): the parameters within log q are held still,
which leaves the gradient unbiased and lets its noise vanish where the guide is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from bayou.inference.frame import Frame
    from bayou.inference.guides import Guide, Params
    from bayou.inference.program import Inputs, Program


def negative_elbo(
    program: Program,
    guide: Guide,
    frame: Frame,
    params: Params,
    noise: Any,
    inputs: Inputs,
    weights: Any = None,
) -> jax.Array:
    """Return the loss: minus the ELBO, averaged over the draws of the noise.

    Parameters
    ----------
    program : Program
        The model.
    guide : Guide
        The family, over the coordinates of the frame.
    frame : Frame
        The coordinates.
    params : pytree
        The member of the family.
    noise : pytree of arrays, leading axis num_draws
        Standard noise, from ``guide.noise``.
    inputs : tuple of array
        What the model is fed, then its data.
    weights : array, shape (num_rows,), optional
        How much each row counts; by default alike.

    Returns
    -------
    array, shape ()
        The loss in nats, but for the constant ``frame.log_determinant``; lower is better.
    """
    still = jax.lax.stop_gradient(params)

    def gap(draw: Any) -> jax.Array:
        coordinates = guide.transport(params, draw)
        density = program.density(frame.positions(coordinates), inputs, weights)
        return guide.log_density(still, coordinates) - density

    return jnp.mean(jax.vmap(gap)(noise))
