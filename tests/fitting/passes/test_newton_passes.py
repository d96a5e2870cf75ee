"""Passes: a Newton step where coordinates are right, shortened or remembered where they are not."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayou.density.evaluator import Block, Evaluator
from bayou.fitting.fixed_draws.antithetic import antithetic_normals, antithetic_signs
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.passes.newton_passes import PassDensity, settle_mean

PRECISION = np.array([[4.0, 3.4], [3.4, 4.0]])
COVARIANCE = np.linalg.inv(PRECISION)
CENTER = np.array([1.0, -2.0])
NOISE = antithetic_signs(1, 8, 2)
WHITE = np.linalg.cholesky(COVARIANCE)


def normal(position: jax.Array) -> jax.Array:
    away = position - CENTER
    return -0.5 * away @ PRECISION @ away


@pytest.fixture(scope="module")
def density_of(program_of: Any) -> Any:
    """Return a density of a pass, whose terms take no rows."""

    def of(density: Any) -> PassDensity:
        program = program_of(density, 2)
        block = Block((), 1.0, 1)
        return PassDensity(
            Evaluator(program, [block]),
            Evaluator(program, [block], without_rows=True),
            antithetic_normals(1, 32, 2),
        )

    return of


def test_the_passes_of_a_normal_in_its_own_coordinates(density_of: Any) -> None:
    passes: list[Any] = []
    away = Frame(CENTER + WHITE @ [30.0, -20.0], WHITE)
    settled = settle_mean(density_of(normal), away, NOISE, passes.append)
    assert settled is not None
    np.testing.assert_allclose(settled.frame.origin, CENTER, atol=1e-8)
    # One that moves, and one that finds no move left.
    assert len(passes) == 2
    last = passes[-1]
    assert last.residuals.max() < 1e-8
    assert last.errors.max() < 1e-8
    np.testing.assert_allclose(last.variance_changes, 0, atol=1e-8)
    evidence = np.log(2 * np.pi) + 0.5 * np.linalg.slogdet(COVARIANCE)[1]
    # Signs have the second moments of a normal, so that the ELBO is exact.
    assert last.elbo == pytest.approx(evidence, abs=0.4)


def test_variances_that_are_not_those_of_the_coordinates(density_of: Any) -> None:
    wide = Frame(CENTER, np.sqrt(2) * WHITE)
    now = density_of(normal).evaluate(wide, antithetic_signs(1, 64, 2))
    change, error = now.variance_changes
    # The curvature is twice what it should be: to first order, the variance is to fall by all of
    # itself.
    assert (np.abs(change + 1) < 0.1 + 3 * error).all()
    assert now.residuals.min() > 0.5


def test_wrong_coordinates_take_more_passes_and_end_at_the_same_mean(density_of: Any) -> None:
    passes: list[Any] = []
    settled = settle_mean(
        density_of(normal), Frame(CENTER + 3.0, np.array([0.5, 2.0])), NOISE, passes.append
    )
    assert settled is not None
    np.testing.assert_allclose(settled.frame.origin, CENTER, atol=0.02)
    assert len(passes) > 2


def test_a_move_that_lowers_the_elbo_is_shortened(density_of: Any) -> None:
    def steep(position: jax.Array) -> jax.Array:
        return -jnp.sum(jnp.cosh(position - CENTER))

    start = Frame(CENTER + 6.0, 0.5 * np.ones(2))
    settled = settle_mean(density_of(steep), start, NOISE, lambda _: None)
    assert settled is not None
    np.testing.assert_allclose(settled.frame.origin, CENTER, atol=0.02)


def test_passes_without_an_optimum_do_not_settle(density_of: Any) -> None:
    start = Frame(np.zeros(2), np.ones(2))
    endless = settle_mean(density_of(lambda x: jnp.sum(x) * 1e3), start, NOISE, lambda _: None)
    assert endless is not None
    assert not endless.is_near
    nowhere = density_of(lambda x: jnp.sum(jnp.sqrt(-1 - x**2)))
    assert settle_mean(nowhere, start, NOISE, lambda _: None) is None
