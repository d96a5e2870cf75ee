"""Linear response: exact for normals, the definition for others, and none without a minimum."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from bayou.density.evaluator import Evaluator
from bayou.fitting.fixed_draws.antithetic import antithetic_normals, antithetic_signs
from bayou.fitting.fixed_draws.linear_response import (
    MANY_DRAWS,
    ResponseError,
    covariance_or_none,
    linear_response,
)
from bayou.fitting.fixed_draws.optimize import Optimum, minimize
from bayou.fitting.guides.coordinates import Frame

RANDOM = np.random.default_rng(0)
PRECISION = np.array([[4.0, 3.4, 0.0], [3.4, 4.0, 1.0], [0.0, 1.0, 1.0]])
COVARIANCE = np.linalg.inv(PRECISION)
CENTER = np.array([1.0, -2.0, 3.0])
FRAMES = {
    "own": Frame(np.zeros(3), np.ones(3)),
    "scaled": Frame(np.array([0.5, 0.0, 2.0]), np.array([0.1, 2.0, 0.7])),
    "turned": Frame(np.zeros(3), np.tril(RANDOM.normal(size=(3, 3)), -1) + np.eye(3)),
}
NOISES = {
    "many draws": antithetic_normals(1, 64, 3),
    "as few as two signs": antithetic_signs(1, 2, 3),
}


def normal(position: jax.Array) -> jax.Array:
    away = position - CENTER
    return -0.5 * away @ PRECISION @ away


def at_minimum(evaluator: Evaluator, frame: Frame, noise: np.ndarray) -> Optimum:
    return minimize(evaluator, frame, noise, None, lambda _: None)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("draws", NOISES)
def test_the_covariance_of_a_normal_is_exact(frame: str, draws: str, evaluator_of: Any) -> None:
    evaluator, noise = evaluator_of(normal, 3), NOISES[draws]
    optimum = at_minimum(evaluator, FRAMES[frame], noise)
    covariance = linear_response(evaluator, optimum, noise)
    np.testing.assert_allclose(covariance, COVARIANCE, rtol=1e-6, atol=1e-9)
    # Which is more than the independent normal has.
    assert (np.diag(COVARIANCE) > 1.5 / np.diag(PRECISION)).all()


def test_few_draws_are_fewer_than_many() -> None:
    assert len(NOISES["as few as two signs"]) < MANY_DRAWS <= len(NOISES["many draws"])


def test_it_is_the_response_of_the_mean_to_a_tilt(evaluator_of: Any) -> None:
    # Skewed and correlated, so that location and scale answer together.
    def skewed(position: jax.Array, tilt: Any = (0.0, 0.0)) -> jax.Array:
        first, second = position
        density = 2 * first - jnp.exp(first) - 0.5 * (second - first) ** 2 - 0.1 * second**4
        return density + jnp.asarray(tilt) @ position

    noise = antithetic_normals(3, 64, 2)
    frame = Frame(np.zeros(2), np.full(2, 0.5))
    evaluator = evaluator_of(skewed, 2)
    covariance = linear_response(evaluator, at_minimum(evaluator, frame, noise), noise)
    step = 0.05
    for axis, tilt in enumerate(step * np.eye(2)):
        above, below = (
            at_minimum(evaluator_of(lambda x, by=by: skewed(x, by), 2), frame, noise).mean
            for by in (tilt, -tilt)
        )
        np.testing.assert_allclose((above - below) / (2 * step), covariance[axis], atol=0.01)


def test_where_the_density_has_a_saddle_there_is_none(evaluator_of: Any) -> None:
    optimum = Optimum(FRAMES["own"], np.zeros(3), np.zeros(3), np.zeros(1), True, "")
    evaluator = evaluator_of(lambda x: x[0] ** 2 - x[1] ** 2 - x[2] ** 2, 3)
    for noise in NOISES.values():
        with pytest.raises(ResponseError, match="the loss has no minimum where the fit ended"):
            linear_response(evaluator, optimum, noise)
        assert covariance_or_none(evaluator, optimum, noise) is None


def test_where_the_scale_has_no_minimum_there_is_none(evaluator_of: Any) -> None:
    # A bump on a plain: seen from a wide normal the loss curves up along it, and down in its scale.
    noise = antithetic_normals(1, 400, 1)
    wide = Optimum(Frame(np.zeros(1), np.ones(1)), np.zeros(1), np.ones(1), np.zeros(1), True, "")
    seen = np.exp(1.0) * noise
    assert ((1 - seen**2) * np.exp(-(seen**2) / 2)).mean() > 0
    evaluator = evaluator_of(lambda x: jnp.sum(jnp.exp(-(x**2) / 2)), 1)
    with pytest.raises(ResponseError, match="the loss has no minimum where the fit ended"):
        linear_response(evaluator, wide, noise)


@pytest.mark.parametrize(
    ("shape", "frame"),
    [(1.0, Frame(np.zeros(1), np.ones(1))), (5.0, Frame(np.ones(1), 0.3 * np.eye(1)))],
)
def test_the_exponential_of_the_log_of_a_gamma_has_its_variance(
    shape: float, frame: Frame, evaluator_of: Any
) -> None:
    # The log density of the log of a gamma with rate 4. Its exponential has the mean shape / 4, and
    # the square of that divided by the shape as its variance.
    evaluator = evaluator_of(lambda x: jnp.sum(shape * x - 4 * jnp.exp(x)), 1)
    noise = norm.ppf((np.arange(400)[:, None] + 0.5) / 400)
    optimum = at_minimum(evaluator, frame, noise)
    [[variance]] = linear_response(evaluator, optimum, noise, np.array([True]))
    assert np.exp(optimum.mean + optimum.variances / 2) == pytest.approx(shape / 4, rel=0.02)
    assert np.expm1(variance) == pytest.approx(1 / shape, rel=0.05)
    # The log itself has the trigamma of the shape, by definition.
    [[of_log]] = linear_response(evaluator, optimum, noise)
    assert of_log > variance


def test_the_variance_of_an_exponential_leaves_what_is_no_log(evaluator_of: Any) -> None:
    def density(x: jax.Array) -> jax.Array:
        return 5 * x[0] - 4 * jnp.exp(x[0]) - 0.5 * (x[1] - x[0]) ** 2

    evaluator, noise = evaluator_of(density, 2), antithetic_normals(2, 128, 2)
    optimum = at_minimum(evaluator, Frame(np.zeros(2), np.ones(2)), noise)
    plain = linear_response(evaluator, optimum, noise)
    of_logs = linear_response(evaluator, optimum, noise, np.array([True, False]))
    assert of_logs[1, 1] == pytest.approx(plain[1, 1])
    assert of_logs[0, 0] < 0.9 * plain[0, 0]
    correlations = [c[0, 1] / np.sqrt(c[0, 0] * c[1, 1]) for c in (plain, of_logs)]
    assert correlations[0] == pytest.approx(correlations[1])


def test_whatever_fails_is_named(evaluator_of: Any) -> None:
    def without_derivative(x: jax.Array) -> jax.Array:
        raise RuntimeError("no memory.\nMore of it.")

    evaluator = evaluator_of(without_derivative, 3)
    optimum = Optimum(FRAMES["own"], np.zeros(3), np.zeros(3), np.zeros(1), True, "")
    with pytest.raises(ResponseError, match=r"^it cannot be computed \(RuntimeError: no memory\)$"):
        linear_response(evaluator, optimum, NOISES["many draws"])
    not_finite = evaluator_of(lambda x: jnp.sum(jnp.sqrt(x - 10)), 3)
    with pytest.raises(ResponseError, match="second derivatives of the loss are not finite"):
        linear_response(not_finite, optimum, NOISES["many draws"])
