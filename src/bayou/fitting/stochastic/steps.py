"""The steps of a fit: a chunk of them is one compiled dispatch, and no Python runs between two.

A chunk holds the rows of all of its steps, so its length is chosen by their bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytensor
from jax.flatten_util import ravel_pytree

from bayou.density.compiled_functions import FunctionKey
from bayou.density.non_finite import divergence
from bayou.feeding.feed import step_bytes
from bayou.feeding.prefetch import prefetch
from bayou.fitting.guides.mean_field import MeanFieldParams
from bayou.fitting.stochastic.negative_elbo import NORMALS, Latent, negative_elbo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import optax
    from numpy.typing import NDArray

    from bayou.cluster.jax_processes import Team
    from bayou.density.program import Inputs, Program
    from bayou.feeding.feed import Feed
    from bayou.fitting.guides import Guide, Params
    from bayou.fitting.guides.coordinates import Frame

# Rows and noise of a chunk; more would not stay in a cache that the cores share.
CHUNK_BYTES = 2**24
CHUNK_STEPS = 512


# The normals of a row are moved once an epoch or so: further at a time than those of the position,
# and averaged over so many visits.
LATENT_FACTOR = 8.0
MOST_LATENT_RATE = 0.5
LATENT_SHARE = 0.05


class LatentState(NamedTuple):
    """What a step changes of a row that it is fed.

    Attributes
    ----------
    params : MeanFieldParams, shapes (size,)
        The normals of the row.
    optimiser : pytree
        The memory of an optimiser of its own.
    average : MeanFieldParams, shapes (size,)
        The parameters, averaged over the last visits.
    """

    params: MeanFieldParams
    optimiser: Any
    average: MeanFieldParams


class State(NamedTuple):
    """What a step changes.

    Attributes
    ----------
    params : pytree
        The parameters.
    optimiser : pytree
        The memory of the optimiser.
    latent : array, shape (num_rows, width), or None
        Of each row, its :class:`LatentState`, side by side: a visit then costs a line of the cache.
    """

    params: Params
    optimiser: Any
    latent: jax.Array | None = None

    def copy(self) -> State:
        """Return a state of its own: a chunk of steps takes the array of the rows away."""
        return self._replace(latent=None if self.latent is None else jnp.copy(self.latent))


class Chunk(NamedTuple):
    """What a chunk of steps ends with.

    Attributes
    ----------
    state : State
        After the last step.
    mean : pytree
        The mean of the parameters over the steps.
    losses : ndarray, shape (num_steps,)
        In nats.
    """

    state: State
    mean: Params
    losses: NDArray[Any]


@dataclass(frozen=True)
class Recipe:
    """What is compiled for a program: a change of it compiles again.

    Attributes
    ----------
    guide : Guide
        The family.
    optimiser : optax.GradientTransformation
        Works in units of the guide's own spread; its updates are multiplied by the rate.
    num_particles : int
        Draws of the guide in a step.
    """

    guide: Guide
    optimiser: optax.GradientTransformation
    num_particles: int = 1


class OnDevice(NamedTuple):
    """Data that the device holds.

    Attributes
    ----------
    array : array
        All of it.
    axes : tuple of (int, int)
        Of each sampled axis, which one it is, and the place of the numbers of its rows among what
        is fed.
    """

    array: jax.Array
    axes: tuple[tuple[int, int], ...]

    def rows(self, numbers: Sequence[jax.Array]) -> jax.Array:
        """Return the rows of a step."""
        array = self.array
        for axis, place in self.axes:
            array = jnp.take(array, numbers[place], axis=axis)
        return array


@dataclass(frozen=True)
class Feeding:
    """Where the rows of each step come from, and the noise.

    Attributes
    ----------
    feeds : sequence of Feed
        Together they fill ``program.fed``, in its order.
    data : tuple of array
        The values of ``program.data``.
    key : array
        The noise of a step is a function of this key and of the number of the step.
    held : tuple of OnDevice
        Data that the device holds, for all of ``program.fed``: the feeds then are of the numbers of
        rows alone, and the rows are gathered there.
    team : Team or None
        The processes that take each a part of the rows of a step, where there are several.
    row_weights : array, shape (rows of a part,), or None
        How much each row of this process's part counts; None where each counts alike.
    """

    feeds: Sequence[Feed]
    data: Inputs
    key: jax.Array
    held: tuple[OnDevice, ...] = ()
    team: Team | None = None
    row_weights: NDArray[np.float64] | None = None


def chunk_steps(program: Program, recipe: Recipe, feeding: Feeding) -> int:
    """Return how many steps a chunk holds: what fits in ``CHUNK_BYTES``, up to ``CHUNK_STEPS``."""
    numbers = program.layout.size * recipe.num_particles
    noise: int = numbers * np.dtype(pytensor.config.floatX).itemsize
    return max(1, min(CHUNK_STEPS, CHUNK_BYTES // (step_bytes(feeding.feeds) + noise)))


def init_state(recipe: Recipe, params: Params, latent: MeanFieldParams | None = None) -> State:
    """Return the state of a fit that starts from parameters, those of latent rows included."""
    state = State(params, recipe.optimiser.init(params))
    if latent is None:
        return state
    return state._replace(latent=jax.vmap(lambda row: _packing(recipe, row)[0])(latent))


def latent_average(recipe: Recipe, state: State, width: int) -> MeanFieldParams:
    """Return the normals of all rows that a fit ended with, shapes (num_rows, width)."""
    unpack = _unpacking(recipe, width)
    average: MeanFieldParams = jax.jit(jax.vmap(lambda row: unpack(row).average))(state.latent)
    return average


def _packing(recipe: Recipe, row: MeanFieldParams) -> tuple[jax.Array, Callable[..., LatentState]]:
    """Return the state that a row starts with as one array, and what makes a state of such."""
    return ravel_pytree(LatentState(row, recipe.optimiser.init(row), row))


def _unpacking(recipe: Recipe, width: int) -> Callable[..., LatentState]:
    zeros = jnp.zeros(width, pytensor.config.floatX)
    return _packing(recipe, MeanFieldParams(zeros, zeros))[1]


def run(
    program: Program,
    recipe: Recipe,
    frame: Frame,
    feeding: Feeding,
    state: State,
    rates: NDArray[np.float64],
    first: int = 0,
    length: int | None = None,
) -> Iterator[Chunk]:
    """Run steps, and yield at the end of each chunk.

    Parameters
    ----------
    program, recipe
        What is compiled.
    frame : Frame
        The coordinates that the guide is a distribution of.
    feeding : Feeding
        The rows and the noise.
    state : State
        Where to start from.
    rates : ndarray, shape (num_steps,)
        Multiplies the update of each step.
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
    length = length or chunk_steps(program, recipe, feeding)
    function = _compile(program, recipe, feeding)
    held = tuple(each.array for each in feeding.held)
    starts = range(0, len(rates), length)
    ranges = [(first + start, min(length, len(rates) - start)) for start in starts]
    chunks = prefetch(feeding.feeds, ranges, length)
    for start, (begin, count), rows in zip(starts, ranges, chunks, strict=True):
        rate = np.zeros(length)
        rate[:count] = rates[start : start + count]

        def steps(num_steps: int, state: State = state, begin: int = begin) -> Any:
            of_part = (rows, feeding.row_weights)  # noqa: B023
            arguments = (held, feeding.data, feeding.key, begin, rate, num_steps)  # noqa: B023
            return function(of_part, frame, state._replace(latent=None), state.latent, *arguments)

        ended, mean, losses = steps(count)
        # The rows are read until the last step is done, and may be filled again afterwards.
        found = np.asarray(losses)[:count]
        wrong = np.flatnonzero(~np.isfinite(found))
        if wrong.size:
            # The chunk is run again up to the step at fault, to see what was drawn there. What it
            # began with of latent rows is gone.
            index = int(wrong[0])
            params = state.params if program.latent is not None else steps(index)[0].params
            noise = _noise(program, recipe, feeding.key, np.int64(begin + index))
            coordinates = jax.vmap(partial(recipe.guide.transport, params))(noise)
            fed = _fed(program, tuple(row[index] for row in rows), feeding.held)
            inputs = fed + feeding.data + program.latent_start(len(fed[0]))
            positions = np.asarray(frame.positions(np.asarray(coordinates)))
            raise divergence(program, begin + index, positions, inputs)
        state = ended
        yield Chunk(state, mean, found)


