"""Chains on distinct rows draw from the posterior of all rows."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by

NUM_ROWS = 2000


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have few rows be enough to be compressed by default."""
    monkeypatch.setattr("bayou.compression.compressed_model.LEAST_ROWS", 2)


@pytest.fixture(scope="module")
def model() -> pm.Model:
    """A normal regression with known scale, whose posterior is known, of rows that repeat."""
    generator = np.random.default_rng(4)
    x = generator.integers(0, 5, NUM_ROWS) / 2
    y = np.round(1 + 2 * x + generator.normal(size=NUM_ROWS))
    with pm.Model() as model:
        x_data, y_data = by.Data("x", x, dims="row"), by.Data("y", y, dims="row")
        slopes = pm.Normal("slopes", 0, 10, shape=2)
        pm.Deterministic("double", 2 * slopes)
        mean = pm.Deterministic("mean", slopes[0] + slopes[1] * x_data, dims="row")
        pm.Normal("observed", mean, 1, observed=y_data, dims="row")
    return model


def exact(model: pm.Model) -> tuple[Any, Any]:
    x, y = model["x"].get_value(), model["y"].get_value()
    design = np.stack([np.ones_like(x), x], axis=1)
    covariance = np.linalg.inv(design.T @ design + np.eye(2) / 100)
    return covariance @ design.T @ y, np.sqrt(np.diag(covariance))


@pytest.mark.parametrize("compress", ["auto", True])
def test_draws_are_of_the_posterior_of_all_rows(model: pm.Model, compress: bool | str) -> None:
    trace = by.sample(
        model=model,
        var_names=["slopes", "double"],
        compress=compress,
        random_seed=1,
        progressbar=False,
    )
    attrs = trace.attrs | trace.sample_stats.attrs | trace.posterior.attrs
    assert re.fullmatch(r"2,000 rows as \d\d distinct, each counted", attrs["compression"])
    mean, std = exact(model)
    draws = trace.posterior["slopes"].values.reshape(-1, 2)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.1 * std.max())
    np.testing.assert_allclose(draws.std(axis=0), std, rtol=0.06)
    np.testing.assert_allclose(trace.posterior["double"], 2 * trace.posterior["slopes"])
    # The data are those of the model.
    assert trace.observed_data["observed"].shape == (NUM_ROWS,)
    assert len(trace.posterior.data_vars) == 2


def run(model: pm.Model, **options: Any) -> Any:
    return by.sample(5, tune=5, chains=1, model=model, random_seed=1, progressbar=False, **options)


@pytest.mark.slow
def test_results_of_rows_are_of_all_rows(model: pm.Model) -> None:
    trace = run(model)
    assert trace.posterior["mean"].shape == (1, 5, NUM_ROWS)
    attrs = trace.attrs | trace.sample_stats.attrs | trace.posterior.attrs
    assert attrs["compression"] == "none"
    message = re.escape(
        "`compress=True` must come with results that do not depend on rows, got 'mean'."
    )
    with pytest.raises(ValueError, match=rf"^{message}\nHint: leave them out of `var_names`"):
        run(model, compress=True)


def test_new_data_are_counted_anew(model: pm.Model) -> None:
    before = {"x": model["x"].get_value(), "y": model["y"].get_value()}
    try:
        by.set_data({"x": np.zeros(50), "y": np.zeros(50)}, model)
        trace = run(model, var_names=["slopes"])
        attrs = trace.attrs | trace.sample_stats.attrs | trace.posterior.attrs
        assert attrs["compression"] == "50 rows as 1 distinct, each counted"
    finally:
        by.set_data(before, model)


def test_wrong_values_are_refused(model: pm.Model) -> None:
    with pytest.raises(
        ValueError, match=r'^`compress` must be "auto", True or False, got 2\.\nHint: '
    ):
        run(model, compress=2)
