"""Latent variables of rows: where a fit of them starts, and what their normals leave out.

A fit starts from one of some rows, as if they were all: their latent variables are part of its
position, and what is found of them stands for all rows. It ends with a linear response, in which
each row is tied to the position alone, so that no matrix is larger than that of the position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from bayou.density.evaluator import Block, Evaluator
from bayou.fitting.fixed_draws.antithetic import antithetic_normals, antithetic_signs
from bayou.fitting.fixed_draws.optimize import START_SCALE, minimize
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.mean_field import MeanFieldParams
from bayou.models.inputs import storage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from bayou.density.evaluator import Array
    from bayou.density.program import Inputs, Program

NUM_ROWS = 1024
NUM_DRAWS = 8
NUM_ITERATIONS = 200
RESPONSE_ROWS = 1024


def latent_start(
    program: Program, start: Array, block: Block, seed: int
) -> tuple[Array, Array, MeanFieldParams]:
    """Fit some rows of a model with latent variables of rows.

    Parameters
    ----------
    program : Program
        The model.
    start : ndarray, shape (size,)
        The position to start from.
    block : Block
        Rows, at least some of which are taken.
    seed : int
        Of the draws.

    Returns
    -------
    location, scale : ndarray, shapes (size,)
        Of the position.
    latent : MeanFieldParams, shapes (num_rows, latent_size)
        The same normals for each of all rows.
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
    shape = (program.latent.num_rows, width)
    location = mean[size:].reshape(num_rows, width).mean(axis=0)
    log_scale = np.log(std[size:]).reshape(num_rows, width).mean(axis=0)
    latent = MeanFieldParams(
        jnp.tile(jnp.asarray(location), (shape[0], 1)),
        jnp.tile(jnp.asarray(log_scale), (shape[0], 1)),
    )
    return mean[:size], std[:size], latent


def latent_response(
    program: Program, frame: Frame, params: MeanFieldParams, latent: MeanFieldParams, seed: int
) -> tuple[Array, Array] | None:
    """Return what linear response makes of the spread of the position and of each row.

    The response of all parameters is the inverse of the Hessian of the loss. A row's parameters are
    tied to those of the position alone, so they are eliminated row by row.

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
        Of the draws.

    Returns
    -------
    covariance : ndarray, shape (size, size)
        Of the position.
    variances : ndarray, shape (num_rows, latent_size)
        Of the rows.
        None in the place of both, if the loss has no minimum there.
    """
    size = program.layout.size
    location = np.concatenate([np.asarray(params.location), np.asarray(params.log_scale)])
    rows = np.concatenate([np.asarray(latent.location), np.asarray(latent.log_scale)], axis=1)
    num_rows, width = rows.shape
    held = [storage_of(variable).get_value(borrow=True) for variable in program.fed]
    axes = [variable.owner.op.samples[0].axis for variable in program.fed]
    generator_noise = antithetic_signs(seed, NUM_DRAWS, size)
    hessians = jax.jit(_hessians(program, frame, generator_noise))
    precision = np.zeros((2 * size, 2 * size))
    ties, blocks = np.zeros((num_rows, 2 * size, width)), np.zeros((num_rows, width, width))
    for start in range(0, num_rows, RESPONSE_ROWS):
        numbers = np.arange(start, start + RESPONSE_ROWS)
        inside = np.minimum(numbers, num_rows - 1)
        weights = (numbers < num_rows).astype(location.dtype)
        fed = tuple(np.take(array, inside, axis) for array, axis in zip(held, axes, strict=True))
        noise = antithetic_signs(seed + start + 1, NUM_DRAWS, RESPONSE_ROWS * width // 2)
        found = hessians(
            location, rows[inside], _with_counts(program, fed), weights,
            noise.reshape(NUM_DRAWS, RESPONSE_ROWS, width // 2), float(start == 0),
        )  # fmt: skip
        of_position, tie, block = (np.asarray(part, dtype=np.float64) for part in found)
        count = min(RESPONSE_ROWS, num_rows - start)
        precision += of_position
        ties[start : start + count], blocks[start : start + count] = tie[:count], block[:count]
    return _eliminated(frame, precision, ties, blocks)


def _with_counts(program: Program, fed: Sequence[NDArray[Any]]) -> Inputs:
    """Return the inputs of some rows that are taken for all of them."""
    data = program.data_values()[: len(program.data)]
    return (*fed, *data, *(np.array(len(fed[0])) for _ in program.counted))


def _hessians(program: Program, frame: Frame, noise: Array) -> Callable[..., Any]:
    """Return a function to the second derivatives of the loss of some rows.

    With respect to the parameters of the position, to these and those of each row, and to the
    parameters of each row.
    """
    size = program.layout.size

    def loss(
        location: Any, rows: Any, inputs: Inputs, weights: Any, row_noise: Any, prior: Any
    ) -> Any:
        width = rows.shape[1] // 2

        def density(draw: Any, row_draw: Any) -> Any:
            position = frame.positions(location[:size] + jnp.exp(location[size:]) * draw)
            values = rows[:, :width] + jnp.exp(rows[:, width:]) * row_draw
            every = (*inputs, values)
            alone = program.density(position, every, jnp.zeros_like(weights))
            return program.density(position, every, weights) - (1 - prior) * alone

        # The entropies are linear in the parameters, and have no second derivatives.
        return -jnp.mean(jax.vmap(density)(noise, row_noise))

    def hessians(location: Any, rows: Any, *others: Any) -> tuple[Any, Any, Any]:
        gradient = jax.grad(loss, argnums=(0, 1))

        def along(direction: Any, of_rows: Any) -> tuple[Any, Any]:
            tangents = (direction, of_rows)
            found: tuple[Any, Any] = jax.jvp(
                lambda one, other: gradient(one, other, *others), (location, rows), tangents
            )[1]
            return found

        still = jnp.zeros_like(rows)
        of_position, ties = jax.vmap(lambda axis: along(axis, still))(jnp.eye(2 * size))
        width = rows.shape[1]
        _, blocks = jax.vmap(
            lambda axis: along(jnp.zeros_like(location), jnp.broadcast_to(axis, rows.shape))
        )(jnp.eye(width))
        return of_position, jnp.moveaxis(ties, 0, 1), jnp.moveaxis(blocks, 0, 1)

    return hessians


def _eliminated(
    frame: Frame, precision: Array, ties: Array, blocks: Array
) -> tuple[Array, Array] | None:
    """Solve for the covariance of the position and the variances of the rows."""
    size, width = len(precision) // 2, blocks.shape[1] // 2
    try:
        np.linalg.cholesky(blocks)
        solved = np.linalg.solve(blocks, np.swapaxes(ties, 1, 2))
        precision = precision - np.einsum("rgw,rwh->gh", ties, solved)
        np.linalg.cholesky(precision)
    except np.linalg.LinAlgError:
        return None
    covariance = np.linalg.inv(precision)
    own = np.linalg.inv(blocks)[:, :width, :width]
    through = np.einsum("rwg,gh,rwh->rw", solved[:, :width], covariance, solved[:, :width])
    variances = np.diagonal(own, axis1=1, axis2=2) + through
    if not (np.isfinite(covariance).all() and np.isfinite(variances).all()):
        return None
    factor = frame.directions(np.linalg.cholesky(covariance[:size, :size]).T).T
    return factor @ factor.T, variances
