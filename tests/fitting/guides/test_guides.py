"""Guides: one table drives what all of them hold, and each reaches a known Gaussian posterior."""

import inspect
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest
from jax.flatten_util import ravel_pytree
from scipy import stats

import bayou as by
from bayou.fitting.fit_options import GUIDE_METHODS
from bayou.fitting.guides import Guide, Params
from bayou.fitting.guides.full_rank import FullRank
from bayou.fitting.guides.low_rank import LowRank
from bayou.fitting.guides.mean_field import MeanField


@dataclass(frozen=True)
class Case:
    """A guide, its name for by.fit, how exact its first deviations are, what it can hold."""

    guide: Guide
    method: str
    init_error: float
    correlated: bool


class Location(NamedTuple):
    """The one parameter of a guide of a user's own."""

    location: jax.Array


@dataclass(frozen=True)
class UnitNormals:
    """A guide of a user's own, which inherits nothing: normals whose deviations are all one."""

    def init(self, position: jax.Array, scale: jax.Array) -> Location:
        return Location(position)

    def noise(self, key: jax.Array, num_draws: int, size: int, dtype: Any) -> jax.Array:
        return jax.random.normal(key, (num_draws, size), dtype)

    def transport(self, params: Location, noise: jax.Array) -> jax.Array:
        return params.location + noise

    def log_density(self, params: Location, position: jax.Array) -> jax.Array:
        return jax.scipy.stats.norm.logpdf(position, params.location).sum()

    def whiten(self, params: Location, gradient: Location) -> Location:
        return gradient

    def color(self, params: Location, step: Location) -> Location:
        return step

    def mean(self, params: Location) -> jax.Array:
        return params.location

    def std(self, params: Location) -> jax.Array:
        return jnp.ones_like(params.location)


CASES = {
    "mean-field": Case(MeanField(), "advi", 1e-12, correlated=False),
    "full-rank": Case(FullRank(), "fullrank_advi", 1e-12, correlated=True),
    "low-rank": Case(LowRank(), "lowrank_advi", 0.1, correlated=True),
    "rank one": Case(LowRank(rank=1), "", 0.1, correlated=True),
    "a user's own": Case(UnitNormals(), "", 10.0, correlated=False),
}
NAMED = [name for name, case in CASES.items() if case.method]
SIZE = 4
POSITION = np.array([1.0, -2.0, 0.5, 30.0])
SCALE = np.array([0.1, 2.0, 1.0, 5.0])


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def params(case: Case) -> Params:
    """Parameters without anything special: all entries are moved off their first values."""
    return moved(case.guide.init(jnp.asarray(POSITION), jnp.asarray(SCALE)), seed=1)


def moved(params: Params, seed: int) -> Params:
    flat, restore = ravel_pytree(params)
    return restore(flat + 0.4 * np.random.default_rng(seed).normal(size=len(flat)))


def covariance(guide: Guide, params: Params) -> np.ndarray:
    """Return the covariance of a guide that carries noise linearly, from its slope."""
    noise = jax.tree.map(lambda draws: draws[0], guide.noise(jax.random.key(0), 1, SIZE, None))
    flat, restore = ravel_pytree(noise)
    slope = jax.jacobian(lambda flat: guide.transport(params, restore(flat)))(flat)
    return np.asarray(slope @ slope.T)


def inner(one: Params, other: Params) -> float:
    return float(ravel_pytree(one)[0] @ ravel_pytree(other)[0])


def test_it_is_a_hashable_value(case: Case) -> None:
    again = type(case.guide)(**vars(case.guide))
    assert again == case.guide
    assert hash(again) == hash(case.guide)


def test_it_has_the_methods_of_the_contract(case: Case) -> None:
    assert (
        *("init", "noise", "transport", "log_density", "whiten", "color", "mean", "std"),
    ) == GUIDE_METHODS
    for name in GUIDE_METHODS:
        parameters = inspect.signature(getattr(type(case.guide), name)).parameters
        assert list(parameters) == list(inspect.signature(getattr(by.Guide, name)).parameters)


def test_init_has_the_mean_and_deviations_asked_for(case: Case) -> None:
    params = case.guide.init(jnp.asarray(POSITION), jnp.asarray(SCALE))
    np.testing.assert_array_equal(case.guide.mean(params), POSITION)
    np.testing.assert_allclose(case.guide.std(params), SCALE, rtol=case.init_error)


def test_std_is_that_of_the_covariance(case: Case, params: Params) -> None:
    dense = covariance(case.guide, params)
    np.testing.assert_allclose(case.guide.std(params) ** 2, np.diag(dense), rtol=1e-10)
    off_diagonal = dense[~np.eye(SIZE, dtype=bool)]
    assert (off_diagonal != 0).all() == case.correlated


def test_transported_noise_has_the_moments(case: Case, params: Params) -> None:
    num_draws = 20_000
    noise = case.guide.noise(jax.random.key(3), num_draws, SIZE, None)
    assert {leaf.shape[0] for leaf in jax.tree.leaves(noise)} == {num_draws}
    draws = np.asarray(jax.vmap(lambda draw: case.guide.transport(params, draw))(noise))
    assert draws.shape == (num_draws, SIZE)
    white = (draws - case.guide.mean(params)) / case.guide.std(params)
    error = 4.5 / np.sqrt(num_draws)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=error)
    np.testing.assert_allclose(white.std(axis=0), 1, atol=error)
    dense = covariance(case.guide, params)
    scale = np.sqrt(np.diag(dense))
    np.testing.assert_allclose(np.cov(white.T), dense / np.outer(scale, scale), atol=2 * error)


