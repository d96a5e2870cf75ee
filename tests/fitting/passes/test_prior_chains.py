"""Normals with the moments of priors that are not normal, beside closed forms."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import digamma, polygamma

from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.passes.prior_chains import RowQuadratic, sample_priors

SHAPE = 5.0
NO_ROWS = RowQuadratic(np.zeros(2), np.zeros((2, 2)))


def log_gamma(position: jax.Array) -> jax.Array:
    """Return the density of the log of a gamma variable, beside a standard normal."""
    return SHAPE * position[0] - jnp.exp(position[0]) - 0.5 * position[1] ** 2


@pytest.fixture(scope="module")
def laplace() -> Frame:
    return Frame(np.array([np.log(SHAPE), 0.0]), np.diag([SHAPE**-0.5, 1.0]))


def test_moments_of_a_log(evaluator_of: Any, laplace: Frame) -> None:
    found = sample_priors(NO_ROWS, evaluator_of(log_gamma, 2), laplace, np.zeros(2, bool), 1)
    assert found is not None
    variances = np.diag(found.factor @ found.factor.T)
    std = polygamma(1, SHAPE) ** 0.5
    assert found.origin[0] == pytest.approx(digamma(SHAPE), abs=0.03 * std)
    assert variances[0] ** 0.5 == pytest.approx(std, rel=0.03)
    # The draws of the normal beside the chains take out all noise of what is normal.
    assert found.origin[1] == pytest.approx(0, abs=0.01)
    assert variances[1] == pytest.approx(1, rel=0.01)


def test_moments_of_an_exponential(evaluator_of: Any, laplace: Frame) -> None:
    is_log = np.array([True, False])
    found = sample_priors(NO_ROWS, evaluator_of(log_gamma, 2), laplace, is_log, 1)
    assert found is not None
    variance = float((found.factor @ found.factor.T)[0, 0])
    mean = np.exp(found.origin[0] + variance / 2)
    assert mean == pytest.approx(SHAPE, abs=0.03 * SHAPE**0.5)
    assert mean * np.expm1(variance) ** 0.5 == pytest.approx(SHAPE**0.5, rel=0.03)


def test_rows_count_as_their_quadratic(evaluator_of: Any) -> None:
    # Rows that know the first element well leave little for the prior to do.
    rows = RowQuadratic(np.array([0.5, 0.0]), np.diag([100.0, 0.0]))
    prior_slope, prior_curvature = 2 - 1.0, 1.0
    precision = 100 + prior_curvature
    mean = (0.5 + prior_slope) / precision
    normal = Frame(np.array([mean, 0.0]), np.diag([precision**-0.5, 1.0]))
    in_coordinates = RowQuadratic(
        normal.factor.T @ (rows.slope - rows.curvature @ normal.origin),
        normal.factor.T @ rows.curvature @ normal.factor,
    )

    def prior(position: jax.Array) -> jax.Array:
        return 2 * position[0] - jnp.exp(position[0]) - 0.5 * position[1] ** 2

    grid = np.linspace(-0.6, 0.6, 4001)
    logs = 2 * grid - np.exp(grid) + 0.5 * grid - 50 * grid**2
    weights = np.exp(logs - logs.max()) / np.exp(logs - logs.max()).sum()
    assert weights @ grid == pytest.approx(mean, abs=0.1 * precision**-0.5)
    found = sample_priors(in_coordinates, evaluator_of(prior, 2), normal, np.zeros(2, bool), 1)
    # So near a normal that the chains are not run.
    assert found is None


def test_priors_without_agreement_change_nothing(evaluator_of: Any) -> None:
    def two_modes(position: jax.Array) -> jax.Array:
        return -0.5 * jnp.sum((position**2 - 400.0) ** 2)

    normal = Frame(np.zeros(2), np.eye(2))
    found = sample_priors(NO_ROWS, evaluator_of(two_modes, 2), normal, np.zeros(2, bool), 1)
    assert found is None
