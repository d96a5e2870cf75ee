"""Checks of fits whose moments are known by quadrature, what is not checked, and what fails."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import bayou as by
from bayou.fitting.checks import check, non_centred_fit
from bayou.fitting.checks.check import check_fit
from bayou.fitting.checks.short_chains import AGREEMENT
from bayou.fitting.rows.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCHOOLS = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
ERRORS = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
GROUPS = np.random.default_rng(3).normal(0, 1.2, size=24)
QUIET: dict[str, Any] = {"random_seed": 1, "progressbar": False}


def schools() -> pm.Model:
    with pm.Model() as model:
        mu, tau = pm.Normal("mu", 0, 5), pm.HalfCauchy("tau", 5)
        theta = mu + tau * pm.Normal("unit", shape=8)
        pm.Normal("y", theta, ERRORS, observed=SCHOOLS)
    return model


def funnel() -> pm.Model:
    """Neal's (2003), whose neck no chain of bounded length enters, without a normal in it."""
    with pm.Model(coords={"side": list("ABCDEFGHIJKLMNOPQR")}) as model:
        width = pm.Normal("width", 0, 3)
        x = pm.Flat("x", dims="side")
        pm.Potential("funnel", pm.logp(pm.Normal.dist(0, pm.math.exp(width / 2)), x))
        pm.Normal("y", 0, 1, observed=0.0)
    return model


def groups() -> pm.Model:
    with pm.Model() as model:
        spread = pm.HalfNormal("spread", 1)
        pm.Normal("y", spread * pm.Normal("unit", shape=24), 1, observed=GROUPS)
    return model


def moments_by_quadrature(log_density: Callable[[float], float], high: float) -> np.ndarray:
    """Return mean, sd, and 5% and 95% quantiles of a density on (0, high)."""
    grid = np.linspace(high / 4000, high, 4000)
    logs = np.array([log_density(value) for value in grid])
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    mean = weights @ grid
    sd = np.sqrt(weights @ (grid - mean) ** 2)
    return np.array([mean, sd, *np.interp([0.05, 0.95], np.cumsum(weights), grid)])


def log_density_of_tau(tau: float) -> float:
    covariance = np.diag(ERRORS**2 + tau**2) + 25.0
    return float(
        stats.halfcauchy(0, 5).logpdf(tau)
        + stats.multivariate_normal(np.zeros(8), covariance).logpdf(SCHOOLS)
    )


def log_density_of_spread(spread: float) -> float:
    scale = np.hypot(1, spread)
    return float(stats.halfnorm(0, 1).logpdf(spread) + stats.norm(0, scale).logpdf(GROUPS).sum())


