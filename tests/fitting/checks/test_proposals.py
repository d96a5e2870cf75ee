"""Proposals: their densities against SciPy's, their mirror images, and the normal of a fit."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bayou.fitting.checks.proposals import Proposal, fitted_normal
from bayou.fitting.guides.approximation import Approximation
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.full_rank import FullRank
from bayou.fitting.guides.low_rank import LowRank
from bayou.fitting.guides.mean_field import MeanField

ORIGIN = np.array([1.0, -2.0])
FACTOR = np.array([[2.0, 0.0], [1.0, 0.5]])


@pytest.mark.parametrize("degrees", [np.inf, 5.0])
@pytest.mark.parametrize("factor", [FACTOR, np.array([2.0, 0.5])], ids=["dense", "diagonal"])
def test_densities_are_those_of_scipy(degrees: float, factor: np.ndarray) -> None:
    proposal = Proposal(ORIGIN, factor, degrees)
    positions = proposal.draw(1, 20)
    scale = factor @ factor.T if factor.ndim == 2 else np.diag(factor**2)
    exact = (
        stats.multivariate_normal(ORIGIN, scale)
        if np.isinf(degrees)
        else stats.multivariate_t(ORIGIN, scale, degrees)
    )
    np.testing.assert_allclose(proposal.log_densities(positions), exact.logpdf(positions))


def test_draws_come_with_their_mirror_images() -> None:
    first, second = np.split(Proposal(ORIGIN, FACTOR, 5.0).draw(1, 50), 2)
    np.testing.assert_allclose(first + second, np.broadcast_to(2 * ORIGIN, first.shape))


def approximation(guide: object, factor: np.ndarray) -> Approximation:
    params = guide.init(jnp.array([0.5, 0.0]), jnp.array([0.7, 1.5]))  # type: ignore[attr-defined]
    nothing = np.empty(0)
    frame = Frame(ORIGIN, factor)
    return Approximation(guide, params, frame, nothing, nothing, True, "")  # type: ignore[arg-type]


@pytest.mark.parametrize("guide", [MeanField(), FullRank()], ids=repr)
@pytest.mark.parametrize("factor", [FACTOR, np.array([2.0, 0.5])], ids=["dense", "diagonal"])
def test_normal_of_a_fit(guide: object, factor: np.ndarray) -> None:
    found = fitted_normal(approximation(guide, factor))
    assert found is not None
    matrix = factor if factor.ndim == 2 else np.diag(factor)
    root = found.factor if found.factor.ndim == 2 else np.diag(found.factor)
    covariance = matrix @ np.diag([0.7**2, 1.5**2]) @ matrix.T
    np.testing.assert_allclose(root @ root.T, covariance)
    np.testing.assert_allclose(found.origin, ORIGIN + matrix @ [0.5, 0.0])


def test_low_rank_normal_of_a_fit() -> None:
    fitted = approximation(LowRank(1), FACTOR)
    found = fitted_normal(fitted)
    assert found is not None
    root = FACTOR @ np.asarray(fitted.guide.covariance_factor(fitted.params))  # type: ignore[attr-defined]
    np.testing.assert_allclose(found.factor @ found.factor.T, root @ root.T)
