"""The moments of a position: those of the guide, carried through the coordinates."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.full_rank import FullRank, FullRankParams
from bayou.fitting.guides.low_rank import LowRank, LowRankParams
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.guides.moments import covariance_frame, position_moments

LOCATION = np.array([1.0, -2.0, 0.5])
SCALE = np.array([0.5, 2.0, 1.0])
FACTOR = np.array([[1.0, 0.0, 0.0], [0.7, 2.0, 0.0], [-3.0, 0.1, 0.2]])
COMMON = np.array([[1.0, 0.0], [-2.0, 0.3], [0.4, 1.5]])
GUIDES: list[tuple[Any, Any, Any]] = [
    (MeanField(), MeanFieldParams(LOCATION, np.log(SCALE)), np.diag(SCALE**2)),
    (FullRank(), FullRankParams(LOCATION, np.log(np.diag(FACTOR)), FACTOR), FACTOR @ FACTOR.T),
    (
        LowRank(2),
        LowRankParams(LOCATION, np.log(SCALE), COMMON),
        np.diag(SCALE) @ (np.eye(3) + COMMON @ COMMON.T) @ np.diag(SCALE),
    ),
]


@pytest.mark.parametrize(("guide", "params", "covariance"), GUIDES, ids=["mean", "full", "low"])
@pytest.mark.parametrize("is_dense", [True, False])
def test_moments_are_those_of_the_position(
    guide: Any, params: Any, covariance: np.ndarray, is_dense: bool
) -> None:
    factor = np.array([[2.0, 0.0, 0.0], [1.0, 3.0, 0.0], [-1.0, 0.5, 4.0]])
    params = type(params)(*map(jnp.asarray, params))
    frame = Frame(np.array([5.0, 6.0, 7.0]), factor if is_dense else np.diag(factor).copy())
    matrix = factor if is_dense else np.diag(np.diag(factor))
    mean, std = position_moments(guide, params, frame)
    np.testing.assert_allclose(mean, frame.origin + matrix @ LOCATION)
    np.testing.assert_allclose(std, np.sqrt(np.diag(matrix @ covariance @ matrix.T)), rtol=1e-12)


@pytest.mark.parametrize(("guide", "params", "covariance"), GUIDES[1:], ids=["full", "low"])
def test_the_coordinates_of_a_covariance_whiten_it(
    guide: Any, params: Any, covariance: np.ndarray
) -> None:
    scale = np.array([2.0, 1.0, 4.0])
    frame = covariance_frame(guide, params, Frame(np.array([5.0, 6.0, 7.0]), scale))
    assert frame is not None
    np.testing.assert_allclose(frame.origin, [5, 6, 7] + scale * LOCATION)
    np.testing.assert_allclose(
        frame.factor @ frame.factor.T, covariance * np.outer(scale, scale), rtol=1e-10
    )
    np.testing.assert_array_equal(frame.factor, np.tril(frame.factor))


def test_a_singular_covariance_gives_no_coordinates() -> None:
    params = FullRankParams(LOCATION, np.full(3, -np.inf), np.tril(np.ones((3, 3)), -1))
    assert covariance_frame(FullRank(), params, Frame(np.zeros(3), np.ones(3))) is None
