"""Fits by passes: exact for regressions, one answer for batches and all rows, refused or left."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pymc as pm
import pytest

import bayou as by
from bayou.batching.batched import program_of_rows
from bayou.density.build import compile_program
from bayou.fitting.fixed_draws.linear_response import ResponseError
from bayou.fitting.passes import pass_fit, pass_rows
from bayou.fitting.passes.pass_fit import passes_obstacle
from bayou.fitting.passes.pass_rows import BLOCK_ROWS

NUM_ROWS = 40_000
RNG = np.random.default_rng(1)
X = RNG.normal(size=(NUM_ROWS, 3)) @ np.array([[1.0, 0.8, 0], [0, 0.6, 0], [0, 0, 1]])
LEVEL = np.concatenate([RNG.integers(0, 5, NUM_ROWS - 3), [5, 5, 5]])
Y = X @ [0.5, -0.3, 0.2] + 0.7 * RNG.normal(size=NUM_ROWS)
LATE = (RNG.random(NUM_ROWS) < 1 / (1 + np.exp(-X @ [0.5, -0.3, 0.2]))).astype(float)


def normal_regression() -> pm.Model:
    with pm.Model() as model:
        x, y = by.Data("x", X, dims=("row", "column")), by.Data("y", Y, dims="row")
        slope, noise = pm.Normal("slope", dims="column"), pm.HalfNormal("noise")
        pm.Normal("observed", x @ slope, noise, observed=y, dims="row")
    return model


def logistic_regression() -> pm.Model:
    with pm.Model() as model:
        x, late = by.Data("x", X, dims=("row", "column")), by.Data("late", LATE, dims="row")
        slope = pm.Normal("slope", dims="column")
        pm.Bernoulli("observed", logit_p=x @ slope, observed=late, dims="row")
    return model


def logistic_truth() -> tuple[Any, Any]:
    """Return the mode and the covariance there, by Newton's method."""
    slope = np.zeros(3)
    for _ in range(10):
        p = 1 / (1 + np.exp(-X @ slope))
        precision = X.T @ (X * (p * (1 - p))[:, None]) + np.eye(3)
        slope += np.linalg.solve(precision, X.T @ (LATE - p) - slope)
    return slope, np.linalg.inv(precision)


@pytest.fixture(scope="module")
def normal_fit() -> by.Fit:
    return by.fit(model=normal_regression(), random_seed=1, progressbar=False)


def test_a_normal_regression_with_unknown_noise(normal_fit: by.Fit) -> None:
    covariance = np.linalg.inv(X.T @ X)
    slope = covariance @ X.T @ Y
    variance = ((Y - X @ slope) ** 2).mean()
    std = np.sqrt(np.diag(covariance) * variance)
    assert normal_fit.converged is True
    assert normal_fit.correction == "linear_response"
    np.testing.assert_allclose(normal_fit.mean["slope"], slope, atol=0.03 * std.min())
    np.testing.assert_allclose(normal_fit.std["slope"], std, rtol=0.01)
    assert float(normal_fit.std["noise_log__"]) == pytest.approx((2 * NUM_ROWS) ** -0.5, rel=0.01)
    error = float(np.exp(normal_fit.mean["noise_log__"])) - variance**0.5
    assert abs(error) < 0.05 * float(normal_fit.std["noise_log__"])


def test_passes_are_few_and_said(normal_fit: by.Fit) -> None:
    assert normal_fit.passes is not None
    # The pilot goes through some thousands of rows, up to 100 times.
    assert 3 < normal_fit.passes < 50
    assert f"passes={normal_fit.passes:.1f}" in repr(normal_fit)
    assert normal_fit.summary(100).attrs["passes"] == normal_fit.passes
    assert "passes over the rows" in normal_fit._repr_html_()
    assert len(normal_fit.elbo) < 10


@pytest.fixture(scope="module")
def logistic_fit() -> by.Fit:
    return by.fit(model=logistic_regression(), random_seed=1, progressbar=False)


def test_a_logistic_regression(logistic_fit: by.Fit) -> None:
    mode, covariance = logistic_truth()
    std = np.sqrt(np.diag(covariance))
    assert np.abs((logistic_fit.mean["slope"] - mode) / std).max() < 0.03
    np.testing.assert_allclose(logistic_fit.std["slope"], std, rtol=0.01)
    correlation = covariance / std / std[:, None]
    found = logistic_fit.covariance("slope").to_numpy()
    np.testing.assert_allclose(found / std / std[:, None], correlation, atol=0.02)


