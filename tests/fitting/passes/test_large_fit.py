"""Models with more elements than matrices of their pairs are made for: crossed effects."""

import numpy as np
import pymc as pm
import pytest

import bayou as by

pytestmark = pytest.mark.slow

NUM_ROWS = 20_000
SIZES = (350, 170)
RNG = np.random.default_rng(0)
LEVELS = [RNG.integers(0, size, NUM_ROWS) for size in SIZES]
EFFECTS = [RNG.normal(0, 1, size) for size in SIZES]
Y = 1 + sum(effect[level] for effect, level in zip(EFFECTS, LEVELS, strict=True))
Y = Y + RNG.normal(size=NUM_ROWS)


@pytest.fixture(scope="module")
def fit() -> by.Fit:
    with pm.Model() as model:
        first, second = (
            by.Data(f"level {number}", level, dims="row") for number, level in enumerate(LEVELS)
        )
        y = by.Data("y", Y, dims="row")
        intercept = pm.Normal("intercept", 0, 10)
        one, other = pm.Normal("one", shape=SIZES[0]), pm.Normal("other", shape=SIZES[1])
        mean = intercept + one[first] + other[second]
        pm.Normal("observed", mean, 1, observed=y, dims="row")
    return by.fit(model=model, random_seed=1, progressbar=False)


@pytest.fixture(scope="module")
def covariance() -> np.ndarray:
    design = np.hstack(
        [
            np.ones((NUM_ROWS, 1)),
            *(np.eye(size)[level] for size, level in zip(SIZES, LEVELS, strict=True)),
        ]
    )
    return np.linalg.inv(design.T @ design + np.diag([0.01, *np.ones(sum(SIZES))]))


def found(moments: object) -> np.ndarray:
    return np.concatenate([np.ravel(moments[name]) for name in ("intercept", "one", "other")])


def test_means_are_exact_and_standard_deviations_known_to_some_percent(
    fit: by.Fit, covariance: np.ndarray
) -> None:
    assert fit.converged is True
    sums = [Y.sum(), *(np.bincount(level, Y) for level in LEVELS)]
    mean = covariance @ np.concatenate([np.ravel(part) for part in sums])
    std = np.sqrt(np.diag(covariance))
    assert np.abs((found(fit.mean) - mean) / std).max() < 0.001
    errors = np.abs(found(fit.std) / std - 1)
    assert errors.max() < 0.15
    assert errors.mean() < 0.03


def test_what_is_said_of_it(fit: by.Fit) -> None:
    assert fit.passes is not None
    assert fit.passes < 300
    assert str(fit.correction).startswith("linear_response by random signs, to about ")


def test_covariances_that_are_asked_for(fit: by.Fit, covariance: np.ndarray) -> None:
    asked = fit.covariance(["intercept", "one"]).to_numpy()
    assert asked.shape == (1 + SIZES[0],) * 2
    # What all effects have in common: the intercept goes down where they go up.
    np.testing.assert_allclose(
        asked[0, 1:].mean(), covariance[0, 1 : 1 + SIZES[0]].mean(), rtol=0.1
    )
    draws = fit.sample(4000, random_seed=1).posterior["intercept"].values
    assert draws.std() == pytest.approx(covariance[0, 0] ** 0.5, rel=0.05)
