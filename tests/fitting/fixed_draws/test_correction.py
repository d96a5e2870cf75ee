"""Corrections: exact for normals, with the means of logs kept, and refused by their reason."""

import re
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.density.flat_position import Layout
from bayou.density.program import Program
from bayou.fitting.fixed_draws import correction
from bayou.fitting.fixed_draws.correction import (
    check_correctable,
    correct_stds,
    warn_unless_corrected,
)
from bayou.fitting.fixed_draws.optimize import MAX_DENSE
from bayou.fitting.guides.approximation import Approximation
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.full_rank import FullRank
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.rows.task import Task

PRECISION = np.array([[4.0, 3.4], [3.4, 4.0]])
COVARIANCE = np.linalg.inv(PRECISION)


def normal(position: jax.Array) -> jax.Array:
    return -0.5 * position @ PRECISION @ position


@pytest.fixture(scope="module")
def program(program_of: Any) -> Program:
    return program_of(normal, 2)


def task_of(program: Program) -> Task:
    return Task(program, np.zeros(2), 1, 1, (), lambda _: None)


def independent(**changes: Any) -> Approximation:
    """Return the independent normals that are closest to the density."""
    params = MeanFieldParams(jnp.zeros(2), -0.5 * jnp.log(jnp.diag(jnp.asarray(PRECISION))))
    frame = Frame(np.zeros(2), np.ones(2))
    fit = Approximation(
        MeanField(), params, frame, np.zeros(3), np.zeros(3), converged=True, reason=""
    )
    return replace(fit, **changes)


@pytest.mark.parametrize("converged", [True, None])
@pytest.mark.parametrize("required", [True, False])
def test_standard_deviations_of_a_normal_are_exact(
    program: Program, required: bool, converged: bool | None
) -> None:
    fit = correct_stds(task_of(program), independent(converged=converged), required)
    assert fit.correction == "linear_response"
    np.testing.assert_allclose(fit.frame.factor @ fit.frame.factor.T, COVARIANCE, rtol=1e-6)
    np.testing.assert_array_equal(fit.params.log_scale, 0)
    np.testing.assert_allclose(fit.frame.origin, 0, atol=1e-12)


def test_the_means_of_logs_stay_in_the_space_of_the_model(program: Program) -> None:
    logs = replace(program, layout=Layout(("x",), ((2,),), (True,)))
    before, after = independent(), correct_stds(task_of(logs), independent(), required=True)
    # The mean of a log-normal is exp(mean + variance / 2).
    old = before.frame.origin + np.exp(2 * np.asarray(before.params.log_scale)) / 2
    new = after.frame.origin + np.diag(after.frame.factor @ after.frame.factor.T) / 2
    np.testing.assert_allclose(new, old)


def test_a_fit_that_failed_is_corrected_only_if_asked_for(program: Program) -> None:
    failed = independent(converged=False)
    after = correct_stds(task_of(program), failed, required=False)
    assert after.correction == "none: the fit did not converge"
    assert after.frame is failed.frame
    assert correct_stds(task_of(program), failed, required=True).correction == "linear_response"


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(
    ("density", "reason"),
    [
        (lambda x: jnp.sum(x**2), "the loss has no minimum where the fit ended"),
        (lambda x: jnp.sum(jnp.sqrt(x - 9)), "the second derivatives of the loss are not finite"),
        (lambda x: x @ jnp.zeros(3), "it cannot be computed .TypeError: "),
    ],
)
def test_a_correction_that_fails_is_said_and_costs_nothing(
    program_of: Any, density: Any, reason: str, required: bool
) -> None:
    before = independent(reason="the gradient vanished")
    after = correct_stds(task_of(program_of(density, 2)), before, required)
    with pytest.warns(UserWarning, match=rf"not corrected by linear response: {reason}(.|\n)*Hint"):
        warn_unless_corrected(after)
    # Draws that are not from the approximation do not miss the correction.
    warn_unless_corrected(replace(after, resampled=np.zeros((1, 2))))
    assert re.match(f"none: {reason}", str(after.correction))
    assert after.reason.startswith("the gradient vanished; the standard deviations are not corr")
    assert after.frame is before.frame
    assert after.params is before.params


def test_ctrl_c_ends_a_correction_alone(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(correction, "linear_response", interrupt)
    after = correct_stds(task_of(program), independent(), required=False)
    assert after.interrupted
    assert after.reason.endswith("the keyboard stopped the correction")


def test_other_guides_have_none(program: Program) -> None:
    fit = independent(guide=FullRank())
    after = correct_stds(task_of(program), fit, required=False)
    assert after.frame is fit.frame
    assert after.params is fit.params
    assert str(after.correction).startswith("none: the guide is FullRank(), and only independent")
    with pytest.raises(
        ValueError, match=r"the guide is FullRank\(\), and only independent .*\nHint: l"
    ):
        check_correctable(program, FullRank())
    check_correctable(program, MeanField())


def test_a_correction_that_is_in_place_stays(program: Program) -> None:
    fit = independent(correction="linear_response on 10 of 20 rows")
    assert correct_stds(task_of(program), fit, required=True) is fit


def test_a_correction_that_costs_too_much_is_a_warning(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correction, "CORRECTION_WORK", 1.0)
    with pytest.warns(UserWarning, match=r"since it would take 4 products, more than 1.\nHint: .*"):
        after = correct_stds(task_of(program), independent(), required=False)
    assert after.correction == "none: it would take 4 products, more than 1"
    assert correct_stds(task_of(program), independent(), True).correction == "linear_response"


def test_a_correction_that_lowers_the_elbo_is_not_kept(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correction, "linear_response", lambda *_: 100 * COVARIANCE)
    before = independent()
    after = correct_stds(task_of(program), before, required=True)
    assert re.match(r"the ELBO at fresh draws fell by \d", str(after.uncorrected))
    assert after.frame is before.frame


def test_many_rows_are_corrected_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correction, "CORRECTION_WORK", 4e4)
    rows = np.random.default_rng(1).normal(2, 1, size=40_000)
    with pm.Model() as model:
        mu, spread = pm.Normal("mu", 0, 10), pm.HalfNormal("spread")
        pm.Normal("y", mu, spread, observed=by.Minibatch(rows, 500), total_size=40_000)
    fit = by.fit(600, "advi", model=model, random_seed=1, progressbar=False)
    assert fit.correction == "linear_response on 10,000 of 40,000 rows"
    assert float(fit.std["mu"]) == pytest.approx(1 / 200, rel=0.1)


def test_a_large_model_has_none(program_of: Any) -> None:
    size = 10 * MAX_DENSE + 1
    with pytest.raises(ValueError, match=f"the model has {size} elements, and it takes matrices"):
        check_correctable(program_of(jnp.sum, size), MeanField())