def test_noise_is_a_function_of_the_key_and_has_the_dtype(case: Case) -> None:
    def noise(seed: int, dtype: Any) -> np.ndarray:
        return ravel_pytree(case.guide.noise(jax.random.key(seed), 3, SIZE, dtype))[0]

    np.testing.assert_array_equal(noise(1, "float32"), noise(1, "float32"))
    assert (noise(1, "float32") != noise(2, "float32")).all()
    assert noise(1, "float32").dtype == "float32"
    assert noise(1, "float64").dtype == "float64"


def test_log_density_is_that_of_the_normal(case: Case, params: Params) -> None:
    dense = stats.multivariate_normal(case.guide.mean(params), covariance(case.guide, params))
    for position in dense.rvs(5, random_state=0):
        found = float(case.guide.log_density(params, jnp.asarray(position)))
        assert found == pytest.approx(dense.logpdf(position), rel=1e-9)


def test_color_is_the_transpose_of_whiten(case: Case, params: Params) -> None:
    gradient, step = (moved(jax.tree.map(jnp.zeros_like, params), seed) for seed in (2, 3))
    white = case.guide.whiten(params, gradient)
    change = case.guide.color(params, step)
    assert jax.tree.structure(white) == jax.tree.structure(change) == jax.tree.structure(params)
    assert inner(white, step) == pytest.approx(inner(gradient, change), rel=1e-10)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.init_error < 1])
def test_a_step_of_the_location_is_in_the_guides_own_units(name: str) -> None:
    case = CASES[name]

    def shift(scale: np.ndarray) -> np.ndarray:
        params = case.guide.init(jnp.asarray(POSITION), jnp.asarray(scale))
        step = jax.tree.map(jnp.zeros_like, params)._replace(location=jnp.ones(SIZE))
        return np.asarray(case.guide.color(params, step).location)

    np.testing.assert_allclose(shift(SCALE), SCALE)
    np.testing.assert_allclose(shift(10 * SCALE), 10 * SCALE)


# Fits of a regression with correlated predictors, known noise and a normal prior: its posterior is
# normal.
RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(200, 3)) @ np.array([[1, 0.8, 0.3], [0, 0.6, -0.4], [0, 0, 2.0]])
Y = X @ [1.0, -2.0, 0.5] + RANDOM.normal(size=200)
PRECISION = X.T @ X + np.eye(3) / 100
COVARIANCE = np.linalg.inv(PRECISION)
MEAN = COVARIANCE @ X.T @ Y
STD = np.sqrt(np.diag(COVARIANCE))
CORRELATION = COVARIANCE / np.outer(STD, STD)


@pytest.fixture(scope="module")
def model() -> pm.Model:
    with pm.Model() as model:
        slopes = pm.Normal("slopes", 0, 10, shape=3)
        pm.Normal("y", X @ slopes, 1, observed=Y)
    return model


@pytest.mark.parametrize("name", NAMED)
def test_a_fit_reaches_the_gaussian_posterior(name: str, model: pm.Model) -> None:
    case = CASES[name]
    fit = by.fit(method=case.method, model=model, random_seed=1, progressbar=False, correction=None)
    assert fit.converged
    assert fit.correction is None
    assert fit.approximation.guide == case.guide
    np.testing.assert_allclose((fit.mean["slopes"] - MEAN) / STD, 0, atol=0.1)
    expected = STD if case.correlated else 1 / np.sqrt(np.diag(PRECISION))
    np.testing.assert_allclose(fit.std["slopes"], expected, rtol=0.03)
    draws = fit.sample(20_000, random_seed=2).posterior["slopes"].values[0]
    correlation = CORRELATION if case.correlated else np.eye(3)
    np.testing.assert_allclose(np.corrcoef(draws.T), correlation, atol=0.04)


def test_a_guide_of_a_users_own_is_fitted(model: pm.Model) -> None:
    fit = by.fit(2000, UnitNormals(), model=model, random_seed=1, progressbar=False)
    assert fit.converged is None
    assert str(fit.correction).startswith("none: the guide is UnitNormals()")
    # Its draws are many deviations of the posterior away, whose noise leaves less to average.
    np.testing.assert_allclose((fit.mean["slopes"] - MEAN) / STD, 0, atol=1)
    np.testing.assert_array_equal(fit.std["slopes"], 1)
    assert fit.sample(10).posterior["slopes"].shape == (1, 10, 3)
    # Much too wide for this posterior.
    assert fit.khat(random_seed=1) > 0.7
    assert repr(fit).startswith("Fit(UnitNormals(), steps=2000")


def test_linear_response_repairs_independent_normals(model: pm.Model) -> None:
    fit = by.fit(
        method="advi",
        model=model,
        random_seed=1,
        progressbar=False,
        correction="linear_response",
    )
    assert fit.correction == "linear_response"
    np.testing.assert_allclose((fit.mean["slopes"] - MEAN) / STD, 0, atol=0.1)
    np.testing.assert_allclose(fit.std["slopes"], STD, rtol=1e-6)


def test_the_posterior_tells_the_guides_apart() -> None:
    assert STD[0] > 1.15 / np.sqrt(PRECISION[0, 0])
    assert abs(CORRELATION).min() > 0.05
