"""Log densities, the evidence lower bound and k-hat, against ratios whose tail is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.full_rank import FullRank
from bayou.fitting.guides.low_rank import LowRank
from bayou.fitting.guides.mean_field import MeanField
from bayou.fitting.result.diagnostics import (
    evidence_lower_bound,
    khat_of_ratios,
    log_densities,
    pareto_khat,
)

GUIDES = (MeanField(), FullRank(), LowRank(2))


@pytest.mark.parametrize("guide", GUIDES, ids=repr)
@pytest.mark.parametrize("factor", [np.array([2.0, 3.0]), np.array([[2.0, 0.0], [1.0, 3.0]])])
def test_density_of_the_approximation_is_over_positions(guide, factor) -> None:
    frame = Frame(np.array([1.0, -1.0]), factor)
    params = guide.init(jnp.array([0.5, 0.0]), jnp.array([0.7, 1.5]))
    noise = guide.noise(jax.random.key(0), 50, 2, None)
    matrix = np.diag(factor) if factor.ndim == 1 else factor
    covariance = matrix @ covariance_of(guide, params) @ matrix.T
    exact = stats.multivariate_normal(matrix @ [0.5, 0.0] + [1.0, -1.0], covariance)
    coordinates = jax.vmap(lambda draw: guide.transport(params, draw))(noise)
    densities = jax.vmap(lambda draw: guide.log_density(params, draw))(coordinates)
    model, approximation = log_densities(exact.logpdf, frame, coordinates, densities)
    np.testing.assert_allclose(approximation, model, rtol=1e-10)
    assert pareto_khat(model, approximation) == -np.inf
    bound = evidence_lower_bound(model, approximation)
    assert bound.value == pytest.approx(0, abs=1e-10)
    assert bound.error == pytest.approx(0, abs=1e-10)


def covariance_of(guide, params) -> np.ndarray:
    if isinstance(guide, FullRank):
        return np.asarray(params.cholesky @ params.cholesky.T)
    if isinstance(guide, LowRank):
        spread = np.diag(np.exp(params.log_scale))
        return spread @ (np.eye(2) + np.asarray(params.factor @ params.factor.T)) @ spread
    return np.diag(np.exp(2 * np.asarray(params.log_scale)))


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.9, 1.5])
def test_khat_is_the_shape_of_the_tail(shape: float) -> None:
    weights = stats.genpareto(shape).rvs(20_000, random_state=1)
    assert pareto_khat(np.log(weights), np.zeros(20_000)) == pytest.approx(shape, abs=0.15)


@given(st.floats(-1e3, 1e3))
def test_khat_ignores_the_evidence(constant: float) -> None:
    log_weights = np.random.default_rng(0).normal(size=500)
    shifted = pareto_khat(log_weights + constant, np.zeros(500))
    assert shifted == pytest.approx(pareto_khat(log_weights, np.zeros(500)), abs=1e-6)


def test_ratios_that_differ_by_rounding_have_no_tail() -> None:
    densities = -1e4 + 1e-12 * np.random.default_rng(0).normal(size=1000)
    assert pareto_khat(densities, np.zeros(1000)) == -np.inf


def test_nearly_equal_ratios_have_no_tail_that_matters() -> None:
    # The tail of Cauchy noise has the shape 1, whatever its size.
    noise = np.random.default_rng(0).standard_cauchy(size=1000).clip(-50, 50)
    assert khat_of_ratios(0.03 * noise) > 0.7
    assert khat_of_ratios(1e-4 * noise) == 0.0


def test_few_draws_with_all_weight_have_no_finite_khat() -> None:
    assert khat_of_ratios(np.array([0.0, -0.1] + [-1e3] * 998)) == np.inf
    assert khat_of_ratios(np.full(1000, -np.inf)) == np.inf
    assert np.isnan(khat_of_ratios(np.empty(0)))


def test_draws_without_density() -> None:
    densities = np.random.default_rng(0).normal(size=1000)
    densities[:100] = -np.inf
    assert pareto_khat(densities, np.zeros(1000)) < 0.5
    bound = evidence_lower_bound(densities, np.zeros(1000))
    assert bound.value == -np.inf
    assert np.isnan(bound.error)


def test_a_nan_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be a number at .*, got nan at 3 of 10.\nHint"):
        log_densities(
            lambda positions: np.where(np.arange(len(positions)) < 3, np.nan, 0.0),
            Frame(np.zeros(1), np.ones(1)),
            np.zeros((10, 1)),
            np.zeros(10),
        )
