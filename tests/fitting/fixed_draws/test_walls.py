"""Infinite regions are walls for a deterministic fit, and a bound on iterations holds."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from bayou.fitting.fixed_draws.antithetic import antithetic_signs
from bayou.fitting.fixed_draws.optimize import minimize
from bayou.fitting.guides.coordinates import Frame


@pytest.mark.parametrize("outside", [-np.inf, np.nan])
def test_infinite_regions_are_walls(outside: float, evaluator_of: Any) -> None:
    # Nothing lies below 0; the start is far off, where the way down leads across the wall.
    def bounded(position: jax.Array) -> jax.Array:
        inside = position[0] > 0
        safe = jnp.where(inside, position[0], 1.0)
        return jnp.where(inside, 2 * jnp.log(safe) - 40 * safe, outside)

    noise = antithetic_signs(1, 2, 1)
    frame = Frame(np.full(1, 5.0), np.full(1, 1.0))
    crossed = []

    def watched(position: jax.Array) -> jax.Array:
        jax.debug.callback(lambda value: crossed.append(float(value) <= 0), position[0])
        return bounded(position)

    optimum = minimize(evaluator_of(watched, 1), frame, noise, None, lambda _: None)
    jax.effects_barrier()
    assert any(crossed)
    assert optimum.converged
    assert np.isfinite(optimum.losses).all()

    def loss(point: np.ndarray) -> float:
        location, scale = point[0], np.exp(point[1])
        if location <= scale:
            return np.inf
        logs = np.log(location - scale) + np.log(location + scale)
        return float(40 * location - logs - point[1])

    found = optimize.minimize(loss, [0.1, np.log(0.03)], method="Nelder-Mead", tol=1e-12).x
    np.testing.assert_allclose(optimum.mean, found[0], rtol=1e-3)
    np.testing.assert_allclose(np.sqrt(optimum.variances), np.exp(found[1]), rtol=1e-3)


def test_a_bound_is_kept_when_it_is_short(evaluator_of: Any) -> None:
    noise, frame = antithetic_signs(1, 16, 3), Frame(np.zeros(3), np.full(3, 0.1))
    evaluator = evaluator_of(lambda x: -jnp.sum((x / jnp.array([0.01, 2.0, 30.0]) - 1) ** 2), 3)
    optimum = minimize(evaluator, frame, noise, 2, lambda _: None)
    assert len(optimum.losses) == 2
    assert optimum.reason == "2 iterations did not suffice"