def distances(draws: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Return how far the moments of draws are off, in standard deviations."""
    found = np.array([draws.mean(), draws.std(), *np.quantile(draws, [0.05, 0.95])])
    return np.abs(found - exact) / exact[1]


@pytest.fixture(scope="module")
def weighted() -> by.Fit:
    return by.fit(model=schools(), **QUIET)


@pytest.mark.slow
def test_weights_mend_eight_schools(weighted: by.Fit) -> None:
    verdict = weighted.verdict
    assert verdict.word == "good"
    assert verdict.draws_from == "importance weights"
    draws = weighted.sample(10_000, random_seed=1).posterior["tau"].to_numpy().ravel()
    exact = moments_by_quadrature(log_density_of_tau, 100)
    assert (distances(draws, exact) < [0.06, 0.06, 0.06, 0.12]).all()
    # The approximation alone is far off.
    plain = replace(weighted.approximation, resampled=None)
    alone = by.Fit(weighted.model, weighted.program, plain, weighted.density).sample(10_000)
    assert distances(alone.posterior["tau"].to_numpy().ravel(), exact).max() > 0.3


def test_moments_are_those_of_the_draws(weighted: by.Fit) -> None:
    logs = np.log(weighted.sample(10_000, random_seed=1).posterior["tau"].to_numpy())
    assert float(weighted.mean["tau_log__"]) == pytest.approx(logs.mean(), abs=1e-10)
    assert float(weighted.std["tau_log__"]) == pytest.approx(logs.std(), abs=1e-10)


def test_draws_are_plain_and_those_of_the_seed(weighted: by.Fit) -> None:
    first = weighted.draws(500, random_seed=1)["tau"]
    np.testing.assert_array_equal(weighted.draws(500, random_seed=1)["tau"], first)
    assert not np.array_equal(weighted.draws(500, random_seed=2)["tau"], first)
    assert weighted.draws(10_500, random_seed=1)["tau"].shape == (1, 10_500)


def test_a_saved_fit_keeps_its_draws_and_its_verdict(weighted: by.Fit, tmp_path: Path) -> None:
    weighted.save(tmp_path / "fit")
    again = by.load(tmp_path / "fit", model=weighted.model)
    np.testing.assert_array_equal(
        again.draws(100, random_seed=1)["tau"], weighted.draws(100, random_seed=1)["tau"]
    )
    assert str(again.verdict) == str(weighted.verdict)
    assert again.verdict.errors.equals(weighted.verdict.errors)


@pytest.mark.filterwarnings("ignore:The standard deviations are not corrected")
@pytest.mark.parametrize("error", [RuntimeError("no memory"), KeyboardInterrupt()])
def test_a_try_with_offsets_that_fails_costs_no_evidence(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(non_centred_fit, "fit_fixed_draws", fail)
    with pm.Model() as model:
        width = pm.Normal("width", 0, 3)
        pm.Normal("x", 0, pm.math.exp(width / 2), shape=18)
        pm.Normal("y", 0, 1, observed=0.0)
        with pytest.warns(UserWarning):  # noqa: PT030  (a funnel: its errors, and no correction)
            fit = by.fit(model=model, **QUIET)
    if isinstance(error, KeyboardInterrupt):
        assert fit.verdict.reason == "the keyboard stopped the check"
    else:
        assert fit.verdict.word in ("wrong", "doubtful")


@pytest.mark.slow
def test_centred_schools_are_fitted_as_offsets(tmp_path: Path) -> None:
    with pm.Model(coords={"school": list("ABCDEFGH")}) as model:
        mu, tau = pm.Normal("mu", 0, 5), pm.HalfCauchy("tau", 5)
        theta = pm.Normal("theta", mu, tau, dims="school")
        pm.Normal("y", theta, ERRORS, observed=SCHOOLS, dims="school")
        fit = by.fit(**QUIET)
    assert fit.correction == "linear_response"
    assert fit.verdict.word == "good"
    assert fit.verdict.non_centred == ("theta",)
    assert "non-centred, as mean + sd * offset: 'theta'" in str(fit.verdict)
    assert list(fit.mean) == ["mu", "tau_log__", "theta"]
    draws = fit.draws(10_000, random_seed=1)
    assert set(draws) == {"mu", "tau", "theta"}
    exact = moments_by_quadrature(log_density_of_tau, 80)
    assert distances(draws["tau"], exact).max() < 0.06
    np.testing.assert_allclose(fit.mean["theta"], draws["theta"].mean(axis=(0, 1)))
    # Given tau, schools shrink towards mu: those of a normal alone are off by a third.
    assert np.corrcoef(draws["theta"][0].std(axis=1), draws["tau"][0])[0, 1] > 0.7
    fit.save(tmp_path / "fit")
    again = by.load(tmp_path / "fit", model=model)
    assert again.verdict.non_centred == ("theta",)
    np.testing.assert_array_equal(again.draws(100, random_seed=2)["theta"],
                                  fit.draws(100, random_seed=2)["theta"])  # fmt: skip


def test_a_funnel_is_called_wrong() -> None:
    with (
        pytest.warns(UserWarning, match="not corrected by linear response: the ELBO"),
        pytest.warns(
            by.ConvergenceWarning,
            match=r"(?s)The fit is (wrong|doubtful): .*(too [shl]|R-hat).*\nHint: .*by.sample",
        ),
    ):
        fit = by.fit(model=funnel(), **QUIET)
    assert fit.verdict.word in ("wrong", "doubtful")
    assert list(fit.verdict.errors.index[:3]) == ["width", "x[A]", "x[B]"]


@pytest.mark.slow
def test_short_chains_mend_a_scale_of_many_groups() -> None:
    fit = by.fit(model=groups(), **QUIET)
    assert (fit.verdict.word, fit.verdict.draws_from) == ("good", "short chains")
    assert fit.verdict.rhat < AGREEMENT
    draws = fit.sample(4000, random_seed=1).posterior["spread"].to_numpy().ravel()
    exact = moments_by_quadrature(log_density_of_spread, 6)
    assert (distances(draws, exact) < [0.15, 0.1, 0.25, 0.25]).all()


def test_a_normal_posterior_keeps_the_draws_of_the_fit() -> None:
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("y", mu, 1, observed=[2.0, 3.0, 4.0])
    fit = by.fit(model=model, **QUIET)
    assert (fit.verdict.word, fit.verdict.draws_from) == ("good", "approximation")
    assert fit.approximation.resampled is None
    assert fit.verdict.khat == 0
    assert fit.verdict.ess == pytest.approx(fit.verdict.draws, rel=0.01)


def test_densities_without_gradients_give_the_same_evidence(
    weighted: by.Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(weighted.program, weighted.approximation.frame.origin, 1, 1, (), lambda _: None)
    before = check_fit(task, weighted.model, weighted.approximation).evidence
    monkeypatch.setattr(check, "WORK_WORTH_COMPILING", 0)
    after = check_fit(task, weighted.model, weighted.approximation).evidence
    assert before is not None
    assert after is not None
    np.testing.assert_allclose(after.log_ratios, before.log_ratios, rtol=1e-9, atol=1e-9)


def test_steps_without_a_rule_are_not_checked() -> None:
    fit = by.fit(20, model=groups(), **QUIET)
    assert fit.verdict.word == "not checked"
    assert fit.verdict.reason == "a fit of a given number of steps has no stopping rule"
    assert fit.verdict.errors.empty


def test_what_fails_does_not_cost_the_fit(weighted: by.Fit) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no memory")

    functions = replace(weighted.program.functions, terms=fail)
    program = replace(
        weighted.program, functions=functions, compiled=type(weighted.program.compiled)()
    )
    task = Task(program, weighted.approximation.frame.origin, 1, 1, (), fail)
    checked = check_fit(task, weighted.model, weighted.approximation)
    assert checked.evidence is not None
    assert checked.evidence.obstacle == "the check failed (RuntimeError: no memory)"
    np.testing.assert_array_equal(checked.frame.origin, weighted.approximation.frame.origin)
