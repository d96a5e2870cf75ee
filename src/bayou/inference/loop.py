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

from bayou.feeding.prefetch import prefetch
from bayou.inference.faults import divergence
from bayou.inference.objective import negative_elbo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import optax
    from numpy.typing import NDArray

    from bayou.feeding.feed import Feed
    from bayou.inference.guides import Guide, Params
    from bayou.inference.program import Inputs, Program

CHUNK_BYTES = 2**25
CHUNK_STEPS = 256


class State(NamedTuple):
    """All that a step changes: the iterate, its average and the optimiser's memory."""

    params: Params
    average: Params
    optimiser: Any


class Plan(NamedTuple):
    """What the steps of a run are told: arrays of shape (num_steps,).

    ``rate`` multiplies the step of the optimiser, ``weight`` is the share of the new iterate in
    the average (1 forgets what was there before).
    """

    rate: NDArray[np.float64]
    weight: NDArray[np.float64]


@dataclass(frozen=True)
class Recipe:
    """What is compiled for a program: a change of it compiles again.

    Attributes
    ----------
    guide : Guide
        The family.
    optimiser : optax.GradientTransformation
        Its updates are multiplied by the rate of the plan.
    num_particles : int
        Draws of the guide in a step.
    """

    guide: Guide
    optimiser: optax.GradientTransformation
    num_particles: int = 1


def compile_chunk(program: Program, recipe: Recipe) -> Callable[..., tuple[State, jax.Array]]:
    """Return the compiled chunk of a program and recipe, the same one at each call."""
    if recipe not in program.compiled:
        program.compiled[recipe] = jax.jit(partial(_chunk, program, recipe))
    return program.compiled[recipe]


def _chunk(
    program: Program,
    recipe: Recipe,
    state: State,
    rows: Inputs,
    data: Inputs,
    key: jax.Array,
    first: jax.Array,
    plan: Plan,
    count: jax.Array,
) -> tuple[State, jax.Array]:
    """Run ``count`` steps; the arrays hold room for more, so that any count is one program."""

    def step(index: jax.Array, carry: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
        state, losses = carry
        inputs = tuple(row[index] for row in rows) + data
        noise = _noise(program, recipe, key, first + index)

        def loss_of(params: Params) -> jax.Array:
            return negative_elbo(program, recipe.guide, params, noise, inputs)

        loss, gradient = jax.value_and_grad(loss_of)(state.params)
        updates, memory = recipe.optimiser.update(gradient, state.optimiser, state.params)
        rate, weight = plan.rate[index], plan.weight[index]
        params = jax.tree.map(lambda old, move: old + rate * move, state.params, updates)
        average = jax.tree.map(lambda old, new: old + weight * (new - old), state.average, params)
        return State(params, average, memory), losses.at[index].set(loss)

    losses = jnp.zeros(len(plan.rate), dtype=pytensor.config.floatX)
    ended: tuple[State, jax.Array] = jax.lax.fori_loop(0, count, step, (state, losses))
    return ended


def _noise(program: Program, recipe: Recipe, key: jax.Array, step: Any) -> Any:
    step_key = jax.random.fold_in(key, step)
    dtype = pytensor.config.floatX
    return recipe.guide.noise(step_key, recipe.num_particles, program.layout.size, dtype)


def init_state(recipe: Recipe, position: jax.Array) -> State:
    """Return the state of a fit that starts around a position."""
    params = recipe.guide.init(position)
    return State(params, params, recipe.optimiser.init(params))


def chunk_length(feeds: Sequence[Feed]) -> int:
    """Return how many steps a chunk holds: what fits in ``CHUNK_BYTES``, up to ``CHUNK_STEPS``."""
    step_bytes = sum(feed.step_bytes for feed in feeds)
    return max(1, min(CHUNK_STEPS, CHUNK_BYTES // max(step_bytes, 1)))


def run(
    program: Program,
    recipe: Recipe,
    state: State,
    feeds: Sequence[Feed],
    data: Inputs,
    key: jax.Array,
    plan: Plan,
    first: int = 0,
) -> Iterator[tuple[State, NDArray[Any]]]:
    """Run the steps of a plan; yield the state and the losses at the end of each chunk.

    Parameters
    ----------
    program, recipe
        What is compiled.
    state : State
        Where to start from.
    feeds : sequence of Feed
        One for each of ``program.fed``.
    data : tuple of array
        The values of ``program.data``.
    key : array
        The key that the noise of all steps is drawn from.
    plan : Plan
        The rates and weights of the steps to run.
    first : int, default 0
        The number of the first step: noise and rows are a function of it.

    Yields
    ------
    tuple of State and ndarray
        After each chunk: the state and the losses of its steps.

    Raises
    ------
    DivergenceError
        If a loss is not finite; names the step and the variables at fault.
    """
    num_steps = len(plan.rate)
    length = chunk_length(feeds)
    function = compile_chunk(program, recipe)
    starts = range(0, num_steps, length)
    ranges = [(first + start, min(length, num_steps - start)) for start in starts]
    chunks = prefetch(feeds, ranges)
    for start, (begin, count), rows in zip(starts, ranges, chunks, strict=True):
        part = Plan(*(_padded(values[start : start + length], length) for values in plan))
        padded = tuple(_padded(row, length) for row in rows)
        before = state
        state, losses = function(before, padded, data, key, begin, part, count)
        found = np.asarray(losses)[:count]
        wrong = np.flatnonzero(~np.isfinite(found))
        if wrong.size:
            # The chunk is run again up to the step at fault, to see what was drawn there.
            index = int(wrong[0])
            at_fault, _ = function(before, padded, data, key, begin, part, index)
            noise = _noise(program, recipe, key, begin + index)
            positions = jax.vmap(partial(recipe.guide.transport, at_fault.params))(noise)
            inputs = tuple(row[index] for row in rows) + data
            raise divergence(program, start + index, positions[0], inputs)
        yield state, found


def _padded(values: NDArray[Any], length: int) -> NDArray[Any]:
    if len(values) == length:
        return values
    return np.concatenate([values, np.repeat(values[-1:], length - len(values), axis=0)])