@dataclass(frozen=True)
class StepsKey(FunctionKey):
    """The steps of a fit: its recipe, the axes of arrays on the device, and its processes."""

    recipe: Recipe
    axes: tuple[tuple[tuple[int, int], ...], ...]
    team: Team | None


def _compile(program: Program, recipe: Recipe, feeding: Feeding) -> Callable[..., Any]:
    axes, team = tuple(held.axes for held in feeding.held), feeding.team

    def compile_steps() -> Callable[..., Any]:
        steps = partial(_steps, program, recipe, axes, team)
        # The arrays of all rows are changed where they lie, or each chunk would copy them.
        return jax.jit(steps, donate_argnums=3) if team is None else team.together(steps)

    return program.compiled.get_or_compile(StepsKey(recipe, axes, team), compile_steps)


def _fed(
    program: Program, of_step: tuple[jax.Array, ...], held: Sequence[OnDevice]
) -> tuple[jax.Array, ...]:
    """Return the inputs that are fed in a step."""
    if held:
        return tuple(each.rows(of_step) for each in held)
    # Orders of unequal probabilities feed the weights of the rows last.
    return of_step[: len(program.fed)]


def _steps(
    program: Program,
    recipe: Recipe,
    axes: tuple[tuple[tuple[int, int], ...], ...],
    team: Team | None,
    of_part: tuple[Inputs, jax.Array | None],
    frame: Frame,
    state: State,
    latent: jax.Array | None,
    held: tuple[jax.Array, ...],
    data: Inputs,
    key: jax.Array,
    first: jax.Array,
    rates: jax.Array,
    count: jax.Array,
) -> tuple[State, Params, jax.Array]:
    """Run ``count`` steps; the arrays hold room for more, so that any count is one program."""
    guide = recipe.guide
    rows, row_weights = of_part
    is_weighted = not held and len(rows) > len(program.fed)
    on_device = [OnDevice(array, of_array) for array, of_array in zip(held, axes, strict=True)]
    numbers = first + jnp.arange(len(rates))
    # Drawn at once, which takes a third of the time of drawing step by step.
    draws = jax.vmap(partial(_noise, program, recipe, key))(numbers)
    draws_of_rows = jax.vmap(partial(_latent_noise, program, recipe, key))(numbers)

    def step(index: jax.Array, carry: tuple[State, Params, jax.Array]) -> Any:
        (params, memory, every), mean, losses = carry
        of_step = tuple(row[index] for row in rows)
        weights = of_step[-1] if is_weighted else None
        if row_weights is not None:
            weights = row_weights if weights is None else row_weights * weights
        fed = _fed(program, of_step, on_device)
        inputs = fed + data
        noise = jax.tree.map(lambda draw: draw[index], draws)

        visited, of_visited = None, None
        if every is not None:
            visited = fed[program.row_numbers_index]
            of_visited = jax.vmap(_unpacking(recipe, program.latent_layout.size))(every[visited])

        def loss_of(params: Params, latent: MeanFieldParams | None) -> jax.Array:
            if latent is None or every is None:
                return negative_elbo(program, guide, frame, params, noise, inputs, weights)
            share = len(every) / len(latent.location)
            of_rows = Latent(latent, draws_of_rows[index], share)
            return negative_elbo(program, guide, frame, params, noise, inputs, None, of_rows)

        loss, (gradient, slopes) = jax.value_and_grad(loss_of, argnums=(0, 1))(
            params, None if of_visited is None else of_visited.params
        )
        if team is not None:
            # Each process scales its part of the rows to all, so that this is of the whole batch.
            loss, gradient = team.mean((loss, gradient))
        if every is not None and of_visited is not None:
            anew = _visit(recipe, of_visited, slopes, rates[index])
            every = every.at[visited].set(jax.vmap(lambda row: ravel_pytree(row)[0])(anew))
        white = guide.whiten(params, gradient)
        updates, memory = recipe.optimiser.update(white, memory, params)
        move = guide.colour(params, updates)
        params = jax.tree.map(lambda old, change: old + rates[index] * change, params, move)
        mean = jax.tree.map(lambda old, new: old + (new - old) / (index + 1), mean, params)
        return State(params, memory, every), mean, losses.at[index].set(loss)

    losses = jnp.zeros(len(rates), dtype=pytensor.config.floatX)
    ended: tuple[State, Params, jax.Array] = jax.lax.fori_loop(
        0, count, step, (state._replace(latent=latent), state.params, losses)
    )
    return ended


