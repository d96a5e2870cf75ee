"""Frames: displacements, gradients, deviations and volume, diagonal and dense, NumPy and JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayou.fitting.guides.coordinates import Frame

RANDOM = np.random.default_rng(0)
ORIGIN = RANDOM.normal(size=4)
FACTORS = {
    "diagonal": RANDOM.uniform(0.2, 3.0, size=4),
    "dense": np.tril(RANDOM.normal(size=(4, 4)), -1) + np.diag([0.3, 1.0, 2.0, 5.0]),
}
COORDINATES = RANDOM.normal(size=(3, 4))


@pytest.fixture(params=FACTORS)
def factor(request: pytest.FixtureRequest) -> np.ndarray:
    return FACTORS[request.param]


def matrix(factor: np.ndarray) -> np.ndarray:
    return np.diag(factor) if factor.ndim == 1 else factor


def test_positions_and_directions(factor: np.ndarray) -> None:
    frame = Frame(ORIGIN, factor)
    for coordinates in (COORDINATES[0], COORDINATES, np.stack([COORDINATES] * 2)):
        steps = np.einsum("ij,...j->...i", matrix(factor), coordinates)
        np.testing.assert_allclose(frame.directions(coordinates), steps)
        np.testing.assert_allclose(frame.positions(coordinates), ORIGIN + steps)


def test_gradients_follow_the_chain_rule(factor: np.ndarray) -> None:
    frame = Frame(ORIGIN, factor)

    def density(position: jax.Array) -> jax.Array:
        return jnp.sum(jnp.sin(position) * position[::-1] ** 2)

    pulled = jax.grad(lambda point: density(frame.positions(point)))
    expected = jax.jit(jax.vmap(pulled))(COORDINATES)
    gradients = jax.jit(jax.vmap(jax.grad(density)))(frame.positions(COORDINATES))
    np.testing.assert_allclose(frame.gradients(np.asarray(gradients)), expected, rtol=1e-10)


def test_stds_of_independent_coordinates(factor: np.ndarray) -> None:
    stds = np.array([0.5, 1.0, 2.0, 0.1])
    covariance = matrix(factor) @ np.diag(stds**2) @ matrix(factor).T
    np.testing.assert_allclose(Frame(ORIGIN, factor).stds(stds), np.sqrt(np.diag(covariance)))


def test_log_determinant(factor: np.ndarray) -> None:
    expected = np.log(np.linalg.det(matrix(factor)))
    assert Frame(ORIGIN, factor).log_determinant == pytest.approx(expected)


def test_it_is_an_argument_of_compiled_functions(factor: np.ndarray) -> None:
    frame = Frame(ORIGIN, factor)
    compiled = jax.jit(lambda frame, point: (frame.positions(point), frame.stds(jnp.exp(point))))
    positions, stds = compiled(frame, COORDINATES[0])
    np.testing.assert_allclose(positions, frame.positions(COORDINATES[0]))
    np.testing.assert_allclose(stds, frame.stds(np.exp(COORDINATES[0])))
