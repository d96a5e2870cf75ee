"""Draws from an approximation: in the space of the model, and as coordinates with their density."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from bayou.arguments import seed_number
from bayou.density.compiled_functions import FunctionKey
from bayou.feeding.memory import check_draws
from bayou.fitting.checks.model_space import GROUP, ConstrainedValues
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.mean_field import MeanField

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bayou.arguments import RandomSeed
    from bayou.containers.variables.dims import Numbers
    from bayou.density.program import Inputs, Program
    from bayou.fitting.guides import Guide, Noise, Params
    from bayou.fitting.guides.approximation import Approximation
    from bayou.fitting.guides.mean_field import MeanFieldParams

    type Array = NDArray[np.float64]
    # Locations of the variables with a value for each row, shape (num_rows, size), and their
    # standard deviations or, with one more axis, the factors of the covariances of rows.
    type RowMoments = tuple[jax.Array, jax.Array]

# Draws that are computed at once. A draw of variables with a value for each row is as long as the
# data, so that these come one by one.
DRAWS_AT_ONCE = 256
# The most numbers that variables have at a group of positions, 32 MiB: then positions are drawn
# first, and one compiled function of groups serves any number of draws. Else one function draws and
# computes; its compilation takes 0.8 s in the place of 0.05.
MAX_NUMBERS = 2**22


@dataclass(frozen=True)
class DrawsKey(FunctionKey):
    """Draws in the space of the model: the family, the variables, and where they come from."""

    guide: Guide
    names: frozenset[str] | None
    has_latent: bool
    resampled: bool


@dataclass(frozen=True)
class CoordinatesKey(FunctionKey):
    """Draws of the coordinates and their log densities."""

    guide: Guide


def key_seed(random_seed: RandomSeed | None) -> int:
    """Return the number of 32 bits that keys of JAX are made from."""
    return int(np.random.SeedSequence(seed_number(random_seed)).generate_state(1)[0])


def drawn_names(program: Program, var_names: str | Sequence[str] | None) -> frozenset[str] | None:
    """Return the names of the variables to draw, None for all.

    Raises
    ------
    ValueError
        If one is none of a free variable, or of a deterministic that can be drawn.
    """
    if var_names is None:
        return None
    names = [var_names] if isinstance(var_names, str) else list(var_names)
    available = program.functions.constrained_names
    unknown = [name for name in names if name not in available]
    if unknown:
        raise ValueError(
            f"`var_names` must be among {list(available)}, got {unknown}.\n"
            "Hint: names are those of the model, before any transform."
        )
    return frozenset(names)


def constrained_draws(
    program: Program,
    approximation: Approximation,
    num_draws: int,
    seed: int,
    names: frozenset[str] | None,
) -> dict[str, Numbers]:
    """Return draws in the space of the model, with the deterministics of the data as they are now.

    Parameters
    ----------
    program : Program
        The model.
    approximation : Approximation
        The distribution.
    num_draws : int
        The number of draws.
    seed : int
        Decides the draws.
    names : frozenset of str or None
        The variables to return, None for all.

    Returns
    -------
    dict of str to ndarray, shapes (1, num_draws, ...)

    Raises
    ------
    ValueError
        If a variable with a value for each row was fitted to another number of rows, or the draws
        do not fit in memory.
    """
    _check_num_rows(program, approximation, names)
    check_draws(num_draws, {"position": program.layout.size})
    guide, latent = approximation.guide, approximation.latent
    if latent is None:
        values_at = ConstrainedValues(program, names)
        sizes = values_at.sizes()
        check_draws(num_draws, sizes)
        is_light = GROUP * sum(sizes.values()) <= MAX_NUMBERS
        positions = _drawn_positions(approximation, num_draws, seed) if is_light else None
        if positions is not None:
            return {name: values[None] for name, values in values_at(positions).items()}

    def compute(
        params: Params, frame: Frame, rows: RowMoments | None, noise: Noise, data: Inputs
    ) -> dict[str, jax.Array]:
        def constrain(noise_and_key: tuple[Noise, jax.Array]) -> dict[str, jax.Array]:
            draw, key = noise_and_key
            position = draw
            if approximation.resampled is None:
                position = frame.positions(guide.transport(params, draw))
            values = program.constrain(position, (*data, *_draw_rows(rows, key)))
            return {name: values[name] for name in values if names is None or name in names}

        at_once = DRAWS_AT_ONCE if rows is None else 1
        draws: dict[str, jax.Array] = jax.lax.map(constrain, noise, batch_size=at_once)
        return draws

    compiled = program.compiled.get_or_compile(
        DrawsKey(guide, names, latent is not None, approximation.resampled is not None),
        lambda: jax.jit(compute),
    )
    # The draws of rows have keys of their own, by the seed that follows.
    row_keys = jax.random.split(jax.random.key(seed + 1), num_draws)
    if approximation.resampled is not None:
        drawn = jnp.asarray(_choose(approximation.resampled, num_draws, seed))
    else:
        drawn = guide.noise(jax.random.key(seed), num_draws, program.layout.size, None)
    noise = drawn, row_keys
    rows = None if latent is None else (latent.location, _row_factors(approximation, latent))
    data = program.constraining_inputs()
    if rows is not None:
        shapes = compiled.eval_shape(approximation.params, approximation.frame, rows, noise, data)
        check_draws(num_draws, {name: each.size // num_draws for name, each in shapes.items()})
    draws = compiled(approximation.params, approximation.frame, rows, noise, data)
    return {name: np.asarray(values)[None] for name, values in draws.items()}


def coordinate_draws(
    program: Program, approximation: Approximation, num_draws: int, seed: int
) -> tuple[jax.Array, jax.Array]:
    """Return draws of the coordinates and their log densities.

    Returns
    -------
    coordinates : jax.Array, shape (num_draws, size)
    log_densities : jax.Array, shape (num_draws,)
        Of the guide, in nats.
    """
    check_draws(num_draws, {"position": program.layout.size})
    guide = approximation.guide
    draw = program.compiled.get_or_compile(
        CoordinatesKey(guide), lambda: jax.jit(partial(_with_log_densities, guide))
    )
    noise = guide.noise(jax.random.key(seed), num_draws, program.layout.size, None)
    coordinates, log_densities = draw(approximation.params, noise)
    return coordinates, log_densities


def _with_log_densities(guide: Guide, params: Params, noise: Noise) -> tuple[jax.Array, jax.Array]:
    def draw(one: Noise) -> tuple[jax.Array, jax.Array]:
        coordinates = guide.transport(params, one)
        return coordinates, guide.log_density(params, coordinates)

    coordinates, log_densities = jax.vmap(draw)(noise)
    return coordinates, log_densities


def _drawn_positions(approximation: Approximation, num_draws: int, seed: int) -> Array | None:
    """Return draws of the position, shape (num_draws, size), None where JAX is to draw them."""
    if approximation.resampled is not None:
        return _choose(approximation.resampled, num_draws, seed)
    if not isinstance(approximation.guide, MeanField):
        return None
    frame, params = approximation.frame, approximation.params
    # Drawn by JAX, as draws of earlier versions were: they stay the same for a seed.
    noise = np.asarray(
        approximation.guide.noise(jax.random.key(seed), num_draws, len(frame.origin), None)
    )
    coordinates = np.asarray(params.location) + np.exp(np.asarray(params.log_scale)) * noise
    positions: Array = Frame(np.asarray(frame.origin), np.asarray(frame.factor)).positions(
        coordinates
    )
    return positions


def _choose(resampled: Array, num_draws: int, seed: int) -> Array:
    """Choose draws in random order: each once, before any comes again."""
    random = np.random.default_rng(seed)
    rounds = -(-num_draws // len(resampled))
    orders = [random.permutation(len(resampled)) for _ in range(rounds)]
    chosen: Array = resampled[np.concatenate(orders)[:num_draws]]
    return chosen


def _draw_rows(rows: RowMoments | None, key: jax.Array) -> tuple[jax.Array, ...]:
    """Draw the variables with a value for each row: one input, or none without such variables."""
    if rows is None:
        return ()
    location, factors = rows
    noise = jax.random.normal(key, location.shape, location.dtype)
    independent = factors.ndim == noise.ndim
    steps = factors * noise if independent else jnp.einsum("rvw,rw->rv", factors, noise)
    return (location + steps,)


def _row_factors(approximation: Approximation, latent: MeanFieldParams) -> jax.Array:
    factor = approximation.latent_factor
    return jnp.exp(latent.log_scale) if factor is None else jnp.asarray(factor)


def _check_num_rows(
    program: Program, approximation: Approximation, names: frozenset[str] | None
) -> None:
    """Check that variables with a value for each row, if asked for, are of the present rows."""
    variables, latent = program.latent, approximation.latent
    if variables is None or latent is None:
        return
    if names is not None and not names & set(variables.names):
        return
    num_fitted = len(latent.location)
    lengths = (data.get_value(borrow=True).shape[axis] for data, axis in program.counted)
    num_now = next(lengths, variables.num_rows)
    if num_now != num_fitted:
        raise ValueError(
            f"The model must hold the rows that were fitted, for draws of {variables.names[0]!r} "
            f"with a value for each: {num_fitted} were fitted, got {num_now} now.\n"
            "Hint: by.predict is for other rows; or put those that were fitted back."
        )
