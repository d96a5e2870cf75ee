"""Variables with a value for each row: the start of their fit, and the correction at its end.

A fit starts from one of some rows, as if these were all: their variables are part of its position,
and the mean over these rows is the start of each row. It ends with a linear response. A row depends
on the other rows through the position alone, so that rows are eliminated one by one and no matrix
is larger than that of the position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bayou.density.evaluator import Block, Evaluator
from bayou.fitting.fixed_draws.antithetic import antithetic_normals, antithetic_signs
from bayou.fitting.fixed_draws.linear_response import (
    ResponseError,
    log_normal_variances,
    moment_slopes,
    naming_failures,
)
from bayou.fitting.fixed_draws.optimize import START_SCALE, minimize
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.mean_field import MeanFieldParams
from bayou.models.inputs import storage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from bayou.containers.variables.dims import Numbers
    from bayou.density.program import Inputs, Program

    type Array = NDArray[np.float64]

# Rows of the fit that gives the start: their variables are all in its position, so that more of
# them take more memory and time, and fewer give a noisier start.
NUM_ROWS = 1024
# The start needs no precision: few draws and iterations.
NUM_DRAWS = 8
NUM_ITERATIONS = 200
# Rows whose Hessians are computed in one dispatch.
RESPONSE_ROWS = 1024


def latent_start(
    program: Program, start: Array, block: Block, seed: int
) -> tuple[Array, Array, MeanFieldParams]:
    """Fit some rows of a model that has variables with a value for each row.

    Parameters
    ----------
    program : Program
        The model.
    start : ndarray, shape (size,)
        The position to start from.
    block : Block
        Rows, of which up to ``NUM_ROWS`` are used.
    seed : int
        Decides the draws.

    Returns
    -------
    location, scale : ndarray, shape (size,)
        The mean and standard deviations of the position.
    latent : MeanFieldParams, shapes (num_rows, latent_size)
        The normals of all rows, each the same.
    """
    assert program.latent is not None
    num_fed = len(program.fed)
    fed = tuple(values[:NUM_ROWS] for values in block.inputs[:num_fed])
    num_rows = len(fed[0])
    counts = tuple(np.array(num_rows) for _ in program.counted)
    rest = block.inputs[num_fed : num_fed + len(program.data)]
    size, width = program.layout.size, program.latent_layout.size
    [values] = program.latent_start(num_rows)
    begin = np.concatenate([start, values.ravel()])
    inputs = fed + rest + counts
    evaluator = Evaluator(program, [Block(inputs, 1.0, num_rows)], num_joint_rows=num_rows)
    noise = antithetic_normals(seed, NUM_DRAWS, len(begin))
    frame = Frame(begin, np.full(len(begin), START_SCALE))
    optimum = minimize(evaluator, frame, noise, NUM_ITERATIONS, lambda _: None)
    mean, std = begin, np.full(len(begin), START_SCALE)
    if optimum.is_finite:
        mean, std = optimum.mean, np.sqrt(optimum.variances)
    location = mean[size:].reshape(num_rows, width).mean(axis=0)
    log_scale = np.log(std[size:]).reshape(num_rows, width).mean(axis=0)
    latent = MeanFieldParams(
        jnp.tile(jnp.asarray(location), (program.latent.num_rows, 1)),
        jnp.tile(jnp.asarray(log_scale), (program.latent.num_rows, 1)),
    )
    return mean[:size], std[:size], latent


def latent_response(
    program: Program, frame: Frame, params: MeanFieldParams, latent: MeanFieldParams, seed: int
) -> tuple[Array, Array]:
    """Return the linear-response covariances of the position and of each row.

    Variances of logs are such that their exponentials have theirs, as in
    :func:`bayou.fitting.fixed_draws.linear_response.linear_response`.

    The response of all parameters is the inverse of the Hessian of the loss. The parameters of a
    row interact with those of the position alone, so they are eliminated row by row (a Schur
    complement).

    Parameters
    ----------
    program : Program
        The model.
    frame : Frame
        The coordinates of the position.
    params : MeanFieldParams, shapes (size,)
        The normals over them, at a minimum of the loss.
    latent : MeanFieldParams, shapes (num_rows, latent_size)
        The normals of the rows.
    seed : int
        Decides the draws.

    Returns
    -------
    tuple of ndarray, shapes (size, size) and (num_rows, latent_size, latent_size)
        The covariance of the position, and those within rows.

    Raises
    ------
    ResponseError
        If the loss has no minimum there, or its second derivatives cannot be computed.
    """
    with naming_failures():
        by_location = frame.directions(np.eye(program.layout.size)).T
        slopes = moment_slopes(
            by_location, np.exp(2 * np.asarray(params.log_scale)), program.layout.is_log
        )
        is_log = program.latent_layout.is_log
        row_slopes = np.exp(2 * np.asarray(latent.log_scale)) * is_log
        moments = _eliminate_rows(
            np.concatenate([by_location, slopes], axis=1),
            row_slopes,
            *_row_hessians(program, frame, params, latent, seed),
        )
        return (
            _with_variances(
                moments.covariance, log_normal_variances(moments.variances, program.layout.is_log)
            ),
            _with_variances(
                moments.row_covariances, log_normal_variances(moments.row_variances, is_log)
            ),
        )


def _with_variances(covariances: Array, variances: Array) -> Array:
    """Return covariances, shape (..., size, size), with other variances, shape (..., size)."""
    scale = np.sqrt(variances / np.diagonal(covariances, axis1=-2, axis2=-1))
    return scale[..., :, None] * covariances * scale[..., None, :]


class _Moments(NamedTuple):
    """Covariances, and variances of the moments that :func:`moment_slopes` has.

    Attributes
    ----------
    covariance : ndarray, shape (size, size)
        Of the position.
    variances : ndarray, shape (size,)
        Of its moments.
    row_covariances : ndarray, shape (num_rows, row_size, row_size)
        Within rows.
    row_variances : ndarray, shape (num_rows, row_size)
        Of their moments.
    """

    covariance: Array
    variances: Array
    row_covariances: Array
    row_variances: Array


def _row_hessians(
    program: Program, frame: Frame, params: MeanFieldParams, latent: MeanFieldParams, seed: int
) -> tuple[Array, Array, Array]:
    """Return the Hessian of the loss of all rows, as :func:`_eliminate_rows` takes it."""
    size = program.layout.size
    position_params = np.concatenate([np.asarray(params.location), np.asarray(params.log_scale)])
    row_params = np.concatenate([np.asarray(latent.location), np.asarray(latent.log_scale)], axis=1)
    num_rows, width = row_params.shape
    arrays = [storage_of(variable).get_value(borrow=True) for variable in program.fed]
    axes = [variable.owner.op.samples[0].axis for variable in program.fed]
    position_noise = antithetic_signs(seed, NUM_DRAWS, size)
    hessians = jax.jit(_hessians(program, frame, position_noise))
    position_hessian = np.zeros((2 * size, 2 * size))
    cross_hessians = np.zeros((num_rows, 2 * size, width))
    row_hessians = np.zeros((num_rows, width, width))
    for start in range(0, num_rows, RESPONSE_ROWS):
        # The last piece is padded with the last row, of weight 0, so that all compile once.
        numbers = np.arange(start, start + RESPONSE_ROWS)
        padded = np.minimum(numbers, num_rows - 1)
        weights = (numbers < num_rows).astype(position_params.dtype)
        fed = tuple(np.take(array, padded, axis) for array, axis in zip(arrays, axes, strict=True))
        row_noise = antithetic_signs(seed + start + 1, NUM_DRAWS, RESPONSE_ROWS * width // 2)
        row_noise = row_noise.reshape(NUM_DRAWS, RESPONSE_ROWS, width // 2)
        # The prior of the position counts once, in the first piece.
        prior_weight = float(start == 0)
        pieces = hessians(
            position_params, row_params[padded], _with_counts(program, fed), weights, row_noise,
            prior_weight,
        )  # fmt: skip
        of_position, cross, of_rows = (np.asarray(piece, dtype=np.float64) for piece in pieces)
        count = min(RESPONSE_ROWS, num_rows - start)
        position_hessian += of_position
        cross_hessians[start : start + count] = cross[:count]
        row_hessians[start : start + count] = of_rows[:count]
    return position_hessian, cross_hessians, row_hessians


def _with_counts(program: Program, fed: Sequence[Numbers]) -> Inputs:
    """Return the inputs of some rows, as if these were all: the density is not scaled up."""
    data = program.data_values()[: len(program.data)]
    return (*fed, *data, *(np.array(len(fed[0])) for _ in program.counted))


def _hessians(
    program: Program, frame: Frame, position_noise: Array
) -> Callable[..., tuple[jax.Array, jax.Array, jax.Array]]:
    """Return a function to the second derivatives of the loss of some rows.

    Its results are the derivatives with respect to the parameters of the position, (2 * size,
    2 * size); to these and those of each row, (num_rows, 2 * size, width); and to the parameters of
    each row, (num_rows, width, width).
    """
    size = program.layout.size

    def loss(
        position_params: jax.Array,
        row_params: jax.Array,
        inputs: Inputs,
        weights: jax.Array,
        row_noise: jax.Array,
        prior_weight: float,
    ) -> jax.Array:
        half = row_params.shape[1] // 2

        def density(draw: jax.Array, row_draw: jax.Array) -> jax.Array:
            location, log_scale = position_params[:size], position_params[size:]
            position = frame.positions(location + jnp.exp(log_scale) * draw)
            values = row_params[:, :half] + jnp.exp(row_params[:, half:]) * row_draw
            all_inputs = (*inputs, values)
            prior = program.density(position, all_inputs, jnp.zeros_like(weights))
            return program.density(position, all_inputs, weights) - (1 - prior_weight) * prior

        # The entropies are linear in the parameters, so they have no second derivatives.
        return -jnp.mean(jax.vmap(density)(jnp.asarray(position_noise), row_noise))

    def hessians(
        position_params: jax.Array, row_params: jax.Array, *others: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        gradient = jax.grad(loss, argnums=(0, 1))

        def derivative(
            position_direction: jax.Array, row_direction: jax.Array
        ) -> tuple[jax.Array, jax.Array]:
            tangents: tuple[jax.Array, jax.Array] = jax.jvp(
                lambda position, rows: gradient(position, rows, *others),
                (position_params, row_params),
                (position_direction, row_direction),
            )[1]
            return tangents

        no_rows, no_position = jnp.zeros_like(row_params), jnp.zeros_like(position_params)
        of_position, cross = jax.vmap(lambda axis: derivative(axis, no_rows))(jnp.eye(2 * size))
        width = row_params.shape[1]
        # One direction for all rows at once, since no row interacts with another.
        _, of_rows = jax.vmap(
            lambda axis: derivative(no_position, jnp.broadcast_to(axis, row_params.shape))
        )(jnp.eye(width))
        return of_position, jnp.moveaxis(cross, 0, 1), jnp.moveaxis(of_rows, 0, 1)

    return hessians


def _eliminate_rows(
    moments: Array,
    row_slopes: Array,
    position_hessian: Array,
    cross_hessians: Array,
    row_hessians: Array,
) -> _Moments:
    """Return the moments of the inverse of the Hessian, by a Schur complement.

    Parameters
    ----------
    moments : ndarray, shape (size, 2 * size)
        How the moments of the position change with its parameters, locations first.
    row_slopes : ndarray, shape (num_rows, width // 2)
        How the moments of the rows change with their log scales; with their locations, by one.
    position_hessian : ndarray, shape (2 * size, 2 * size)
        The Hessian with respect to the parameters of the position.
    cross_hessians : ndarray, shape (num_rows, 2 * size, width)
        With respect to these and the parameters of each row.
    row_hessians : ndarray, shape (num_rows, width, width)
        With respect to the parameters of each row, locations first.

    Raises
    ------
    ResponseError
        If the Hessian is not that of a minimum.
    """
    size, half = len(moments), row_slopes.shape[1]
    try:
        np.linalg.cholesky(row_hessians)
        solved = np.linalg.solve(row_hessians, np.swapaxes(cross_hessians, 1, 2))
        precision = position_hessian - np.einsum("rgw,rwh->gh", cross_hessians, solved)
        np.linalg.cholesky(precision)
    except np.linalg.LinAlgError:
        raise ResponseError("the loss has no minimum where the fit ended") from None
    inverse = np.linalg.inv(precision)
    by_location = moments[:, :size]
    # The covariances of the parameters of a row: given the position, and by what comes from it.
    row_inverses = np.linalg.inv(row_hessians) + solved @ inverse @ np.swapaxes(solved, 1, 2)
    locations = np.broadcast_to(np.eye(half), (len(row_slopes), half, half))
    row_moments = np.concatenate([locations, row_slopes[:, :, None] * np.eye(half)], axis=2)
    return _Moments(
        covariance=by_location @ inverse[:size, :size] @ by_location.T,
        variances=np.diag(moments @ inverse @ moments.T),
        row_covariances=row_inverses[:, :half, :half],
        row_variances=np.einsum("rvw,rwx,rvx->rv", row_moments, row_inverses, row_moments),
    )
