"""The steps of a stochastic fit: a chunk of them is one compiled dispatch, with no Python between.

A chunk holds the rows of all of its steps, so its length is chosen by their bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytensor

from bayou.density.compiled_functions import FunctionKey
from bayou.density.non_finite import divergence_error
from bayou.feeding.feed import step_bytes
from bayou.feeding.prefetch import prefetch
from bayou.fitting.rows.step_inputs import DeviceArray
from bayou.fitting.stochastic.negative_elbo import RowNormals, negative_elbo
from bayou.fitting.stochastic.row_states import (
    average_rows,
    move_rows,
    pack_rows,
    repack_rows,
    unpack_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import optax
    from numpy.typing import NDArray

    from bayou.cluster.jax_processes import Team
    from bayou.density.program import Inputs, Program
    from bayou.fitting.guides import Guide, Noise, Params
    from bayou.fitting.guides.coordinates import Frame
    from bayou.fitting.guides.mean_field import MeanFieldParams
    from bayou.fitting.rows.step_inputs import StepInputs

    type Array = NDArray[np.float64]
    # The state after some steps, the average of their parameters, and the loss of each.
    type Steps = tuple[StepState, Params, jax.Array]

# Rows and noise of a chunk; more would not stay in a cache that the cores share (docs/engine.md,
# "Where the time of a step goes").
CHUNK_BYTES = 2**24
# The most steps of a chunk: a callback, a checkpoint and Ctrl-C come after a chunk.
CHUNK_STEPS = 512


class StepState(NamedTuple):
    """The state that each step updates.

    Attributes
    ----------
    params : pytree of jax.Array
        The parameters of the guide.
    optimizer : pytree
        The state of the optimizer.
    latent : jax.Array, shape (num_rows, width), or None
        For each row with variables of its own, its packed
        :class:`bayou.fitting.stochastic.row_states.RowState`.
    """

    params: Params
    optimizer: optax.OptState
    latent: jax.Array | None = None

    def copy(self) -> StepState:
        """Return a copy with its own array of rows, since a chunk of steps consumes that array."""
        return self._replace(latent=None if self.latent is None else jnp.copy(self.latent))


class Chunk(NamedTuple):
    """The result of a chunk of steps.

    Attributes
    ----------
    state : StepState
        The state after the last step.
    mean : pytree of jax.Array
        The mean of the parameters over the steps.
    losses : ndarray, shape (num_steps,)
        The loss of each step, in nats.
    """

    state: StepState
    mean: Params
    losses: Array


@dataclass(frozen=True)
class Recipe:
    """The parts of a step that are compiled in; another recipe compiles again.

    Attributes
    ----------
    guide : Guide
        The family.
    optimizer : optax.GradientTransformation
        Works in units of the guide's own standard deviations; its updates are multiplied by the
        rate.
    num_particles : int
        Monte Carlo draws per gradient step.
    """

    guide: Guide
    optimizer: optax.GradientTransformation
    num_particles: int = 1


def chunk_steps(program: Program, recipe: Recipe, inputs: StepInputs) -> int:
    """Return the steps of a chunk: as many as fit in ``CHUNK_BYTES``, at most ``CHUNK_STEPS``."""
    noise_size = program.layout.size * recipe.num_particles
    noise_bytes: int = noise_size * np.dtype(pytensor.config.floatX).itemsize
    return max(1, min(CHUNK_STEPS, CHUNK_BYTES // (step_bytes(inputs.feeds) + noise_bytes)))


def init_state(recipe: Recipe, params: Params, latent: MeanFieldParams | None = None) -> StepState:
    """Return the first state of a fit, from the parameters of the guide and the normals of rows."""
    state = StepState(params, recipe.optimizer.init(params))
    return state if latent is None else state._replace(latent=pack_rows(recipe.optimizer, latent))


def average_row_normals(
    program: Program, recipe: Recipe, state: StepState
) -> MeanFieldParams | None:
    """Return the averaged normals of all rows, shapes (num_rows, size); None without such rows."""
    if state.latent is None:
        return None
    return average_rows(recipe.optimizer, state.latent, program.latent_layout.size)


def run_steps(
    program: Program,
    recipe: Recipe,
    frame: Frame,
    inputs: StepInputs,
    state: StepState,
    rates: Array,
    first: int = 0,
    length: int | None = None,
) -> Iterator[Chunk]:
    """Run steps in this process, and yield the result of each chunk.

    Parameters
    ----------
    program : Program
        The model.
    recipe : Recipe
        The guide and the optimizer.
    frame : Frame
        The coordinates that the guide is a distribution of.
    inputs : StepInputs
        The rows and the noise.
    state : StepState
        The state to start from; its array of rows is consumed.
    rates : ndarray, shape (num_steps,)
        Multiply the update of each step.
    first : int, default 0
        The number of the first step: noise and rows are a function of it.
    length : int, optional
        The steps of a chunk; by default :func:`chunk_steps`.

    Yields
    ------
    Chunk

    Raises
    ------
    DivergenceError
        If a loss is not finite; names the step and the variables at fault.
    """
    length = length or chunk_steps(program, recipe, inputs)
    function = _compile(program, recipe, inputs)
    device_arrays = tuple(each.array for each in inputs.device_arrays)
    starts = range(0, len(rates), length)
    ranges = [(first + start, min(length, len(rates) - start)) for start in starts]
    chunks = prefetch(inputs.feeds, ranges, length)
    for start, (begin, count), rows in zip(starts, ranges, chunks, strict=True):
        rate = np.zeros(length)
        rate[:count] = rates[start : start + count]

        def run_chunk(num_steps: int, state: StepState = state, begin: int = begin) -> Steps:
            of_process = (rows, inputs.row_weights)  # noqa: B023
            arguments = (device_arrays, inputs.data, inputs.key, begin, rate, num_steps)  # noqa: B023
            return function(
                of_process, frame, state._replace(latent=None), state.latent, *arguments
            )

        next_state, mean, device_losses = run_chunk(count)
        # This waits for the last step, after which the memory of the rows may be filled again.
        losses = np.asarray(device_losses)[:count]
        wrong = np.flatnonzero(~np.isfinite(losses))
        if wrong.size:
            # The chunk is run again up to the step at fault, to see what was drawn there. The
            # states of rows that it began with are consumed, so that rows take their first values.
            index = int(wrong[0])
            params = state.params if program.latent is not None else run_chunk(index)[0].params
            noise = _noise(program, recipe, inputs.key, np.int64(begin + index))
            coordinates = jax.vmap(partial(recipe.guide.transport, params))(noise)
            fed = _fed_inputs(program, tuple(row[index] for row in rows), inputs.device_arrays)
            step_inputs = fed + inputs.data + program.latent_start(len(fed[0]))
            positions = np.asarray(frame.positions(np.asarray(coordinates)))
            raise divergence_error(program, begin + index, positions, step_inputs)
        state = next_state
        yield Chunk(state, mean, losses)


@dataclass(frozen=True)
class StepsKey(FunctionKey):
    """The steps of a fit: the recipe, the axes of arrays on the device, and the processes."""

    recipe: Recipe
    axes: tuple[tuple[tuple[int, int], ...], ...]
    team: Team | None


def _compile(program: Program, recipe: Recipe, inputs: StepInputs) -> Callable[..., Steps]:
    axes, team = tuple(each.axes for each in inputs.device_arrays), inputs.team

    def compile_steps() -> Callable[..., Steps]:
        steps = partial(_steps, program, recipe, axes, team)
        # The states of all rows are changed in place (donated), or each chunk would copy them.
        return jax.jit(steps, donate_argnums=3) if team is None else team.compile(steps)

    return program.compiled.get_or_compile(StepsKey(recipe, axes, team), compile_steps)


def _fed_inputs(
    program: Program, of_step: tuple[jax.Array, ...], device_arrays: Sequence[DeviceArray]
) -> tuple[jax.Array, ...]:
    """Return the values of ``program.fed`` in a step, from what the feeds gave for it."""
    if device_arrays:
        return tuple(each.take(of_step) for each in device_arrays)
    # Orders of unequal probabilities feed the weights of the rows last.
    return of_step[: len(program.fed)]


def _steps(
    program: Program,
    recipe: Recipe,
    axes: tuple[tuple[tuple[int, int], ...], ...],
    team: Team | None,
    of_process: tuple[Inputs, jax.Array | None],
    frame: Frame,
    state: StepState,
    latent: jax.Array | None,
    arrays: tuple[jax.Array, ...],
    data: Inputs,
    key: jax.Array,
    first: jax.Array,
    rates: jax.Array,
    count: jax.Array,
) -> Steps:
    """Run ``count`` steps; the arrays have room for more, so that any count is one program."""
    guide = recipe.guide
    rows, row_weights = of_process
    is_weighted = not arrays and len(rows) > len(program.fed)
    device_arrays = [
        DeviceArray(array, array_axes) for array, array_axes in zip(arrays, axes, strict=True)
    ]
    numbers = first + jnp.arange(len(rates))
    # Drawn at once, which takes a third of the time of drawing step by step.
    draws = jax.vmap(partial(_noise, program, recipe, key))(numbers)
    row_draws = jax.vmap(partial(_row_noise, program, recipe, key))(numbers)

    def step(index: jax.Array, carry: Steps) -> Steps:
        (params, memory, packed), mean, losses = carry
        of_step = tuple(row[index] for row in rows)
        weights = of_step[-1] if is_weighted else None
        if row_weights is not None:
            weights = row_weights if weights is None else row_weights * weights
        fed = _fed_inputs(program, of_step, device_arrays)
        inputs = fed + data
        noise = jax.tree.map(lambda draw: draw[index], draws)

        visited, row_states = None, None
        if packed is not None:
            visited = fed[program.row_numbers_index]
            size = program.latent_layout.size
            row_states = unpack_rows(recipe.optimizer, packed[visited], size)

        def loss_of(params: Params, row_params: MeanFieldParams | None) -> jax.Array:
            if row_params is None or packed is None or row_draws is None:
                return negative_elbo(program, guide, frame, params, noise, inputs, weights)
            scale = len(packed) / len(row_params.location)
            normals = RowNormals(row_params, row_draws[index], scale)
            return negative_elbo(program, guide, frame, params, noise, inputs, None, normals)

        loss, (gradient, row_gradients) = jax.value_and_grad(loss_of, argnums=(0, 1))(
            params, None if row_states is None else row_states.params
        )
        if team is not None:
            # Each process scales its part of the rows to all, so this is of the whole batch.
            loss, gradient = team.mean((loss, gradient))
        if packed is not None and row_states is not None:
            moved = move_rows(recipe.optimizer, row_states, row_gradients, rates[index])
            packed = packed.at[visited].set(repack_rows(moved))
        white = guide.whiten(params, gradient)
        updates, memory = recipe.optimizer.update(white, memory, params)
        move = guide.color(params, updates)
        params = jax.tree.map(lambda old, change: old + rates[index] * change, params, move)
        mean = jax.tree.map(lambda old, new: old + (new - old) / (index + 1), mean, params)
        return StepState(params, memory, packed), mean, losses.at[index].set(loss)

    losses = jnp.zeros(len(rates), dtype=pytensor.config.floatX)
    end: Steps = jax.lax.fori_loop(
        0, count, step, (state._replace(latent=latent), state.params, losses)
    )
    return end


def _row_noise(
    program: Program, recipe: Recipe, key: jax.Array, step: jax.Array
) -> jax.Array | None:
    """Return the noise of the rows that a step visits, None if they have no variables."""
    if program.latent is None:
        return None
    step_key = jax.random.fold_in(jax.random.fold_in(key, step), 1)
    [sample] = program.fed[program.row_numbers_index].owner.op.samples
    shape = (recipe.num_particles, sample.size, program.latent_layout.size)
    return jax.random.normal(step_key, shape, pytensor.config.floatX)


def _noise(program: Program, recipe: Recipe, key: jax.Array, step: jax.Array | np.int64) -> Noise:
    step_key = jax.random.fold_in(key, step)
    dtype = pytensor.config.floatX
    return recipe.guide.noise(step_key, recipe.num_particles, program.layout.size, dtype)