def test_batches_and_all_rows_have_one_answer(logistic_fit: by.Fit) -> None:
    in_batches = by.fit(
        batch_size=500, model=logistic_regression(), random_seed=1, progressbar=False
    )
    np.testing.assert_allclose(in_batches.mean["slope"], logistic_fit.mean["slope"], rtol=1e-10)
    np.testing.assert_allclose(in_batches.std["slope"], logistic_fit.std["slope"], rtol=1e-10)
    again = by.fit(batch_size=500, model=logistic_regression(), random_seed=1, progressbar=False)
    np.testing.assert_array_equal(in_batches.mean["slope"], again.mean["slope"])


def test_what_users_set_about_steps_takes_steps() -> None:
    fit = by.fit(600, batch_size=500, model=logistic_regression(), progressbar=False)
    assert len(fit.elbo) == 600
    assert fit.passes is not None
    assert fit.passes > 600 * 500 / NUM_ROWS


def test_a_sample_gives_the_covariance_of_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pass_fit, "ALL_ROWS", 30_000)
    monkeypatch.setattr(pass_rows, "SAMPLE_ROWS", 20_000)
    fit = by.fit(model=logistic_regression(), random_seed=1, progressbar=False)
    mode, covariance = logistic_truth()
    std = np.sqrt(np.diag(covariance))
    assert fit.correction is not None
    assert fit.correction.startswith("linear_response on ")
    assert fit.correction.endswith(" of 40,000 rows")
    assert np.abs((fit.mean["slope"] - mode) / std).max() < 0.03
    np.testing.assert_allclose(fit.std["slope"], std, rtol=0.05)


def test_levels_with_few_rows_take_the_curvature_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pass_fit, "ALL_ROWS", 30_000)
    monkeypatch.setattr(pass_rows, "SAMPLE_ROWS", 20_000)
    with pm.Model() as model:
        level = by.Data("level", LEVEL, dims="row")
        y = by.Data("y", Y, dims="row")
        effect = pm.Normal("effect", 0, 10, shape=6)
        pm.Normal("observed", effect[level], 0.7, observed=y, dims="row")
    fit = by.fit(model=model, random_seed=1, progressbar=False)
    assert fit.correction == "linear_response"
    counts = np.bincount(LEVEL)
    variance = 1 / (counts / 0.49 + 0.01)
    mean = variance * np.bincount(LEVEL, Y) / 0.49
    np.testing.assert_allclose(fit.std["effect"], variance**0.5, rtol=0.01)
    np.testing.assert_allclose((fit.mean["effect"] - mean) / variance**0.5, 0, atol=0.02)


