"""by.fit by default against known posteriors: the small versions of benchmarks/quality.py."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def quality(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("quality")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["contextual", "centred", "noncentred", "normal"])
def test_default_fit_is_near_the_truth(quality: ModuleType, name: str) -> None:
    case = quality.CASES[name]
    fit = by.fit(model=case.model(), random_seed=1, progressbar=False)
    errors = quality.measure(quality.fit_moments(fit), case.truth())
    assert errors.within(case.limits, seconds=0), errors


def gamma_poisson() -> tuple[pm.Model, float, float]:
    with pm.Model() as model:
        exposure = by.Data("exposure", [0.0, 1.0, 2.0], dims="row")
        deaths = by.Data("deaths", [0, 1, 3], dims="row")
        rate = pm.Gamma("x", 1, 1)
        pm.Poisson("o", exposure * rate, observed=deaths, dims="row")
    # Gamma(5, 4).
    return model, 5 / 4, 5**0.5 / 4


def variance_of_normals() -> tuple[pm.Model, float, float]:
    values = np.random.default_rng(0).normal(0, 2, 80)
    with pm.Model() as model:
        y = by.Data("y", values, dims="row")
        pm.Normal("o", 0, pm.InverseGamma("x", 3, 4) ** 0.5, observed=y, dims="row")
    shape, scale = 3 + 80 / 2, 4 + (values**2).sum() / 2
    return model, scale / (shape - 1), scale / (shape - 1) / (shape - 2) ** 0.5


def beta_binomial() -> tuple[pm.Model, float, float]:
    with pm.Model() as model:
        successes = by.Data("successes", [30, 12], dims="row")
        pm.Binomial("o", 50, pm.Beta("x", 1, 1), observed=successes, dims="row")
    # Beta(43, 59).
    return model, 43 / 102, (43 * 59 / 102**2 / 103) ** 0.5


def mean_of_normals() -> tuple[pm.Model, float, float]:
    with pm.Model() as model:
        y = by.Data("y", [1.0, 2.0, 4.0], dims="row")
        pm.Normal("o", pm.Normal("x", 0, 3), 1, observed=y, dims="row")
    return model, 7 / (3 + 1 / 9), (3 + 1 / 9) ** -0.5


@pytest.mark.parametrize(
    "conjugate",
    [
        pytest.param(gamma_poisson, marks=pytest.mark.slow),
        variance_of_normals,
        beta_binomial,
        mean_of_normals,
    ],
)
def test_conjugate_moments_are_those_of_the_model(conjugate: Any) -> None:
    model, mean, sd = conjugate()
    draws = by.fit(model=model, random_seed=1, progressbar=False).sample(20_000, random_seed=2)
    values = draws.posterior["x"].to_numpy()
    assert values.mean() == pytest.approx(mean, abs=0.03 * sd)
    assert values.std() == pytest.approx(sd, rel=0.03)


@pytest.mark.slow
def test_gammas_of_rows_have_their_moments_in_batches() -> None:
    rates = np.random.default_rng(2).gamma(4, 1, 100)
    values = np.random.default_rng(1).poisson(rates)
    with pm.Model():
        counts = by.Data("counts", values, dims="row")
        # Known almost exactly, so that the posterior of a row is a gamma.
        rate = pm.Gamma("rate", 10_000, 10_000)
        x = pm.Gamma("x", 4, rate, dims="row")
        pm.Poisson("o", x, observed=counts, dims="row")
        fit = by.fit(batch_size=50, random_seed=1, progressbar=False)
    draws = fit.sample(4000, random_seed=2).posterior["x"]
    shape = 4 + values
    means, sds = (each(("chain", "draw")).to_numpy() for each in (draws.mean, draws.std))
    np.testing.assert_allclose(means / (shape / 2), 1, atol=0.06)
    np.testing.assert_allclose(sds / (shape**0.5 / 2), 1, atol=0.12)
    assert float(np.mean(sds / (shape**0.5 / 2))) == pytest.approx(1, abs=0.02)


def test_flights_have_143_parameters_and_their_cells_the_same_posterior(
    quality: ModuleType,
) -> None:
    single, cells = quality.models.late_flights(), quality.models.late_flight_cells()
    names = {variable.name for variable in cells.value_vars}
    assert names == {variable.name for variable in single.value_vars}
    assert sum(np.size(value) for value in cells.initial_point().values()) == 143
    truth = quality.stored_truth("flights")
    assert sum(np.size(truth[name]["mean"]) for name in names) == 143
    counted = cells.rvs_to_values[cells["late"]].data
    assert counted.shape == (9461,)
    assert counted.sum() == quality.models.flights()["late"].sum() == 77_630


def test_measure_takes_the_largest_and_the_average_of_what_both_hold(quality: ModuleType) -> None:
    truth = {"a": {"mean": [0.0, 1.0], "sd": [1.0, 2.0]}, "b": {"mean": 5.0, "sd": 1.0}}
    found = {"a": {"mean": [0.0, 2.0], "sd": [1.0, 1.0]}, "b": {"mean": 5.1, "sd": 1.0}, "c": {}}
    errors = quality.measure(found, truth)
    assert (errors.mean, errors.worst_mean) == (0.5, "a")
    assert (errors.std, errors.worst_std) == (0.5, "a")
    assert errors.average_mean == pytest.approx(0.2)
    assert errors.average_std == pytest.approx(0.5 / 3)
    assert np.isnan(errors.quantile)
    truth["a"] |= {"q5": [-1.6, -2.3], "q95": [1.6, 4.3]}
    found["a"] |= {"q5": [-1.6, -2.3], "q95": [1.6, 5.3]}
    assert quality.measure(found, truth).quantile == 0.5
    assert errors.within(quality.Limits(1, 0.5, 0.5), seconds=1)
    assert not errors.within(quality.Limits(1, 0.5, 0.5), seconds=2)
    assert not errors.within(quality.Limits(1, 0.4, 0.5), seconds=1)
    assert not errors.within(quality.Limits(1, 0.5, 0.5, average_std=0.1), seconds=1)


def test_a_fit_that_ends_in_an_error_misses_its_target(
    quality: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality.sys, "executable", "false")
    line, within = quality.judge("bayou", "normal", 1)
    assert not within
    assert "missed: `bayou` must fit normal, got: no message" in line
