"""Levels of the ELBO: medians with errors, falls from the best, and entropies that cannot be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayou.fitting.guides.full_rank import FullRank, FullRankParams
from bayou.fitting.guides.low_rank import LowRank
from bayou.fitting.guides.mean_field import MeanField
from bayou.fitting.stochastic.elbo_level import (
    LEVEL_STEPS,
    Level,
    best_level,
    excess_entropy,
    is_far_below,
    level_of,
)

RANDOM = np.random.default_rng(3)


def test_a_level_is_a_median_with_its_error() -> None:
    levels = [level_of(RANDOM.normal(-7, 2, size=LEVEL_STEPS)) for _ in range(200)]
    values, errors = np.array(levels).T
    assert values.mean() == pytest.approx(-7, abs=0.05)
    assert errors.mean() == pytest.approx(values.std(), rel=0.15)


def test_steps_that_fall_out_do_not_move_it() -> None:
    elbo = RANDOM.normal(-7, 1, size=LEVEL_STEPS)
    elbo[::50] = -1e12
    assert level_of(elbo).value == pytest.approx(-7, abs=0.3)


@pytest.mark.parametrize(("num_steps", "end"), [(3 * LEVEL_STEPS + 100, 2 * LEVEL_STEPS), (7, 7)])
def test_the_best_level_is_found_among_stretches_of_steps(num_steps: int, end: int) -> None:
    elbo = np.full(num_steps, -10.0)
    elbo[LEVEL_STEPS : 2 * LEVEL_STEPS] = -5.0
    assert best_level(elbo) == (end, Level(-5.0 if num_steps > 7 else -10.0, 0.0))


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [(-22.9, 0.0, False), (-23.1, 0.0, True), (-25.0, 0.5, False), (-1e6, 1.0, True)],
)
def test_a_nat_an_element_and_five_errors_are_not_far(
    value: float, error: float, expected: bool
) -> None:
    assert is_far_below(Level(value, error), Level(-20.0, 0.0), size=3) is expected


def test_sound_guides_have_no_excess_entropy() -> None:
    key = jax.random.key(1)
    for guide in (MeanField(), FullRank(), LowRank(2)):
        params = guide.init(jnp.zeros(6), jnp.logspace(-3, 3, 6))
        assert excess_entropy(guide, params, key) <= 0
    factor = np.tril(RANDOM.normal(size=(6, 6)), -1)
    sound = FullRankParams(jnp.zeros(6), jnp.zeros(6), jnp.asarray(factor))
    assert excess_entropy(FullRank(), sound, key) <= 0


def test_a_singular_factor_has() -> None:
    # Solving with it rounds so that draws seem far out: an ELBO of 1e19 came of that.
    factor = 1e6 * np.tril(RANDOM.normal(size=(12, 12)), -1)
    singular = FullRankParams(jnp.zeros(12), jnp.full(12, -5.0), jnp.asarray(factor))
    assert excess_entropy(FullRank(), singular, jax.random.key(1)) > 1e6
