"""Deterministic ADVI: opposite draws, exact on normals, the loss, and why it ended."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest
import threadpoolctl

import bayou as by
from bayou.fitting.fixed_draws.antithetic import antithetic_normals, antithetic_signs
from bayou.fitting.fixed_draws.optimize import minimize
from bayou.fitting.guides.coordinates import Frame

CENTER = np.array([3.0, -1.0, 100.0])
STD = np.array([0.01, 2.0, 30.0])
FRAMES = {
    "small steps": Frame(np.zeros(3), np.full(3, 0.1)),
    "fitting steps": Frame(CENTER + STD, 2 * STD),
}


def normal(position: jax.Array) -> jax.Array:
    return jnp.sum(jax.scipy.stats.norm.logpdf(position, CENTER, STD))


@pytest.mark.parametrize("draw", [antithetic_normals, antithetic_signs])
def test_draws_come_in_antithetic_normals(draw: Any) -> None:
    noise = draw(1, 64, 5)
    assert noise.shape == (64, 5)
    np.testing.assert_array_equal(noise[:32], -noise[32:])
    np.testing.assert_array_equal(noise, draw(1, 64, 5))
    assert (noise != draw(2, 64, 5)).any()
    assert len(np.unique(noise, axis=0)) > 16


def test_pairs_are_normal_and_signs_are_signs() -> None:
    assert set(antithetic_signs(1, 64, 5).ravel()) == {-1.0, 1.0}
    pairs = antithetic_normals(1, 20_000, 2)
    np.testing.assert_allclose((pairs**2).mean(axis=0), 1, atol=0.05)
    np.testing.assert_allclose((pairs**4).mean(axis=0), 3, atol=0.4)


@pytest.mark.parametrize("draw", [antithetic_normals, antithetic_signs])
@pytest.mark.parametrize("frame", FRAMES)
def test_exact_on_independent_normals(draw: Any, frame: str, evaluator_of: Any) -> None:
    noise, reported = draw(1, 16, 3), []
    optimum = minimize(evaluator_of(normal, 3), FRAMES[frame], noise, None, reported.append)
    assert optimum.converged
    assert optimum.reason == f"the gradient vanished after {len(optimum.losses)} iterations"
    # The gradient vanishes in the frame's units: steps that do not fit leave a little to go.
    error = 2e-3 if frame == "fitting steps" else 0.05
    np.testing.assert_allclose((optimum.mean - CENTER) / STD, 0, atol=error)
    # The scale answers to the second moments that the draws happen to have.
    expected = STD / np.sqrt((noise**2).mean(axis=0))
    np.testing.assert_allclose(np.sqrt(optimum.variances), expected, rtol=error)
    np.testing.assert_array_equal(np.concatenate(reported), optimum.losses)


def test_the_loss_is_minus_the_elbo(evaluator_of: Any) -> None:
    # For a normal whose mass is e**7 the ELBO of its exact form is 7, in any frame.
    evaluator, noise = evaluator_of(lambda x: normal(x) + 7, 3), antithetic_signs(1, 16, 3)
    for frame in FRAMES.values():
        optimum = minimize(evaluator, frame, noise, None, lambda _: None)
        assert optimum.losses[-1] == pytest.approx(-7, abs=2e-3)
        assert (np.diff(optimum.losses) <= 1e-9).all()


def test_a_bound_on_the_iterations(evaluator_of: Any) -> None:
    noise = antithetic_normals(1, 16, 3)
    frame = FRAMES["fitting steps"]
    optimum = minimize(evaluator_of(normal, 3), frame, noise, 5, lambda _: None)
    assert len(optimum.losses) == 5
    assert not optimum.converged
    assert optimum.reason == "5 iterations did not suffice"


def test_a_fit_of_a_correlated_normal_is_exact() -> None:
    random = np.random.default_rng(7)
    x = random.normal(size=(100, 2)) @ [[1, 0.9], [0, 0.3]]
    y = x @ [1.0, -2.0] + random.normal(size=100)
    with pm.Model():
        slopes = pm.Normal("slopes", 0, 10, shape=2)
        pm.Normal("y", x @ slopes, 1, observed=y)
        fit = by.fit(random_seed=1, progressbar=False)
    covariance = np.linalg.inv(x.T @ x + np.eye(2) / 100)
    std = np.sqrt(np.diag(covariance))
    assert fit.correction == "linear_response"
    np.testing.assert_allclose((fit.mean["slopes"] - covariance @ x.T @ y) / std, 0, atol=1e-2)
    np.testing.assert_allclose(fit.std["slopes"], std, rtol=1e-6)


def test_blas_has_one_thread_in_the_optimizer_and_its_own_after(evaluator_of: Any) -> None:
    def threads_of_blas() -> set[int]:
        libraries = threadpoolctl.threadpool_info()
        return {each["num_threads"] for each in libraries if each["user_api"] == "blas"}

    before, during = threads_of_blas(), []
    noise = antithetic_normals(1, 16, 3)
    minimize(
        evaluator_of(normal, 3),
        FRAMES["small steps"],
        noise,
        3,
        lambda _: during.append(threads_of_blas()),
    )
    assert during == [{1}] * 3
    assert threads_of_blas() == before
