"""Adaptive importance sampling, on densities whose moments are known."""

import numpy as np
import pytest
from scipy import stats

from bayou.fitting.checks.adaptive import ENOUGH_DRAWS, ROUND_PAIRS, ROUNDS, adapt
from bayou.fitting.checks.proposals import Proposal


def log_gammas(positions: np.ndarray) -> np.ndarray:
    """Two independent logs of gammas, whose left tails are long."""
    return stats.loggamma(1.5).logpdf(positions).sum(axis=1)


def test_a_poor_start_ends_at_the_moments() -> None:
    start = Proposal(np.array([2.0, -2.0]), np.array([0.5, 0.5]))
    positions = start.draw(1, 500)
    drawn = adapt(start, positions, log_gammas(positions), log_gammas, 2)
    mean, variance = stats.loggamma(1.5).stats()
    found = drawn.weights @ drawn.positions
    assert drawn.share * len(drawn.positions) > ENOUGH_DRAWS
    np.testing.assert_allclose(found, [mean, mean], atol=0.05)
    found_variance = drawn.weights @ (drawn.positions - found) ** 2
    np.testing.assert_allclose(found_variance, [variance, variance], rtol=0.06)


def test_it_stops_where_all_draws_count() -> None:
    start = Proposal(np.zeros(1), np.ones(1))
    positions = start.draw(1, ENOUGH_DRAWS)
    drawn = adapt(start, positions, start.log_densities(positions), start.log_densities, 2)
    assert len(drawn.positions) == 2 * ENOUGH_DRAWS
    assert drawn.share == pytest.approx(1)


def test_it_stops_after_some_rounds() -> None:
    start = Proposal(np.zeros(1), np.ones(1))
    positions = start.draw(1, 100)

    def comb(positions: np.ndarray) -> np.ndarray:
        return np.where(np.floor(50 * positions[:, 0]) % 5 == 0, 0.0, -np.inf)

    drawn = adapt(start, positions, comb(positions), comb, 2)
    assert len(drawn.positions) == 200 + ROUNDS * 2 * ROUND_PAIRS
    assert drawn.share < 0.5
