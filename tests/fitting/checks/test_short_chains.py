"""Short chains, on densities whose moments are known."""

import numpy as np
from scipy import stats

from bayou.fitting.checks.proposals import Proposal
from bayou.fitting.checks.short_chains import AGREEMENT, NUM_CHAINS, Chains, run_short_chains


def test_chains_leave_a_poor_start() -> None:
    # A normal of 40 elements, from draws that are off by one sd and half as wide.
    def normal(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return -0.5 * (positions**2).sum(axis=1), -positions

    start = Proposal(np.ones(40), np.full(40, 0.5))
    chains = run_short_chains(start, start.draw(1, NUM_CHAINS // 2), normal, 2)
    assert chains.agree
    draws = chains.positions.reshape(-1, 40)
    assert np.abs(draws.mean(axis=0)).max() < 0.15
    assert np.abs(draws.std(axis=0) - 1).max() < 0.15
    assert np.abs(draws.mean()) < 0.02


def test_skewed_elements_have_their_quantiles() -> None:
    def log_gammas(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return stats.loggamma(1.0).logpdf(positions).sum(axis=1), 1 - np.exp(positions)

    start = Proposal(np.zeros(3), np.eye(3))
    chains = run_short_chains(start, start.draw(1, NUM_CHAINS // 2), log_gammas, 2)
    found = np.quantile(chains.positions, [0.05, 0.5, 0.95])
    np.testing.assert_allclose(found, stats.loggamma(1.0).ppf([0.05, 0.5, 0.95]), atol=0.15)


def test_chains_in_two_modes_do_not_agree() -> None:
    def two_modes(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sign = np.sign(positions)
        return -0.5 * ((positions - 8 * sign) ** 2).sum(axis=1), 8 * sign - positions

    start = Proposal(np.zeros(1), np.full(1, 5.0))
    chains = run_short_chains(start, start.draw(1, NUM_CHAINS // 2), two_modes, 2)
    assert chains.rhat > AGREEMENT
    assert not chains.agree


def test_chains_that_cannot_move_do_not_agree() -> None:
    def point(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        at_start = np.abs(positions).max(axis=1) > 3
        return np.where(at_start, 0.0, -np.inf), np.zeros_like(positions)

    start = Proposal(np.zeros(2), np.ones(2))
    starts = np.full((NUM_CHAINS, 2), 3.0)
    assert not run_short_chains(start, starts, point, 2).agree


def test_rhat_of_a_scale_is_that_of_its_log() -> None:
    random = np.random.default_rng(1)
    logs = random.normal(size=(40, 16, 2)) - random.exponential(1, size=(16, 2))
    assert Chains(logs, 0.9).rhat == Chains(np.exp(logs), 0.9).rhat
    assert Chains(logs, 0.9).rhat > 1.1
    assert Chains(random.normal(size=(40, 16, 2)), 0.9).rhat < 1.1
