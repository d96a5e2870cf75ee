"""The loss of a stochastic fit: the negative ELBO, with path-derivative gradients.

"Sticking the landing" (Roeder, Wu and Duvenaud 2017): the parameters within log q are constants,
which leaves the gradient unbiased and lets its noise vanish where the guide equals the posterior.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams

if TYPE_CHECKING:
    from bayou.density.program import Inputs, Program
    from bayou.fitting.guides import Guide, Noise, Params
    from bayou.fitting.guides.coordinates import Frame

# The family of the variables with a value for each row.
NORMALS = MeanField()


class RowNormals(NamedTuple):
    """The normals of the variables with a value for each row, in the rows of a step.

    Attributes
    ----------
    params : MeanFieldParams, shapes (num_rows, size)
        The normals of each of the rows.
    noise : jax.Array, shape (num_draws, num_rows, size)
        Standard normal noise.
    scale : float
        The number of all rows divided by the number of these.
    """

    params: MeanFieldParams
    noise: jax.Array
    scale: float


def negative_elbo(
    program: Program,
    guide: Guide,
    frame: Frame,
    params: Params,
    noise: Noise,
    inputs: Inputs,
    weights: jax.Array | None = None,
    row_normals: RowNormals | None = None,
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
    noise : pytree of jax.Array, leading axis num_draws
        Standard noise, from ``guide.noise``.
    inputs : tuple of jax.Array
        The rows of the step, then the data of the model.
    weights : jax.Array, shape (num_rows,), optional
        The weight of each row in the log likelihood; by default all weigh the same.
    row_normals : RowNormals, optional
        The normals of the variables with a value for each row.

    Returns
    -------
    jax.Array, shape ()
        The loss in nats, without the constant ``frame.log_determinant``; lower is better.
    """
    fixed_params = jax.lax.stop_gradient(params)

    def gap(draw: Noise) -> jax.Array:
        coordinates = guide.transport(params, draw)
        density = program.density(frame.positions(coordinates), inputs, weights)
        return guide.log_density(fixed_params, coordinates) - density

    def gap_with_rows(draw: Noise, row_draw: jax.Array) -> jax.Array:
        assert row_normals is not None
        coordinates = guide.transport(params, draw)
        values = NORMALS.transport(row_normals.params, row_draw)
        density = program.density(frame.positions(coordinates), (*inputs, values), weights)
        row_density = NORMALS.log_density(jax.lax.stop_gradient(row_normals.params), values)
        guide_density = guide.log_density(fixed_params, coordinates)
        return guide_density + row_normals.scale * row_density - density

    if row_normals is None:
        return jnp.mean(jax.vmap(gap)(noise))
    return jnp.mean(jax.vmap(gap_with_rows)(noise, row_normals.noise))