@pytest.mark.slow
def test_a_hessian_without_inverse_on_the_way_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    curvature_at, calls = pass_fit.curvature_at, []

    def fail_once(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise ResponseError("the loss has no minimum where the fit ended")
        return curvature_at(*arguments)

    monkeypatch.setattr(pass_fit, "ROUND_PASSES", 1)
    monkeypatch.setattr(pass_fit, "NEAR", 1e-6)
    monkeypatch.setattr(pass_fit, "curvature_at", fail_once)
    fit = by.fit(model=logistic_regression(), random_seed=1, progressbar=False)
    assert len(calls) > 2
    assert fit.correction == "linear_response"
    mode, covariance = logistic_truth()
    assert np.abs((fit.mean["slope"] - mode) / np.sqrt(np.diag(covariance))).max() < 0.03


@pytest.mark.slow
def test_a_hierarchy_of_few_groups_has_the_moments_of_its_posterior() -> None:
    num_groups, noise = 6, 0.7
    group = np.arange(NUM_ROWS) % num_groups
    effects = np.array([-0.8, 0.1, 0.4, 1.3, 0.2, 0.6])
    y = effects[group] + noise * np.random.default_rng(2).normal(size=NUM_ROWS)
    with pm.Model() as model:
        index, observed = by.Data("group", group, dims="row"), by.Data("y", y, dims="row")
        mean, spread = pm.Normal("mean", 0, 2), pm.HalfNormal("spread", 1)
        effect = pm.Normal("effect", mean, spread, shape=num_groups)
        pm.Normal("observed", effect[index], noise, observed=observed, dims="row")
    fit = by.fit(model=model, compress=False, random_seed=1, progressbar=False)
    assert fit.correction == "linear_response, and chains for priors that are not normal"
    # Given the spread, all is normal: means of the groups are normal around the mean.
    means = np.bincount(group, y) / np.bincount(group)
    spreads = np.linspace(0.01, 6, 4000)
    of_means = spreads**2 + noise**2 * num_groups / NUM_ROWS
    precision = num_groups / of_means + 1 / 4
    centre = means.sum() / of_means / precision
    logs = (
        -0.5 * spreads**2
        - 0.5 * num_groups * np.log(of_means)
        - 0.5 * (means**2).sum() / of_means
        + 0.5 * precision * centre**2
        - 0.5 * np.log(precision)
    )
    weights = np.exp(logs - logs.max()) / np.exp(logs - logs.max()).sum()
    mean_of_mean = weights @ centre
    std_of_mean = (weights @ (1 / precision + (centre - mean_of_mean) ** 2)) ** 0.5
    mean_of_spread = weights @ spreads
    std_of_spread = (weights @ (spreads - mean_of_spread) ** 2) ** 0.5
    draws = fit.sample(20_000, random_seed=1).posterior
    assert float(fit.mean["mean"]) == pytest.approx(mean_of_mean, abs=0.05 * std_of_mean)
    assert float(fit.std["mean"]) == pytest.approx(std_of_mean, rel=0.05)
    assert float(draws["spread"].mean()) == pytest.approx(mean_of_spread, abs=0.05 * std_of_spread)
    assert float(draws["spread"].std()) == pytest.approx(std_of_spread, rel=0.05)


def test_a_callback_ends_passes_with_what_is_there() -> None:
    def stop(steps: int, _: Any) -> None:
        if steps == 2:
            raise StopIteration

    with pytest.warns(by.ConvergenceWarning, match="a callback stopped it after 2 passes"):
        fit = by.fit(model=logistic_regression(), progressbar=False, callback=stop)
    assert fit.converged is False
    assert fit.correction is not None
    assert fit.correction.startswith("none: ")
    mode, covariance = logistic_truth()
    # It is near by then.
    assert np.abs((fit.mean["slope"] - mode) / np.sqrt(np.diag(covariance))).max() < 3


def test_a_correction_that_lowers_the_elbo_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = pass_fit.with_covariance

    def too_wide(program: Any, fitted: Any, normal: Any, covariance: Any) -> Any:
        return wide(program, fitted, normal, 100 * covariance)

    monkeypatch.setattr(pass_fit, "with_covariance", too_wide)
    with pytest.warns(UserWarning, match="not corrected .* the ELBO at fresh draws fell by"):
        fit = by.fit(model=logistic_regression(), random_seed=1, progressbar=False)
    assert fit.correction is not None
    assert fit.correction.startswith("none: the ELBO at fresh draws fell by ")
    _, covariance = logistic_truth()
    np.testing.assert_allclose(fit.std["slope"], np.sqrt(np.diag(covariance)), rtol=0.02)


@pytest.mark.slow
def test_a_posterior_that_is_not_nearly_normal_is_left_to_other_methods(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pass_fit, "NEARLY_NORMAL", 0.0)
    fit = by.fit(model=logistic_regression(), random_seed=1, progressbar=False)
    assert "a few passes over the rows did not do, since the posterior is not" in fit.reason
    mode, covariance = logistic_truth()
    assert np.abs((fit.mean["slope"] - mode) / np.sqrt(np.diag(covariance))).max() < 0.05


def test_obstacles(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = program_of_rows(normal_regression())
    assert rows is not None
    assert passes_obstacle(rows[1]) is None
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("y", mu, 1, observed=np.zeros(3))
    assert passes_obstacle(compile_program(model)) == (
        "its likelihood is not known to be one of rows"
    )
    with pm.Model() as few:
        mu = pm.Normal("mu")
        pm.Normal("y", mu, 1, observed=by.Minibatch(np.zeros(100), 10), total_size=100)
    assert passes_obstacle(compile_program(few)) == f"it has no more than {BLOCK_ROWS} rows"
    monkeypatch.setattr(pass_fit, "MAX_LARGE", 3)
    assert passes_obstacle(rows[1]) == "it has 4 elements, more than 3"


def test_sorted_rows_in_windows(tmp_path: Path) -> None:
    order = np.argsort(Y)
    table = {"x": X[order, 0], "z": X[order, 2], "y": Y[order]}
    pq.write_table(pa.table(table), tmp_path / "rows.parquet", row_group_size=6000)
    rows = by.scan(tmp_path / "rows.parquet")
    with pm.Model() as model:
        x = by.Minibatch(rows[["x", "z"]], 500, in_memory_size=6000)
        y = by.Minibatch(rows["y"], 500, in_memory_size=6000)
        slope = pm.Normal("slope", shape=2)
        pm.Normal("observed", x @ slope, 0.7, observed=y, total_size=NUM_ROWS)
    fit = by.fit(model=model, random_seed=1, progressbar=False)
    precision = X[:, [0, 2]].T @ X[:, [0, 2]] / 0.49 + np.eye(2)
    mean = np.linalg.solve(precision, X[:, [0, 2]].T @ Y / 0.49)
    std = np.sqrt(np.diag(np.linalg.inv(precision)))
    assert fit.correction == "linear_response"
    np.testing.assert_allclose((fit.mean["slope"] - mean) / std, 0, atol=0.01)
    np.testing.assert_allclose(fit.std["slope"], std, rtol=0.001)
