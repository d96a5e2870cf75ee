"""Models of pymc.dims: each verb gives what it gives for the same model written with pymc alone."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pymc as pm
import pymc.dims as pmd
import pytest
import xarray as xr

import bayou as by
import bayou.dims
from tests.named_models import BY_GEO, LEVELS, NUM_ROWS, PAIRS, X, Y, geos, levels, regression

QUIET: dict[str, Any] = {"random_seed": 1, "progressbar": False}


def assert_same(found: xr.DataTree, expected: xr.DataTree, group: str, tolerance: float) -> None:
    """Check that the variables of a group are the same but for the order of their dims."""
    assert set(found[group].data_vars) == set(expected[group].data_vars)
    for name, values in expected[group].data_vars.items():
        in_order = found[group][name].transpose(*values.dims)
        np.testing.assert_allclose(in_order, values, rtol=0, atol=tolerance, err_msg=name)


def draws(fit: by.Fit) -> xr.DataTree:
    return fit.sample(100, random_seed=1)


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
def test_chains_have_the_posterior_of_the_plain_model() -> None:
    named, plain = regression()
    trace = by.sample(model=named, draws=500, tune=500, chains=2, **QUIET).posterior
    expected = by.fit(model=plain, **QUIET).sample(2000, random_seed=1).posterior
    for name in ("intercept", "slopes", "mean"):
        center, spread = (getattr(expected[name], of)(("chain", "draw")) for of in ("mean", "std"))
        assert (abs(trace[name].mean(("chain", "draw")) - center) < 0.25 * spread).all()
        assert (abs(trace[name].std(("chain", "draw")) / spread - 1) < 0.2).all()


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