def _visit(
    recipe: Recipe, latent: LatentState, slopes: MeanFieldParams, rate: jax.Array
) -> LatentState:
    """Move the normals of the rows that a step was fed; each row has an optimiser of its own."""
    params, memory, average = latent
    white = NORMALS.whiten(params, slopes)
    updates, memory = jax.vmap(recipe.optimiser.update)(white, memory, params)
    move = NORMALS.colour(params, updates)
    rate = jnp.minimum(LATENT_FACTOR * rate, MOST_LATENT_RATE)
    params = jax.tree.map(lambda old, change: old + rate * change, params, move)
    average = jax.tree.map(lambda old, new: old + LATENT_SHARE * (new - old), average, params)
    return LatentState(params, memory, average)


def _latent_noise(program: Program, recipe: Recipe, key: jax.Array, step: Any) -> Any:
    """Return the noise of the latent rows of a step; none without them."""
    if program.latent is None:
        return None
    step_key = jax.random.fold_in(jax.random.fold_in(key, step), 1)
    [size] = program.fed[program.row_numbers_index].owner.op.samples
    shape = (recipe.num_particles, size.size, program.latent_layout.size)
    return jax.random.normal(step_key, shape, pytensor.config.floatX)


def _noise(program: Program, recipe: Recipe, key: jax.Array, step: Any) -> Any:
    step_key = jax.random.fold_in(key, step)
    dtype = pytensor.config.floatX
    return recipe.guide.noise(step_key, recipe.num_particles, program.layout.size, dtype)
