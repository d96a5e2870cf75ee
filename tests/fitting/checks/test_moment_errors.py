"""Errors of moments, against normals and gammas whose moments are known."""

import numpy as np
import pytest
from scipy import stats

from bayou.fitting.checks.importance import importance_weights
from bayou.fitting.checks.moment_errors import (
    DOUBTFUL,
    Estimates,
    errors_from_chains,
    moment_errors,
    standard_errors,
)

NUM_DRAWS = 20_000
EVEN = np.full(NUM_DRAWS, 1 / NUM_DRAWS)


def test_weights_show_how_far_a_normal_is_off() -> None:
    draws = np.random.default_rng(1).normal(0.3, 1.2, size=(NUM_DRAWS, 1))
    ratios = stats.norm(0, 1).logpdf(draws[:, 0]) - stats.norm(0.3, 1.2).logpdf(draws[:, 0])
    found = moment_errors(draws, EVEN, importance_weights(ratios))
    quantiles = 0.3 + 0.2 * stats.norm.ppf([0.05, 0.95])
    exact = np.array([0.3, 0.2, *quantiles])
    assert (np.abs(found.values[0] - exact) < 4 * found.noise[0]).all()
    assert found.noise.max() < 0.03


def test_standard_errors_are_those_of_repeated_draws() -> None:
    random = np.random.default_rng(1)
    gamma = stats.gamma(3)
    sample = gamma.rvs(size=(200, 1000), random_state=random)
    found = standard_errors(sample[0][:, None], np.full(1000, 1e-3))[0]
    spreads = [
        sample.mean(axis=1).std(),
        sample.std(axis=1).std(),
        *np.quantile(sample, [0.05, 0.95], axis=1).std(axis=1),
    ]
    np.testing.assert_allclose(found, np.array(spreads) / gamma.std(), rtol=0.35)


def test_mirrored_draws_count_once() -> None:
    random = np.random.default_rng(1)

    def errors_of(num_pairs: int) -> Estimates:
        first = random.normal(size=(num_pairs, 40))
        draws = np.concatenate([first, -first])
        # The posterior is as wide in the first direction, and narrower in all others.
        weights = importance_weights(-0.05 * (draws[:, 1:] ** 2).sum(axis=1))
        even = np.full(len(draws), 1 / len(draws))
        return moment_errors(draws, even, weights, is_mirrored=True)

    found = [errors_of(500) for _ in range(200)]
    sds, noise = (np.array([each[part][0, 1] for each in found]) for part in (0, 1))
    # That of as many independent draws would be 0.7 of this.
    assert noise.mean() == pytest.approx(sds.std(), rel=0.15)


def test_a_power_is_extrapolated() -> None:
    draws = np.random.default_rng(1).normal(0.1, 1, size=(NUM_DRAWS, 1))
    ratios = -0.1 * draws[:, 0]
    found = moment_errors(draws, EVEN, importance_weights(ratios, 0.5), 0.5)
    assert found.values[0, 0] == pytest.approx(0.1, abs=0.01)


def test_constants_have_no_errors() -> None:
    draws = np.ones((100, 1))
    even = np.full(100, 0.01)
    assert np.isnan(moment_errors(draws, even, even).values).all()


def test_chains_count_once_where_they_do_not_move() -> None:
    random = np.random.default_rng(1)
    before = random.normal(0.5, 1, size=(NUM_DRAWS, 1))
    stuck = np.repeat(random.normal(size=(1, 400, 1)), 10, axis=0)
    moving = random.normal(size=(10, 400, 1))
    assert errors_from_chains(before, stuck).noise[0, 0] == pytest.approx(1 / 20, rel=0.1)
    found = errors_from_chains(before, moving)
    assert found.noise[0, 0] == pytest.approx(1 / np.sqrt(4000), rel=0.2)
    assert found.values[0, 0] == pytest.approx(0.5, abs=0.07)


def test_chance_among_many_errors_is_no_alarm() -> None:
    # Standard errors as the check of a fit has them, around errors of nothing.
    random = np.random.default_rng(1)
    noise = np.full((256, 4), 0.1)
    alarms = [
        (Estimates(random.normal(scale=0.1, size=(256, 4)), noise).certain > DOUBTFUL).any()
        for _ in range(200)
    ]
    assert np.mean(alarms) < 0.05
    # One that is far off stands out all the same.
    values = np.zeros((256, 4))
    values[7, 0] = 0.6
    assert Estimates(values, noise).certain[7, 0] > DOUBTFUL[0]


def test_few_errors_are_judged_by_one_standard_error() -> None:
    found = Estimates(np.full((4, 4), -0.5), np.full((4, 4), 0.2))
    np.testing.assert_allclose(found.certain, found.clear)
    np.testing.assert_allclose(found.clear, 0.3)
