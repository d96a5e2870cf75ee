"""What the data sets of a call must give: the same containers, and rows."""

from typing import Any

import pymc as pm
import pytest
import xarray as xr

import bayou as by


@pytest.fixture(scope="module")
def model() -> pm.Model:
    """Return a mean with an offset."""
    with pm.Model() as model:
        y = by.Data("y", [0.0, 1.0], dims="row")
        offset = by.Data("offset", 0.0)
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("observed", mu + offset, 1, observed=y, dims="row")
    return model


def sampled(data: Any, model: pm.Model) -> xr.DataTree:
    return by.sample_many(data, model=model, draws=1000, random_seed=1, progressbar=False)


def fitted(data: Any, model: pm.Model) -> xr.DataTree:
    return by.fit_many(data, model=model, draws=200, random_seed=1, progressbar=False)


GOOD: dict[str, Any] = {"y": [1.0, 2.0], "offset": 1.0}


@pytest.mark.parametrize("run", [sampled, fitted])
def test_data_without_rows_have_failed(model: pm.Model, run: Any) -> None:
    with pytest.warns(UserWarning, match="1 of 2 data sets failed: 'a'"):
        tree = run({"a": {"y": [], "offset": 0.0}, "b": GOOD}, model)
    error = tree["diagnostics"]["error"].sel(dataset="a").item()
    assert error.startswith("ValueError: The data must have at least one row, got none along 'row'")


@pytest.mark.parametrize("order", [1, -1])
def test_a_data_set_that_lacks_what_others_give_has_failed(model: pm.Model, order: int) -> None:
    data = {"a": {"y": [1.0]}, "b": GOOD, "c": GOOD}
    with pytest.warns(UserWarning, match="1 of 3 data sets failed: 'a'"):
        tree = sampled(dict(list(data.items())[::order]), model)
    error = tree["diagnostics"]["error"].sel(dataset="a").item()
    assert "the same containers each, got one without 'offset', which others have" in error


def test_an_iterator_gives_what_its_first_gives(model: pm.Model) -> None:
    with pytest.warns(UserWarning, match="2 of 3 data sets failed: 1, 2"):
        tree = sampled(iter([{"y": [1.0]}, GOOD, {"offset": 2.0}]), model)
    errors = tree["diagnostics"]["error"].values
    assert "with 'offset', which the first does not have" in errors[1]
    assert "without 'y', which others have" in errors[2]


def test_what_no_data_set_gives_is_that_of_the_model(model: pm.Model) -> None:
    tree = sampled({"a": {"y": [1.0]}, "b": {"y": [2.0]}}, model)
    assert (tree["diagnostics"]["error"] == "").all()
