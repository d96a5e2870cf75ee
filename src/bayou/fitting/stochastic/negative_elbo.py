"""What a fit lowers: the negative evidence lower bound, with path-derivative gradients.

"Sticking the landing" (Roeder, Wu and Duvenaud 2017): the parameters within log q are held still,
which leaves the gradient unbiased and lets its noise vanish where the guide is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams

if TYPE_CHECKING:
    from bayou.density.program import Inputs, Program
    from bayou.fitting.guides import Guide, Params
    from bayou.fitting.guides.coordinates import Frame


NORMALS = MeanField()


class Latent(NamedTuple):
    """The normals of the latent variables of some rows.

    Attributes
    ----------
    params : MeanFieldParams, shapes (num_rows, size)
        Of each of the rows.
    noise : array, shape (num_draws, num_rows, size)
        Standard noise.
    scale : float
        The number of all rows, of these.
    """

    params: MeanFieldParams
    noise: jax.Array
    scale: float


def negative_elbo(
    program: Program,
    guide: Guide,
    frame: Frame,
    params: Params,
    noise: Any,
    inputs: Inputs,
    weights: Any = None,
    latent: Latent | None = None,
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
    latent : Latent, optional
        The normals of the latent variables of the rows that are fed.

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

    def gap_with_rows(draw: Any, draw_of_rows: Any) -> jax.Array:
        assert latent is not None
        coordinates = guide.transport(params, draw)
        values = NORMALS.transport(latent.params, draw_of_rows)
        density = program.density(frame.positions(coordinates), (*inputs, values), weights)
        of_rows = NORMALS.log_density(jax.lax.stop_gradient(latent.params), values)
        return guide.log_density(still, coordinates) + latent.scale * of_rows - density

    if latent is None:
        return jnp.mean(jax.vmap(gap)(noise))
    return jnp.mean(jax.vmap(gap_with_rows)(noise, latent.noise))
