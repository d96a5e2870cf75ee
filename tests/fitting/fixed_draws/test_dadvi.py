"""Deterministic ADVI in two fits: exact for normals, bounded in its iterations."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayou.density.evaluator import Evaluator
from bayou.density.program import Program
from bayou.fitting.fixed_draws import dadvi
from bayou.fitting.fixed_draws.dadvi import fit_fixed_draws
from bayou.fitting.rows.task import Task

PRECISION = np.array([[4.0, 3.4], [3.4, 4.0]])
COVARIANCE = np.linalg.inv(PRECISION)
CENTER = np.array([1.0, -2.0])


def normal(position: jax.Array) -> jax.Array:
    away = position - CENTER
    return -0.5 * away @ PRECISION @ away


@pytest.fixture(scope="module")
def program(program_of: Any) -> Program:
    return program_of(normal, 2)


def task_of(program: Program, reported: list[float] | None = None) -> Task:
    report = [] if reported is None else reported
    return Task(program, np.zeros(2), 1, 1, (), report.extend)


def test_a_correlated_normal_keeps_its_correlation(program: Program) -> None:
    reported: list[float] = []
    fit = fit_fixed_draws(task_of(program, reported), None)
    assert fit.converged is True
    assert fit.reason.startswith("the gradient vanished after ")
    np.testing.assert_allclose(fit.frame.positions(fit.params.location), CENTER, atol=0.01)
    # In the coordinates of the first fit, the second one has the correlation. Variances, and with
    # them the ELBO, are known as well as the second moments of 128 draws, before a correction.
    factor = fit.frame.factor * np.exp(np.asarray(fit.params.log_scale))
    np.testing.assert_allclose(factor @ factor.T, COVARIANCE, rtol=0.2)
    evidence = np.log(2 * np.pi) + 0.5 * np.linalg.slogdet(COVARIANCE)[1]
    assert fit.elbo[-1] == pytest.approx(evidence, abs=0.3)
    np.testing.assert_array_equal(fit.elbo, -np.array(reported))
    assert np.isnan(fit.rates).all()


@pytest.mark.parametrize("most", [1, 3])
def test_iterations_of_both_fits_are_bounded(program: Program, most: int) -> None:
    fit = fit_fixed_draws(task_of(program), most)
    assert len(fit.elbo) == most
    assert fit.converged is False
    assert fit.reason.endswith("iterations did not suffice")


def test_an_improper_posterior_says_so(program_of: Any) -> None:
    fit = fit_fixed_draws(task_of(program_of(lambda x: 0 * jnp.sum(x), 2)), None)
    assert fit.converged is False
    assert "the posterior may be improper" in fit.reason


@pytest.mark.parametrize("unit", [1e9, 1e-9])
def test_units_far_from_one_are_no_improper_posterior(program_of: Any, unit: float) -> None:
    fit = fit_fixed_draws(task_of(program_of(lambda x: normal(x / unit), 2)), None)
    assert fit.converged is True
    std = np.asarray(fit.frame.stds(np.exp(fit.params.log_scale)))
    # Of 128 draws, before linear response.
    np.testing.assert_allclose(std / unit, np.sqrt(np.diag(COVARIANCE)), rtol=0.1)


@pytest.mark.parametrize(
    ("stop", "by_whom"), [(KeyboardInterrupt, "the keyboard"), (StopIteration, "a callback")]
)
def test_what_is_found_outlives_a_stop(
    program: Program, stop: type[BaseException], by_whom: str
) -> None:
    reported: list[float] = []
    fit_fixed_draws(task_of(program, reported), None)

    def stopped_after(number: int) -> Any:
        losses: list[float] = []

        def report(loss: Any) -> None:
            losses.extend(loss)
            if len(losses) == number:
                raise stop

        return fit_fixed_draws(Task(program, np.zeros(2), 1, 1, (), report), None)

    for number in (2, len(reported) - 1):
        fit = stopped_after(number)
        assert fit.interrupted
        assert fit.converged is False
        assert f"{by_whom} stopped it after" in fit.reason
        np.testing.assert_array_equal(fit.elbo, -np.array(reported[:number]))
    np.testing.assert_allclose(fit.frame.positions(fit.params.location), CENTER, atol=0.1)


def test_a_stop_before_anything_is_found_is_raised(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dadvi, "covariance_or_none", interrupted)
        fit = fit_fixed_draws(task_of(program), None)
    assert fit.interrupted
    assert fit.reason.startswith("the keyboard stopped it after ")
    np.testing.assert_allclose(fit.frame.positions(fit.params.location), CENTER, atol=0.1)
    monkeypatch.setattr(Evaluator, "gradients", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_fixed_draws(task_of(program), None)
