"""Names, dims and labels of a new container: from arguments, the model and an index."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from pymc.exceptions import ShapeError

from bayou.containers.data import Data
from tests.containers.helpers import FLIGHTS, TABLE, data_refuses


def test_taken_names_are_refused() -> None:
    data_refuses(
        ValueError,
        "`name` must be new to the model, got 'taken', the name of a variable",
        name="taken",
        value=[1.0],
        dims="new",
    )
    data_refuses(ValueError, "got 'row', the name of a dim", name="row", value=[1.0])
    data_refuses(TypeError, "`name` must be a string, got a list", name=[1.0], value=[1.0])
    with pm.Model(), pm.Model("sub"):
        Data("x", [1.0])
        with pytest.raises(ValueError, match="`name` must be new to the model, got 'sub::x'"):
            Data("x", [1.0])


def test_a_name_with_a_slash_is_refused() -> None:
    words = r"`name` must have no slash, got 'miles/h': .*\.\nHint: write 'miles_h'\."
    with pm.Model(), pytest.raises(ValueError, match=words):
        Data("miles/h", [1.0])


def test_some_axes_have_no_dim() -> None:
    with pm.Model() as model:
        Data("x", np.ones((2, 3)), dims=(None, "column"))
        pm.Normal("b", dims="column")
        constant = pm.sample_prior_predictive(1)["constant_data"]["x"]
    assert model.named_vars_to_dims["x"] == (None, "column")
    assert constant.dims[1] == "column"


def test_no_named_dim_is_no_dims() -> None:
    with pm.Model() as model:
        Data("x", np.ones((2, 3)), dims=(None, None))
    assert "x" not in model.named_vars_to_dims
    assert "x" in copy.copy(model).named_vars


def test_dims_of_the_model_are_shared() -> None:
    with pm.Model(coords={"origin": ["EWR", "JFK"]}) as model:
        Data("x", [1.0, 2.0], dims="origin")
        Data("y", [3.0, 4.0], dims=["origin"], coords={"origin": ["EWR", "JFK"]})
    assert model.coords["origin"] == ("EWR", "JFK")


def test_rank_and_dims_must_agree() -> None:
    data_refuses(
        ShapeError,
        r"`dims` of data container 'x' must name each axis of the value, got \('row',\) for a "
        r"value of shape \(2, 3\)",
        value=np.ones((2, 3)),
        dims="row",
    )
    data_refuses(
        ShapeError, r"got \('a', 'b'\) for a value of shape \(\)", value=1.0, dims=("a", "b")
    )


def test_length_must_be_that_of_the_models_dim() -> None:
    text = r"The dim '{}' has length {} in the model, got a value of shape \(4, 1\)"
    value = np.ones((4, 1))
    data_refuses(ShapeError, text.format("origin", 2), value=value, dims=("origin", "new"))
    data_refuses(ShapeError, text.format("row", 3), value=value, dims=("row", "new"))


@pytest.mark.parametrize("dim", ["chain", "draw", "__sample__", "taken", "x"])
def test_dims_with_taken_names_are_refused(dim: str) -> None:
    data_refuses(
        ValueError,
        f"`dims` of data container 'x' must not be the names of variables, .* got '{dim}'",
        value=np.ones((2, 2)),
        dims=("new", dim),
    )


def test_other_wrong_dims_are_refused() -> None:
    value = np.ones((2, 2))
    data_refuses(ValueError, r"must differ, got \('a', 'a'\)", value=value, dims=("a", "a"))
    data_refuses(TypeError, r"must be strings or None, got \('a', 2\)", value=value, dims=("a", 2))
    data_refuses(
        TypeError,
        r"`dims` of data container 'x' must be strings or None, got \(5,\)",
        value=[1],
        dims=5,
    )


@pytest.mark.parametrize(
    "labels",
    [
        ["a", "b"],
        ("a", "b"),
        np.array(["a", "b"]),
        pd.Index(["a", "b"]),
        pd.Series(["a", "b"]),
        xr.DataArray(["a", "b"]),
    ],
)
def test_coords_of_any_kind_label_a_dim(labels: Any) -> None:
    with pm.Model() as model:
        Data("x", [1.0, 2.0], dims="row", coords={"row": labels})
        pm.Normal("b", dims="row")
        results = pm.sample_prior_predictive(1)
    assert model.coords["row"] == ("a", "b")
    assert results["prior"]["b"].coords["row"].values.tolist() == ["a", "b"]


def test_dates_stay_dates() -> None:
    dates = np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[ns]")
    with pm.Model():
        Data("x", [1.0, 2.0], dims="day", coords={"day": dates})
        Data("y", pd.Series([1.0, 2.0], index=dates), dims="day", export_index_as_coords=True)
        pm.Normal("b", dims="day")
        results = pm.sample_prior_predictive(1)
    np.testing.assert_array_equal(results["prior"].coords["day"].values, dates)


def test_coords_label_a_dim_that_had_none() -> None:
    with pm.Model() as model:
        Data("x", [1.0, 2.0], dims="row")
        Data("y", [1.0, 2.0], dims="row", coords={"row": ["a", "b"]})
    assert model.coords["row"] == ("a", "b")


def test_wrong_coords_are_refused() -> None:
    value = np.ones((2, 4))
    data_refuses(
        ShapeError,
        r"`coords\['column'\]` of data container 'x' must fit the value of shape \(2, 4\), got 3 ",
        value=value,
        dims=("new", "column"),
        coords={"column": ["a", "b", "c"]},
    )
    data_refuses(
        ValueError,
        r"`coords` must label dims of data container 'x', which are \('new', None\), got 'origin'",
        value=value,
        dims=("new", None),
        coords={"origin": ["EWR", "JFK"]},
    )
    data_refuses(
        ValueError, r"which are \(None, None\), got 'a'", value=value, coords={"a": [1, 2]}
    )
    data_refuses(
        ValueError,
        "The dim 'origin' must have one set of labels, got 'JFK' and 'LGA' at position 1",
        value=value,
        dims=("origin", "new"),
        coords={"origin": ["EWR", "LGA"]},
    )
    data_refuses(TypeError, "`coords` must map dims to labels, got a list", value=[1], coords=[1])


@pytest.mark.parametrize("labels", ["ab", None, 3, {1, 2}, {"a": 1, "b": 2}, iter("ab")])
def test_labels_must_be_a_sequence(labels: Any) -> None:
    data_refuses(
        TypeError,
        r"`coords\['row'\]` must be a sequence of labels, got ",
        value=[1.0, 2.0],
        dims="row",
        coords={"row": labels},
    )


def test_index_and_columns_become_coords_by_dims() -> None:
    with pm.Model() as model:
        Data("x", TABLE, dims=("row", "column"), export_index_as_coords=True)
    assert model.coords == {"row": (7, 9), "column": ("distance", "hour")}
    assert model.named_vars_to_dims["x"] == ("row", "column")


def test_index_and_columns_become_coords_by_their_names() -> None:
    with pm.Model() as model:
        Data("x", TABLE, export_index_as_coords=True)
        Data("y", FLIGHTS.rename_axis("other"), export_index_as_coords=True)
    assert model.coords == {
        "flight": (7, 9),
        "feature": ("distance", "hour"),
        "other": ("a", "b", "c"),
    }
    assert model.named_vars_to_dims["x"] == ("flight", "feature")
    assert model.named_vars_to_dims["y"] == ("other",)


def test_names_fill_in_for_dims_that_are_none() -> None:
    with pm.Model() as model:
        Data("x", TABLE, dims=(None, "column"), export_index_as_coords=True)
        Data(
            "y", TABLE.rename_axis(columns=None), dims=("flight", None), export_index_as_coords=True
        )
    assert model.coords == {"flight": (7, 9), "column": ("distance", "hour")}
    assert model.named_vars_to_dims["y"] == ("flight", None)


def test_without_export_the_index_is_left() -> None:
    with pm.Model() as model:
        Data("x", TABLE, dims=("row", "column"))
    assert model.coords == {"row": None, "column": None}


def test_index_labels_a_dim_that_had_none() -> None:
    with pm.Model() as model:
        Data("x", [1.0, 2.0, 3.0], dims="flight")
        Data("y", FLIGHTS, export_index_as_coords=True)
    assert model.coords == {"flight": ("a", "b", "c")}


def test_the_same_index_twice_agrees_with_itself() -> None:
    index = pd.Index([1.0, np.nan], name="row")
    with pm.Model() as model:
        Data("x", pd.Series([1, 2], index=index), export_index_as_coords=True)
        Data("y", pd.Series([3, 4], index=index), export_index_as_coords=True)
        Data(
            "z", pd.Series([3, 4], index=index), coords={"row": index}, export_index_as_coords=True
        )
    assert len(model.coords["row"]) == 2


@pytest.mark.parametrize(
    "index",
    [
        pd.date_range("2020-01-01", periods=2),
        pd.timedelta_range("1D", periods=2),
        pd.CategoricalIndex(["a", "b"]),
        pd.Index([1.5, 2.5]),
        pd.Index([True, False]),
        pd.RangeIndex(2),
    ],
)
def test_indices_of_one_level_show_in_results(index: pd.Index) -> None:
    with pm.Model():
        Data("x", pd.Series([1.0, 2.0], index=index), dims="row", export_index_as_coords=True)
        pm.Normal("b", dims="row")
        results = pm.sample_prior_predictive(1)
    assert (pd.Index(results["prior"].coords["row"].values) == pd.Index(index.to_numpy())).all()


def test_multi_index_is_refused_since_no_result_could_hold_it() -> None:
    index = pd.MultiIndex.from_tuples([("EWR", 1), ("JFK", 2)], names=["origin", "month"])
    for dims in (None, "row"):
        data_refuses(
            ValueError,
            r"The index of data container 'x' must have one level, got labels such as \('EWR', 1\)",
            value=pd.Series([1.0, 2.0], index=index),
            dims=dims,
            export_index_as_coords=True,
        )
    with pm.Model(coords={"row": index}):
        pm.Normal("b", dims="row")
        with pytest.raises(ValueError, match="2-dimensional"):
            pm.sample_prior_predictive(1)


def test_neither_dims_nor_a_name_is_refused() -> None:
    data_refuses(
        ValueError,
        "`export_index_as_coords` needs dims, got none for the index of data container 'x', "
        r"which has no name either\.\nHint: pass `dims=`, or name it with "
        r"`\.rename_axis\(index='row'\)`",
        value=pd.Series([1.0, 2.0]),
        export_index_as_coords=True,
    )
    data_refuses(
        ValueError,
        "got none for the columns of data container 'x'",
        value=TABLE.rename_axis(columns=None),
        export_index_as_coords=True,
    )
    data_refuses(
        ValueError,
        "got none for the index of data container 'x'",
        value=pd.Series([1.0, 2.0]),
        dims=(None,),
        export_index_as_coords=True,
    )
    data_refuses(
        ValueError,
        "got none for the index",
        value=FLIGHTS.rename_axis(3),
        export_index_as_coords=True,
    )


@pytest.mark.parametrize("value", [[1.0, 2.0], np.ones(2), 1.0])
def test_value_without_an_index_is_refused(value: Any) -> None:
    data_refuses(
        TypeError,
        "`export_index_as_coords` needs a value with an index, got an array for data container 'x'",
        value=value,
        export_index_as_coords=True,
    )


def test_index_that_contradicts_coords_is_refused() -> None:
    table = TABLE.set_axis(["EWR", "LGA"])
    data_refuses(
        ValueError,
        "The dim 'origin' must have one set of labels, got 'JFK' and 'LGA' at position 1",
        value=table,
        dims=("origin", "feature"),
        export_index_as_coords=True,
    )
    data_refuses(
        ValueError,
        "The dim 'new' must have one set of labels, got 'JFK' and 'LGA' at position 1",
        value=table,
        dims=("new", "feature"),
        coords={"new": ["EWR", "JFK"]},
        export_index_as_coords=True,
    )


def test_names_of_index_and_columns_must_differ() -> None:
    data_refuses(
        ValueError,
        r"`dims` of data container 'x' must differ, got \('flight', 'flight'\)",
        value=TABLE.rename_axis(columns="flight"),
        export_index_as_coords=True,
    )
