"""Settling on all rows: exact for normals, and an honest no where moves do not shrink."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.full_rank import FullRank, FullRankParams
from bayou.fitting.guides.mean_field import MeanFieldParams
from bayou.fitting.stochastic.full_data_polish import polish

PRECISION = np.array([[4.0, 1.0], [1.0, 2.0]])
CENTER = np.array([1.0, -2.0])
FACTOR = np.linalg.cholesky(np.linalg.inv(PRECISION))


def normal(position: jax.Array) -> jax.Array:
    away = position - CENTER
    return -0.5 * away @ PRECISION @ away


def params(location: Any, scale: Any = (1.0, 1.0)) -> MeanFieldParams:
    return MeanFieldParams(jnp.asarray(location), jnp.log(jnp.asarray(scale)))


@pytest.mark.parametrize("away", [0.0, 0.5, 100.0])
def test_a_normal_is_found_from_anywhere(away: float, evaluator_of: Any) -> None:
    frame = Frame(CENTER + 1, FACTOR)
    found = polish(evaluator_of(normal, 2), frame, params([away, -away], [0.5, 2.0]), 1, 0.1)
    assert found is not None
    np.testing.assert_allclose(frame.positions(np.asarray(found.location)), CENTER, atol=1e-9)
    # In these coordinates the covariance is one, so the scales are too.
    np.testing.assert_allclose(np.exp(found.log_scale), 1, rtol=1e-9)


def test_scales_stay_where_coordinates_say_nothing_of_the_curvature(evaluator_of: Any) -> None:
    frame = Frame(np.zeros(2), np.ones(2))
    scale = 1 / np.sqrt(np.diag(PRECISION))
    found = polish(evaluator_of(normal, 2), frame, params([3.0, 3.0], scale), 1, 0.01)
    assert found is not None
    np.testing.assert_allclose(found.location, CENTER, atol=0.01)
    np.testing.assert_allclose(np.exp(found.log_scale), scale)


@pytest.mark.parametrize("frame", [Frame(CENTER + 1, FACTOR), Frame(np.zeros(2), np.ones(2))])
@pytest.mark.parametrize("away", [0.5, 2.0])
def test_a_normal_with_every_correlation(frame: Frame, away: float, evaluator_of: Any) -> None:
    own = np.linalg.solve(np.diag(frame.factor) if frame.factor.ndim == 1 else frame.factor, FACTOR)
    near = own * [1.2, 0.8]
    begin = FullRankParams(*map(jnp.asarray, ([away, -away], np.log(np.diag(near)), near)))
    found = polish(evaluator_of(normal, 2), frame, begin, 1, 0.05)
    assert found is not None
    np.testing.assert_allclose(frame.positions(np.asarray(found.location)), CENTER, atol=0.05)
    # What was measured along its own coordinates is the covariance.
    cholesky = frame.directions(np.asarray(found.cholesky).T).T
    np.testing.assert_allclose(cholesky @ cholesky.T, np.linalg.inv(PRECISION), rtol=1e-9)


def test_a_correlated_normal_whose_moves_do_not_shrink(evaluator_of: Any) -> None:
    begin = FullRank().init(jnp.ones(2), jnp.ones(2))
    frame = Frame(np.zeros(2), np.ones(2))
    assert polish(evaluator_of(lambda x: jnp.sum(x**2), 2), frame, begin, 1, 0.1) is None


@pytest.mark.parametrize(
    "density",
    [lambda x: jnp.sum(x**2), lambda x: jnp.sum(jnp.sqrt(x - 50)), lambda x: -jnp.sum(20 * x**2)],
    ids=["no maximum", "not finite", "curvature that the coordinates do not know"],
)
def test_moves_that_do_not_shrink(density: Any, evaluator_of: Any) -> None:
    frame = Frame(np.zeros(2), np.eye(2))
    assert polish(evaluator_of(density, 2), frame, params([1.0, 1.0]), 1, 0.1) is None
