"""by.fit_many: each data set has the fit that it has alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr

import bayou as by
from bayou.batching.batched import program_of_rows
from bayou.fitting import method_choice
from bayou.many.data_sets.pending import seed_of


@pytest.fixture(scope="module")
def model() -> pm.Model:
    """Return a mean with its data."""
    with pm.Model() as model:
        y = by.Data("y", [0.0, 1.0, 2.0], dims="row", coords={"row": ["a", "b", "c"]})
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("observed", mu, 1, observed=y, dims="row")
    return model


def fit_many(data: Any, model: pm.Model, **settings: Any) -> xr.DataTree:
    return by.fit_many(
        data, model=model, **{"random_seed": 1, "draws": 200, "progressbar": False} | settings
    )


DATA = {"one": {"y": [1.0, 2.0, 3.0]}, "two": {"y": [5.0, 4.0, 6.0, 5.0]}}


def test_fits_are_those_of_one_data_set_at_a_time(model: pm.Model) -> None:
    tree = fit_many(DATA, model)
    assert tree.posterior.sizes == {"dataset": 2, "chain": 1, "draw": 200}
    by.set_data(DATA["one"], coords={"row": ["a", "b", "c"]}, model=model)
    seed = seed_of("one", 1)
    alone = by.fit(model=model, random_seed=seed, progressbar=False)
    np.testing.assert_array_equal(
        tree.posterior["mu"].sel(dataset="one"), alone.draws(200, random_seed=seed)["mu"]
    )
    table = tree["diagnostics"].to_dataset()
    assert table["khat"].sel(dataset="one") == alone.khat(200, random_seed=seed)
    assert table["num_row"].values.tolist() == [3, 4]
    assert table["converged"].values.tolist() == [1, 1]


def test_the_model_has_its_own_data_again(model: pm.Model) -> None:
    held, coords = model["y"].get_value(), dict(model.coords)
    with pytest.warns(UserWarning, match="1 of 3 data sets failed: 'bad'"):
        tree = fit_many({"bad": {"y": [np.inf]}, **DATA}, model)
    assert "density" in str(tree["diagnostics"]["error"].sel(dataset="bad").item())
    np.testing.assert_array_equal(model["y"].get_value(), held)
    assert model.coords == coords


def test_other_lengths_compile_nothing(model: pm.Model) -> None:
    fit_many(DATA, model)
    found = program_of_rows(model)
    assert found is not None
    compiled = found[1].compiled
    sizes = compiled.num_compilations()
    fit_many({"other": {"y": np.arange(7.0)}}, model)
    assert compiled.num_compilations() == sizes
    assert {1} <= set(sizes.values())


def test_out_goes_on(model: pm.Model, tmp_path: Path) -> None:
    fit_many({"one": DATA["one"]}, model, out=tmp_path / "fits.zarr")
    found = fit_many(DATA, model, out=tmp_path / "fits.zarr")
    expected = fit_many(DATA, model)
    xr.testing.assert_equal(found["posterior"].to_dataset(), expected["posterior"].to_dataset())
    with pytest.raises(ValueError, match="got another fit"):
        fit_many(DATA, model, out=tmp_path / "fits.zarr", method="fullrank_advi")


def test_refusals(model: pm.Model) -> None:
    with pytest.raises(ValueError, match="`draws` must be a whole number of at least 100"):
        fit_many(DATA, model, draws=10)
    with pytest.raises(ValueError, match="`random_seed` must be None, a whole number"):
        fit_many(DATA, model, random_seed=-1)
    with pytest.raises(ValueError, match=r"^`method` must be one of .*, got 'guess'"):
        fit_many(DATA, model, method="guess")
    with pytest.raises(ValueError, match=r"^`n` must be a whole number of at least 1, got 0"):
        fit_many(DATA, model, n=0)


def test_ctrl_c_keeps_the_fits_that_are_done(
    model: pm.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {key: {"y": [float(number), 1.0]} for number, key in enumerate("abc")}
    expected = fit_many(data, model)
    real, count = method_choice.fit_fixed_draws, 0

    def interrupted(task: Any, max_iterations: Any) -> Any:
        nonlocal count
        count += 1
        fit = real(task, max_iterations)
        return replace(fit, interrupted=count == 2, converged=count != 2)

    monkeypatch.setattr(method_choice, "fit_fixed_draws", interrupted)
    with pytest.warns(UserWarning, match=r"stopped the call after 1 of 3 data sets\.\nHint: pass"):
        tree = fit_many(data, model)
    assert tree.posterior["dataset"].values.tolist() == ["a"]
    xr.testing.assert_equal(tree.posterior["mu"], expected.posterior["mu"].sel(dataset=["a"]))


def test_a_density_that_is_no_number_costs_no_fit(
    model: pm.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> float:
        raise ValueError("nan at 1 of 200")

    monkeypatch.setattr(by.Fit, "khat", fail)
    with pytest.warns(by.ConvergenceWarning, match="1 with k-hat above 0.7"):
        tree = fit_many({"one": DATA["one"]}, model)
    assert tree["diagnostics"]["error"].values.tolist() == [""]
    assert np.isinf(tree["diagnostics"]["khat"].values).all()
    assert float(tree.posterior["mu"].mean()) == pytest.approx(2, abs=0.2)
