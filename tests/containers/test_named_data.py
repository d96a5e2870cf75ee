"""bayou.dims.Data: the container of bayou.Data, with names for its axes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pymc.dims as pmd
import pytest
import scipy.sparse
import xarray as xr

import bayou as by
import bayou.dims

FLIGHTS = pd.DataFrame(
    {"hour": [5, 6, 7], "distance": [227.0, 1416.0, 300.0], "carrier": ["UA", "AA", "UA"]}
)


def message(*lines: str) -> str:
    return re.escape("\n".join(lines))


def test_axes_are_known_by_name_and_the_container_is_plain() -> None:
    with pm.Model() as model:
        x = bayou.dims.Data("x", FLIGHTS, columns=["hour", "distance"], dims=("flight", "feature"))
        carrier = bayou.dims.Data(
            "carrier", FLIGHTS, columns="carrier", dims="flight", categories="carriers"
        )
    assert (x.dims, x.name) == (("flight", "feature"), "x")
    assert carrier.dims == ("flight",)
    assert x.owner.inputs == [model["x"]]
    assert model.coords["feature"] == ("hour", "distance")
    assert model.coords["carriers"] == ("AA", "UA")
    np.testing.assert_array_equal(model["carrier"].get_value(), [1, 0, 1])
    by.set_data(FLIGHTS.iloc[:2, ::-1], model)
    np.testing.assert_array_equal(x.values.eval(), [[5, 227], [6, 1416]])


def test_rows_of_a_source_move_on() -> None:
    with pm.Model() as model:
        x = bayou.dims.Data("x", by.source({"x": np.arange(6)}), dims="row", in_memory_size=2)
    model["x"].update_shared()
    np.testing.assert_array_equal(x.values.eval(), [2, 3])


def test_rows_with_missing_values_are_dropped() -> None:
    table = {"x": [1.0, np.nan, 3.0], "y": [1, 2, 3]}
    with pm.Model():
        y = bayou.dims.Data("y", table, columns="y", dims="row")
        x = bayou.dims.Data("x", table, columns="x", dims="row", missing="drop")
    np.testing.assert_array_equal(x.values.eval(), [1, 3])
    np.testing.assert_array_equal(y.values.eval(), [1, 3])


def test_dims_may_come_with_the_value() -> None:
    index = pd.Index(["p", "q"], name="flight")
    with pm.Model() as model:
        of_array = bayou.dims.Data("a", xr.DataArray(np.zeros((2, 3)), dims=("u", "v")))
        same = bayou.dims.Data("b", xr.DataArray(np.zeros(2), dims="u"), dims="u")
        of_index = bayou.dims.Data("c", pd.Series([1.0, 2], index), export_index_as_coords=True)
        scalars = [bayou.dims.Data(f"s{i}", s) for i, s in enumerate((3.0, np.array(2)))]
    assert (of_array.dims, same.dims, of_index.dims) == (("u", "v"), ("u",), ("flight",))
    assert [scalar.dims for scalar in scalars] == [(), ()]
    assert model.coords["flight"] == ("p", "q")


@pytest.mark.parametrize(
    ("value", "arguments", "expected"),
    [
        ([1.0, 2.0], {}, "None"),
        ([[1.0, 2.0]], {"dims": ("row", None)}, "('row', None)"),
        (FLIGHTS, {"columns": "hour"}, "None"),
    ],
)
def test_each_axis_has_a_name(value: Any, arguments: dict[str, Any], expected: str) -> None:
    with pm.Model() as model:
        error = message(
            "`dims` of data container 'x' must name each axis in a model of pymc.dims, got "
            f"{expected}.",
            "Hint: pass `dims=('row', ...)`, one name for each axis.",
        )
        with pytest.raises(ValueError, match=error):
            bayou.dims.Data("x", value, **arguments)
    assert (model.data_vars, model.coords) == ([], {})


def test_dims_are_those_of_an_array_that_has_them() -> None:
    with pm.Model():
        error = message(
            "`dims` of data container 'x' must be those of the DataArray, ('u', 'v'), got "
            "('v', 'u').",
            "Hint: leave them out, or bring the array to them with `.transpose` or `.rename`.",
        )
        with pytest.raises(ValueError, match=error):
            bayou.dims.Data("x", xr.DataArray(np.zeros((2, 3)), dims=("u", "v")), dims=("v", "u"))


def test_missing_values_are_not_imputed() -> None:
    with pm.Model():
        error = message(
            "`missing` must be 'refuse' or 'drop' in a model of pymc.dims, which imputes nothing, "
            "got 'impute'.",
            "Hint: observe such values with bayou.Data and a distribution of pymc itself.",
        )
        with pytest.raises(ValueError, match=error):
            bayou.dims.Data("x", {"x": [1.0, np.nan]}, columns="x", dims="row", missing="impute")


def test_sparse_matrices_are_those_of_plain_containers() -> None:
    matrix = scipy.sparse.csr_matrix(np.eye(3))
    with pm.Model() as model:
        with pytest.raises(TypeError, match=message("`value` of data container 'x' must be dense")):
            bayou.dims.Data("x", matrix, dims=("row", "k"))
        x = by.Data("x", matrix, dims=("row", "k"))
        slopes = pmd.Normal("slopes", dims="k")
        mean = pmd.as_xtensor(x @ slopes.values, dims="row")
        pmd.Normal("o", mean, 1, observed=bayou.dims.Data("y", np.ones(3), dims="row"))
    fit = by.fit(model=model, random_seed=1, progressbar=False)
    np.testing.assert_allclose(fit.mean["slopes"], 0.5, atol=0.01)


def test_a_model_is_needed() -> None:
    with pytest.raises(TypeError, match=r"`model` must be passed outside of a `with model:` block"):
        bayou.dims.Data("x", [1.0], dims="row")
