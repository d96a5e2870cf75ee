"""Chains in the coordinates of a fit: exact posteriors, and as without a fit where it is poor."""

from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr

import bayou as by
from bayou.fitting.guides.coordinates import Frame
from bayou.nuts.compiled.bound_density import BoundDensity, DrawLayout
from bayou.nuts.compiled.numba_density import NumbaDensity
from bayou.nuts.warm_start import WARM_TUNE, find_warm_start, frame_of_fit, is_tiny, judge_frame

RNG = np.random.default_rng(1)
# Columns that are nearly the same, so that their coefficients are correlated by -0.99.
SHARED = RNG.normal(size=(200, 1))
DESIGN = np.hstack([SHARED, SHARED + 0.1 * RNG.normal(size=(200, 1))])
OUTCOME = DESIGN @ [1.0, -0.5] + RNG.normal(size=200)


class PlainDensity(BoundDensity):
    """A density written in NumPy, which nothing compiles."""

    nutpie_model = None
    log_density: Any

    def gradients(self, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, slopes = self.log_density(self.frame.positions(coordinates))
        return values, self.frame.gradients(slopes)


def plain_density(log_density: Any, size: int) -> PlainDensity:
    PlainDensity.log_density = staticmethod(log_density)
    return PlainDensity(
        size=size,
        draw_layout=DrawLayout((), (), ()),
        candidate=lambda seed, attempt: np.random.default_rng(seed).uniform(-9, 9, size),
        frame=Frame(np.zeros(size), np.ones(size)),
    )


COVARIANCE = np.array([[4.0, 3.8], [3.8, 4.0]])


def correlated(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    slopes = -np.linalg.solve(COVARIANCE, (positions - 3).T).T
    return ((positions - 3) * slopes).sum(axis=1) / 2, slopes


def funnel(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale, rest = positions[:, :1], positions[:, 1:]
    ratio = rest**2 * np.exp(-scale)
    count = rest.shape[1]
    values = -(scale[:, 0] ** 2) / 18 - count * scale[:, 0] / 2 - ratio.sum(axis=1) / 2
    slope = -scale / 9 - count / 2 + ratio.sum(axis=1, keepdims=True) / 2
    return values, np.hstack([slope, -rest * np.exp(-scale)])


def two_modes(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = np.logaddexp(-((positions - 5) ** 2) / 2, -((positions + 5) ** 2) / 2)
    return values.sum(axis=1), 5 * np.tanh(5 * positions) - positions


def test_coordinates_whiten_a_normal() -> None:
    warm = find_warm_start(plain_density(correlated, 2), 1)
    assert warm.frame is not None
    np.testing.assert_allclose(warm.frame.origin, [3, 3], atol=1e-3)
    np.testing.assert_allclose(warm.frame.factor @ warm.frame.factor.T, COVARIANCE, rtol=1e-4)
    assert warm.attrs()["init"] == "fit"


STRONG = np.array([[4.0, 3.99], [3.99, 4.0]])


def strong_beside_skewed(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two elements with a correlation of 0.9975, and the log of a gamma variable of shape 0.05."""
    pair, skewed = positions[:, :2], positions[:, 2:]
    slopes = -np.linalg.solve(STRONG, pair.T).T
    values = (pair * slopes).sum(axis=1) / 2 + (0.05 * skewed - np.exp(skewed))[:, 0]
    return values, np.hstack([slopes, 0.05 - np.exp(skewed)])


def test_strong_correlations_are_worth_coordinates_that_fit_less_well() -> None:
    warm = find_warm_start(plain_density(strong_beside_skewed, 3), 1)
    assert warm.frame is not None
    assert "whose correlations have a condition number of" in warm.reason
    # Chains start as they do without a fit, and tune for longer than in coordinates that fit.
    assert warm.spread is None
    assert warm.tune is not None
    assert warm.tune > WARM_TUNE
    covariance = (warm.frame.factor @ warm.frame.factor.T)[:2, :2]
    np.testing.assert_allclose(covariance, STRONG, rtol=0.01)


def test_a_skewed_element_alone_is_not() -> None:
    density = plain_density(lambda x: (0.05 * x[:, 0] - np.exp(x[:, 0]), 0.05 - np.exp(x)), 1)
    assert find_warm_start(density, 1).frame is None


def test_a_large_model_has_scales_alone() -> None:
    scales = np.geomspace(0.5, 2, 300)
    warm = find_warm_start(
        plain_density(lambda x: (-(((x / scales) ** 2).sum(axis=1)) / 2, -x / scales**2), 300), 1
    )
    assert warm.frame is not None
    np.testing.assert_allclose(warm.frame.factor, scales, rtol=1e-3)


@pytest.mark.parametrize(
    ("log_density", "size", "reason"),
    [
        (funnel, 10, "the fit is no match of the posterior"),
        (two_modes, 1, "searches from other starts end elsewhere"),
        (lambda x: (0 * x[:, 0], np.nan * x), 2, "the fit is no match"),
        (lambda x: (x[:, 0], np.ones_like(x)), 1, "the fit failed"),
    ],
)
def test_a_poor_fit_is_seen(log_density: Any, size: int, reason: str) -> None:
    warm = find_warm_start(plain_density(log_density, size), 2)
    assert warm.frame is None
    assert warm.reason.startswith(reason)
    assert warm.attrs()["init"] == "none"


def test_a_fit_of_other_scales_is_seen() -> None:
    warm = judge_frame(plain_density(correlated, 2), Frame(np.full(2, 3.0), np.full(2, 20.0)), 1)
    assert warm.frame is None


@pytest.fixture(scope="module")
def regression() -> pm.Model:
    with pm.Model() as model:
        x = by.Data("x", DESIGN)
        effect = pm.Normal("effect", 0, 10, shape=2)
        level = pm.Normal("level", 0, 10)
        pm.Normal("y", level + (x * effect).sum(axis=1), 1, observed=OUTCOME)
    return model


def sample(model: pm.Model, **settings: Any) -> xr.DataTree:
    return by.sample(model=model, **{"random_seed": 1, "progressbar": False} | settings)


def check_exact(trace: xr.DataTree) -> None:
    """Compare with the normal that conjugacy gives, within four Monte Carlo errors."""
    design = np.hstack([DESIGN, np.ones((200, 1))])
    covariance = np.linalg.inv(design.T @ design + np.eye(3) / 100)
    mean, draws = covariance @ design.T @ OUTCOME, trace.posterior["effect"]
    flat = np.vstack([draws.values.reshape(-1, 2).T, trace.posterior["level"].values.ravel()])
    # Half of the draws stand for what correlation costs.
    errors = np.sqrt(np.diag(covariance) / (flat.shape[1] / 2))
    np.testing.assert_array_less(np.abs(flat.mean(axis=1) - mean), 4 * errors)
    np.testing.assert_allclose(flat.std(axis=1), np.sqrt(np.diag(covariance)), rtol=0.09)


# The plain chains, and the shortest ones, are warned of.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The draws are doubtful")
def test_draws_are_those_of_the_model(regression: pm.Model) -> None:
    trace = sample(regression)
    check_exact(trace)
    stats = trace.sample_stats
    assert (stats.attrs["init"], stats.attrs["tuning_steps"]) == ("fit", 150)
    assert stats.attrs["init_reason"].startswith("the fit matches the posterior")
    # Without a fit, the correlation of the columns makes trajectories long.
    plain = sample(regression, init=None, tune=1000)
    assert plain.sample_stats.attrs["init"] == "none"
    assert float(stats["n_steps"].mean()) < 0.6 * float(plain.sample_stats["n_steps"].mean())
    assert sample(regression, draws=10, tune=10).sample_stats.attrs["init_reason"] == (
        "80 steps are over before a fit is"
    )
    again = sample(regression).posterior
    np.testing.assert_array_equal(again["effect"], trace.posterior["effect"])


@pytest.mark.slow
def test_a_fit_that_is_there(regression: pm.Model) -> None:
    # The same variables in another order.
    with pm.Model():
        level = pm.Normal("level", 0, 10)
        effect = pm.Normal("effect", 0, 10, shape=2)
        pm.Normal("y", level + (DESIGN * effect).sum(axis=1), 1, observed=OUTCOME)
        fit = by.fit(random_seed=1, progressbar=False)
    frame = frame_of_fit(fit, regression)
    effect_mean = fit.mean["effect"].values
    np.testing.assert_allclose(frame.origin, [*effect_mean, float(fit.mean["level"])])
    trace = sample(regression, init=fit)
    check_exact(trace)
    assert trace.sample_stats.attrs["init"] == "fit"
    with pm.Model() as another:
        pm.Normal("z")
    with pytest.raises(ValueError, match=r"a fit of the free variables \['z'\], got one of"):
        frame_of_fit(fit, another)


@pytest.mark.parametrize(
    ("size", "numbers", "is_expected"), [(1, 1000, True), (1, 1001, False), (2, 20, False)]
)
def test_one_element_of_little_data_is_tuned_without_a_fit(
    size: int, numbers: int, is_expected: bool
) -> None:
    frame, layout = Frame(np.zeros(size), np.ones(size)), DrawLayout((), (), ())
    density = NumbaDensity(
        size=size,
        draw_layout=layout,
        candidate=lambda seed, attempt: np.zeros(size),
        frame=frame,
        logp=None,
        expand=None,
        arguments=(np.zeros(numbers - 1), np.zeros(1)),
    )
    assert is_tiny(density) is is_expected


def test_init_is_checked(regression: pm.Model) -> None:
    with pytest.raises(ValueError, match=r'must be "auto", a fit or None, got \'adapt\'\.\nH'):
        sample(regression, init="adapt")
