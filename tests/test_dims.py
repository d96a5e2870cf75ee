"""Models of pymc.dims: each verb gives what it gives for the same model written with pymc alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pymc.dims as pmd
import pytest
import xarray as xr
from pytensor.xtensor.signal import convolve1d

import bayou as by
import bayou.dims
from tests.named_models import BY_GEO, LEVELS, NUM_ROWS, PAIRS, X, Y, geos, levels

QUIET: dict[str, Any] = {"random_seed": 1, "progressbar": False}


def assert_same(found: xr.DataTree, expected: xr.DataTree, group: str, tolerance: float) -> None:
    """Check that the variables of a group are the same but for the order of their dims."""
    assert set(found[group].data_vars) == set(expected[group].data_vars)
    for name, values in expected[group].data_vars.items():
        in_order = found[group][name].transpose(*values.dims)
        np.testing.assert_allclose(in_order, values, rtol=0, atol=tolerance, err_msg=name)


def draws(fit: by.Fit) -> xr.DataTree:
    return fit.sample(100, random_seed=1)


@pytest.mark.slow
def test_fit_and_predictions_are_those_of_the_plain_model() -> None:
    named, plain = geos()
    fit, expected = by.fit(model=named, **QUIET), by.fit(model=plain, **QUIET)
    assert_same(draws(fit), draws(expected), "posterior", 1e-10)
    new = {"x": X[:3], "y": np.zeros((3, 2))}
    assert_same(
        by.predict(fit, new, **QUIET),
        by.predict(expected, new, model=plain, **QUIET),
        "predictions",
        1e-10,
    )
    assert by.verify(fit, model=named).matches
    by.set_data({"x": X[:30], "y": BY_GEO[:30]}, named)
    assert not by.verify(fit, model=named).matches


@pytest.mark.slow
def test_fit_in_batches_is_that_of_the_plain_model() -> None:
    named, plain = levels()
    steps: dict[str, Any] = {"batch_size": 20, **QUIET}
    fit, expected = by.fit(200, model=named, **steps), by.fit(200, model=plain, **steps)
    assert_same(draws(fit), draws(expected), "posterior", 1e-10)


def test_batches_are_of_the_dim_of_the_rows() -> None:
    named, _ = levels()
    batched = by.batched(named, batch_size=7)
    assert batched["o"].shape.eval() == [7]
    assert batched.named_vars_to_dims["o"] == ("row",)


# The densities of all pairs are compared in tests/models/plain.
@pytest.mark.slow
@pytest.mark.parametrize("name", ["levels", "multivariate"])
def test_any_fit_is_that_of_the_plain_model(name: str) -> None:
    named, plain = PAIRS[name]()
    fit, expected = by.fit(model=named, **QUIET), by.fit(model=plain, **QUIET)
    assert_same(draws(fit), draws(expected), "posterior", 1e-8)


@pytest.mark.slow
def test_chains_have_the_posterior_in_closed_form() -> None:
    with pm.Model(coords={"row": range(NUM_ROWS)}) as model:
        x, y = pmd.Data("x", X[:, 0], dims="row"), bayou.dims.Data("y", Y, dims="row")
        pmd.Normal("o", pmd.Normal("slope") * x, 1.0, observed=y)
    chains = by.sample(model=model, draws=1000, tune=500, chains=2, **QUIET)
    precision = 1 + (X[:, 0] ** 2).sum()
    slope, sd = chains.posterior["slope"], precision**-0.5
    np.testing.assert_allclose(slope.mean(), X[:, 0] @ Y / precision, atol=0.15 * sd)
    np.testing.assert_allclose(slope.std(), sd, rtol=0.15)
    assert by.verify(chains, model=model).matches


def test_description_has_containers_dims_and_columns() -> None:
    table = {"y": Y, "level": np.array(list("wxyz"))[LEVELS]}
    with pm.Model() as model:
        y = bayou.dims.Data("y", table, columns="y", dims="row")
        level = bayou.dims.Data("level_of", table, columns="level", dims="row", categories="level")
        effect = pmd.Normal("effect", dims="level")
        pmd.Normal("o", effect.isel(level=level), observed=y)
    text = str(by.describe(model))
    assert re.search(r"level_of +input +level +row 60", text)
    assert re.search(r"\by +observed +y +row 60", text)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Results of 2 of 2:bayou.ConvergenceWarning")
def test_many_data_sets_are_fitted_as_those_of_the_plain_model() -> None:
    named, plain = levels()
    halves = {
        half: {"level_of": LEVELS[rows], "x": X[rows, 0], "y": Y[rows]}
        for half, rows in (("first", slice(30)), ("second", slice(30, 60)))
    }
    found, expected = (by.fit_many(halves, model=model, **QUIET) for model in (named, plain))
    assert_same(found, expected, "posterior", 1e-8)


def test_codes_that_are_no_levels_are_refused() -> None:
    codes = LEVELS.copy()
    codes[3] = 4
    for data in (pmd.Data, bayou.dims.Data):
        with pm.Model(coords={"row": range(NUM_ROWS), "level": range(4)}) as model:
            level = data("level_of", codes, dims="row")
            effect = pmd.Normal("effect", dims="level")
            y = pmd.as_xtensor(Y, dims="row")
            pmd.Normal("o", effect.isel(level=level), observed=y)
        with pytest.raises(
            IndexError, match=r"'level_of' must hold .* 'effect', .* got 4 in row 3"
        ):
            by.fit(model=model, **QUIET)
        by.set_data({"level_of": LEVELS}, model)
        with pytest.raises(
            IndexError, match=r"'level_of' must hold .* 'effect', .* got 4 in row 3"
        ):
            by.set_data({"level_of": codes}, model)


@pytest.mark.parametrize("dims", [("row", "geo"), ("geo", "row")])
def test_rows_are_found_by_the_name_of_their_dim(dims: tuple[str, str]) -> None:
    def panel(dims: tuple[str, str]) -> pm.Model:
        with pm.Model(coords={"row": range(NUM_ROWS), "geo": range(2)}) as model:
            x = pmd.Data("x", X[:, 0], dims="row")
            y = pmd.Data("y", BY_GEO if dims[0] == "row" else BY_GEO.T, dims=dims)
            pmd.Normal("o", pmd.Normal("slope", dims="geo") * x, 1.0, observed=y)
        return model

    expected = by.batched(panel(("row", "geo")), batch_size=10, batch_dim="row")
    found = by.batched(panel(dims), batch_size=10, batch_dim="row")
    assert found.named_vars_to_dims["o"] == ("row", "geo")
    point = {"slope": np.array([0.5, -1.0])}
    densities = [
        model.compile_fn(model.logp(), inputs=model.value_vars)(point)
        for model in (found, expected)
    ]
    np.testing.assert_allclose(*densities)


def adstocked() -> pm.Model:
    """Return a model in which the spending of a row has its effect in later rows too."""
    with pm.Model(coords={"row": range(NUM_ROWS), "lag": range(3)}) as model:
        spending = pmd.Data("spending", np.abs(X[:, 0]), dims="row")
        lag = pmd.as_xtensor(np.arange(3.0), dims="lag")
        weights = pmd.Beta("retention", 1, 3) ** lag
        before = pmd.as_xtensor(np.zeros(2), dims="row")
        padded = pmd.concat([before, spending], dim="row")
        effect = convolve1d(padded, weights / weights.sum("lag"), mode="valid", dims=("row", "lag"))
        saturated = pmd.math.tanh(effect * pmd.HalfNormal("saturation"))
        pmd.Deterministic("contribution", saturated)
        pmd.Normal("sales", saturated, 0.5, observed=pmd.Data("y", Y, dims="row"))
    return model


def test_carry_over_along_the_rows_is_refused_in_batches() -> None:
    with pytest.raises(
        ValueError, match=r"density of 'sales' .* a convolution and a shift of rows"
    ):
        by.fit(model=adstocked(), batch_size=10, **QUIET)


@pytest.mark.slow
def test_carry_over_is_fitted_on_all_rows_and_predicted() -> None:
    model = adstocked()
    fit = by.fit(model=model, **QUIET)
    new = {"spending": np.array([1.0, 0.0, 0.0, 0.0, 0.0]), "y": np.zeros(5)}
    predicted = by.predict(fit, new, var_names="contribution", **QUIET)["predictions"]
    means = predicted["contribution"].mean(("chain", "draw")).to_numpy()
    # An effect of one row lasts for three.
    assert means.shape == (5,)
    np.testing.assert_array_equal(means[3:], 0)
    assert means[0] > means[1] > means[2] > 0


@pytest.mark.slow
def test_saved_fit_of_rows_on_another_axis_loads(tmp_path: Path) -> None:
    def panel() -> pm.Model:
        with pm.Model(coords={"row": range(NUM_ROWS), "geo": range(2)}) as model:
            x = pmd.Data("x", X[:, 0], dims="row")
            y = pmd.Data("y", BY_GEO.T, dims=("geo", "row"))
            pmd.Normal("o", pmd.Normal("slope", dims="geo") * x, 1.0, observed=y)
        return model

    fit = by.fit(100, model=panel(), batch_size=10, batch_dim="row", **QUIET)
    fit.save(tmp_path / "fit")
    loaded = by.load(tmp_path / "fit", model=panel())
    assert_same(draws(loaded), draws(fit), "posterior", 0)
    precision = 1 + (X[:, 0] ** 2).sum()
    expected = X[:, 0] @ BY_GEO / precision
    np.testing.assert_allclose(fit.mean["slope"], expected, atol=1 / np.sqrt(precision))


def test_values_without_axes_that_are_viewed_are_fitted_and_predicted() -> None:
    with pm.Model(coords={"row": range(20)}) as model:
        y = bayou.dims.Data("y", np.linspace(0, 1, 20), dims="row")
        b = pmd.Normal("b")
        twice = pmd.Deterministic("twice", 2 * b)
        pm.Deterministic("total", (twice * y).sum())
        pmd.Normal("o", twice, 1, observed=y)
    fit = by.fit(model, random_seed=1, progressbar=False)
    # A normal of precision 1 + 20 x 4 around 20 x 2 x 0.5 / 81.
    assert float(fit.mean["b"]) == pytest.approx(20 / 81, abs=0.005)
    new = {"y": np.ones(3)}
    found = by.predict(fit, new, var_names=["twice", "total"], draws=4, progressbar=False)
    predictions = found["predictions"]
    np.testing.assert_allclose(predictions["total"], 3 * predictions["twice"])
