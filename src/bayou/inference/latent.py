"""Where a fit with latent variables of rows starts: a fit of some rows, as if they were all.

Their latent variables are part of its position, and what is found of them stands for all rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from bayou.inference.deterministic import minimise, opposite_pairs
from bayou.inference.evaluate import Block, Evaluator
from bayou.inference.frame import Frame
from bayou.inference.guides.mean_field import MeanFieldParams

if TYPE_CHECKING:
    import jax

    from bayou.inference.evaluate import Array
    from bayou.inference.program import Inputs, Program

NUM_ROWS = 1024
NUM_DRAWS = 8
NUM_ITERATIONS = 200
START_SCALE = 0.1


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

    def density(position: jax.Array, inputs: Inputs, weights: Any = None) -> jax.Array:
        values = position[size:].reshape(num_rows, width)
        return program.density(position[:size], (*inputs, values), weights)

    joint = replace(program, density=density, compiled={}, block_sizes=set())
    [values] = program.latent_start(num_rows)
    begin = np.concatenate([start, values.ravel()])
    inputs = fed + rest + counts
    evaluator = Evaluator(joint, [Block(inputs, 1.0, num_rows)])
    noise = opposite_pairs(seed, NUM_DRAWS, len(begin))
    frame = Frame(begin, np.full(len(begin), START_SCALE))
    optimum = minimise(evaluator, frame, noise, NUM_ITERATIONS, lambda _: None)
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
