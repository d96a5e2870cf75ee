"""The JAX functions that run all lanes of a batch, compiled once for a program and its shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from bayou.density.compiled_functions import FunctionKey
from bayou.density.prng import noise_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bayou.containers.variables.dims import Numbers
    from bayou.density.program import Inputs, Program
    from bayou.nuts.settings import NutsSettings

    type Make[Result] = Callable[[Program, NutsSettings], Callable[..., Result]]
    # The positions, and statistics of each draw by their names.
    type Draws = tuple[jax.Array, dict[str, jax.Array]]


@dataclass(frozen=True)
class LanesKey(FunctionKey):
    """A function of lanes: what makes it, the lengths of chains, and the shapes of arguments."""

    make: Make[object]
    settings: NutsSettings
    shapes: tuple[tuple[tuple[int, ...], str], ...]


@dataclass(frozen=True, eq=False)
class LaneFunctions:
    """Functions of batches of lanes.

    Attributes
    ----------
    program : Program
        A model whose likelihood is a product over rows, each of which has a weight.
    settings : NutsSettings
    """

    program: Program
    settings: NutsSettings

    def sample(
        self,
        seeds: NDArray[np.uint64],
        points: NDArray[np.float64],
        inputs: Inputs,
        weights: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], dict[str, Numbers]]:
        """Run NUTS in all lanes.

        Parameters
        ----------
        seeds : ndarray of uint64, shape (lanes,)
        points : ndarray of float64, shape (lanes, chains, parameters)
            Where chains start.
        inputs : tuple of ndarray, shape (lanes, ...)
        weights : ndarray of float64, shape (lanes, rows)

        Returns
        -------
        positions : ndarray of float64, shape (lanes, chains, draws, parameters)
        statistics : dict of str to ndarray, shape (lanes, chains, draws)
        """
        drawn = self._call(_sampler, seeds, points, inputs, weights)
        positions, statistics = jax.tree.map(np.asarray, drawn)
        return positions, statistics

    def are_finite(
        self, points: NDArray[np.float64], inputs: Inputs, weights: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Return whether the density and its gradient are finite at points, (lanes, chains)."""
        return np.asarray(self._call(_finite, points, inputs, weights))

    def constrain(self, positions: NDArray[np.float64], inputs: Inputs) -> dict[str, Numbers]:
        """Return the model's variables at positions of one lane, shape (chains, draws, ...)."""
        values = self._call(_constrained, positions, inputs)
        return {name: np.asarray(array) for name, array in values.items()}

    def _call[Result](self, make: Make[Result], *arguments: object) -> Result:
        shapes = tuple((part.shape, str(part.dtype)) for part in jax.tree.leaves(arguments))
        function = self.program.compiled.get_or_compile(
            LanesKey(make, self.settings, shapes),
            lambda: jax.jit(make(self.program, self.settings)).lower(*arguments).compile(),
        )
        result: Result = function(*arguments)
        return result


def _sampler(program: Program, settings: NutsSettings) -> Callable[..., Draws]:
    """Return a function (seeds, points, inputs, weights) -> positions and statistics."""
    # It takes seconds to import.
    import blackjax

    kernel = blackjax.nuts.build_kernel()
    max_depth = settings.max_treedepth

    def chain(key: jax.Array, point: jax.Array, inputs: Inputs, weights: jax.Array) -> Draws:
        def density(position: jax.Array) -> jax.Array:
            return program.density(position, inputs, weights)

        def step(state: Any, key: jax.Array) -> tuple[Any, Draws]:
            state, info = kernel(key, state, density, max_num_doublings=max_depth, **adapted)
            depth = info.num_trajectory_expansions
            is_cut = ~(info.is_divergent | info.is_turning)
            return state, (
                state.position,
                {
                    "lp": state.logdensity,
                    "energy": info.energy,
                    "diverging": info.is_divergent,
                    "tree_depth": depth.astype(jnp.uint64),
                    "reached_max_treedepth": (depth == max_depth) & is_cut,
                    "n_steps": info.num_integration_steps.astype(jnp.uint64),
                    "acceptance_rate": info.acceptance_rate,
                },
            )

        tuning_key, key = jax.random.split(key)
        tuning = blackjax.window_adaptation(
            blackjax.nuts,
            density,
            target_acceptance_rate=settings.target_accept,
            adaptation_info_fn=_keep_nothing,
            max_num_doublings=max_depth,
        )
        (state, adapted), _ = tuning.run(tuning_key, point, settings.num_tuning_steps)
        adapted = {name: adapted[name] for name in ("step_size", "inverse_mass_matrix")}
        draws: Draws = jax.lax.scan(step, state, jax.random.split(key, settings.draws))[1]
        return draws

    def lane(seed: jax.Array, points: jax.Array, inputs: Inputs, weights: jax.Array) -> Draws:
        keys = jax.random.split(noise_key(seed), settings.chains)
        draws: Draws = jax.vmap(chain, (0, 0, None, None))(keys, points, inputs, weights)
        return draws

    return jax.vmap(lane)


def _keep_nothing(*unused: object) -> None:
    """Return nothing of a tuning step: blackjax would keep all states of all of them."""


def _finite(program: Program, settings: NutsSettings) -> Callable[..., jax.Array]:
    """Return a function (points, inputs, weights) -> whether density and gradient are finite."""

    def finite(point: jax.Array, inputs: Inputs, weights: jax.Array) -> jax.Array:
        value_and_gradient = jax.value_and_grad(program.density)(point, inputs, weights)
        return jnp.isfinite(ravel_pytree(value_and_gradient)[0]).all()

    return jax.vmap(jax.vmap(finite, (0, None, None)))


def _constrained(program: Program, settings: NutsSettings) -> Callable[..., dict[str, jax.Array]]:
    """Return a function (positions of a lane, inputs) -> values of the model's variables."""
    return jax.vmap(jax.vmap(program.constrain, (0, None)), (0, None))
