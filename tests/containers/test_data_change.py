"""What new data change: lengths and labels of dims, in all containers of a dim."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymc.exceptions import ShapeError

from bayou.containers.data import Data
from bayou.containers.data_change import plan_change
from bayou.containers.set_data import set_data
from tests.containers.helpers import (
    assert_same,
    contents_of,
    frame_of,
    regression,
    series_of,
    set_data_refuses,
)


@settings(max_examples=25)
@given(st.integers(0, 6), st.integers(0, 6), st.booleans())
def test_every_length_follows(first: int, second: int, labelled: bool) -> None:
    with pm.Model() as model:
        x = Data("x", [1.0, 2.0], dims="row")
        b = pm.Normal("b", dims="row")
        for length in (first, second):
            labels = [f"row {k}" for k in range(length)]
            coords = {"row": labels} if labelled else None
            set_data({"x": np.ones(length)}, coords=coords)
            assert x.get_value().shape == b.eval().shape == (length,)
            assert model.coords["row"] == (tuple(labels) if labelled else None)


def test_axes_without_a_dim_resize_freely() -> None:
    with pm.Model() as model:
        Data("x", np.ones((2, 3)), dims=(None, "column"))
        set_data({"x": np.ones((4, 3))})
    assert model["x"].get_value().shape == (4, 3)


def test_containers_of_nested_models_share_dims() -> None:
    with pm.Model() as model:
        Data("y", [1.0, 2.0], dims="row")
        with pm.Model("sub") as sub:
            Data("x", [1.0, 2.0], dims="row")
    set_data_refuses(sub, ShapeError, "got 2 in 'y', 3 in 'sub::x'", {"x": [1.0, 2.0, 3.0]})
    set_data({"sub::x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0]}, model=model)


def test_changed_rank_is_refused() -> None:
    set_data_refuses(
        regression(),
        ShapeError,
        r"`new_data\['y'\]` must have as many axes as its container, 1, got a value of shape \(3, ",
        {"y": np.ones((3, 1))},
    )


def test_static_shape_holds() -> None:
    with pm.Model() as model:
        pm.Data("x", np.ones((1, 2)), shape=(1, None))
    set_data({"x": np.ones((1, 5))}, model=model)
    set_data_refuses(
        model,
        ShapeError,
        r"must fit the static shape \(1, None\) of its container, got a value of shape \(2, 2\)",
        {"x": np.ones((2, 2))},
    )


def test_containers_that_share_a_dim_change_together() -> None:
    model = regression()
    text = "share the dim 'row' must agree in its length, got {} in 'x', {} in 'y'"
    set_data_refuses(model, ShapeError, text.format(5, 3), {"x": np.ones((5, 2))})
    set_data_refuses(model, ShapeError, text.format(3, 5), {"y": np.ones(5)})
    set_data_refuses(model, ShapeError, text.format(5, 4), {"x": np.ones((5, 2)), "y": np.ones(4)})


def test_order_of_containers_does_not_matter() -> None:
    model = regression()
    set_data({"y": np.ones(5), "x": np.ones((5, 2))}, model=model)
    assert model.dim_lengths["row"].eval() == 5


def test_axes_of_one_container_that_share_no_dim_do_not_meet() -> None:
    with pm.Model() as model:
        Data("x", np.ones((2, 2)), dims=("a", "b"))
        set_data({"x": np.ones((3, 4))})
    assert [int(length.eval()) for length in model.dim_lengths.values()] == [3, 4]


def test_dim_of_the_models_coords_is_resized() -> None:
    with pm.Model(coords={"row": range(2)}) as model:
        Data("x", [1.0, 2.0], dims="row")
        b = pm.Normal("b", dims="row")
        set_data({"x": np.ones(4)})
    assert model.coords["row"] == (0, 1, 2, 3)
    assert b.eval().shape == (4,)


@pytest.mark.parametrize("length", [pt.constant(3), pt.constant(np.ones(3)).shape[0]])
def test_dim_of_fixed_length_is_not_resized(length: Any) -> None:
    with pm.Model() as model:
        model.add_coord("row", length=length)
        Data("x", np.ones(3), dims="row")
    set_data({"x": np.zeros(3)}, model=model)
    set_data_refuses(
        model,
        ShapeError,
        "The dim 'row' has the fixed length 3, got values of length 4",
        {"x": np.ones(4)},
    )


def test_dim_tied_to_another_container_must_follow_it() -> None:
    with pm.Model() as model:
        n = Data("n", 3)
        model.add_coord("row", length=n)
        Data("x", np.ones(3), dims="row")
    set_data_refuses(
        model, ShapeError, "fixed length 3, got values of length 4", {"n": 3, "x": np.ones(4)}
    )
    set_data({"n": 4, "x": np.ones(4)}, model=model)
    assert model.dim_lengths["row"].eval() == 4


def test_two_dims_with_one_length_stay_one_length() -> None:
    shared = pytensor.shared(3)
    with pm.Model() as model:
        for dim in ("a", "b"):
            model.add_coord(dim, length=shared)
        Data("x", np.ones((3, 3)), dims=("a", "b"))
    set_data_refuses(
        model, ShapeError, "The dim 'b' has the fixed length 4", {"x": np.ones((4, 5))}
    )
    set_data({"x": np.ones((4, 4))}, model=model)
    assert shared.get_value() == 4


def test_coords_stay_where_the_length_does() -> None:
    with pm.Model() as model:
        Data("x", [1.0, 2.0], dims="row", coords={"row": ["a", "b"]})
        set_data({"x": [3.0, 4.0]})
    assert model.coords["row"] == ("a", "b")


def test_coords_label_a_dim_that_had_none() -> None:
    model = regression()
    set_data({"y": [1.0, 2.0, 3.0]}, coords={"row": pd.Index(["a", "b", "c"])}, model=model)
    assert model.coords["row"] == ("a", "b", "c")


def test_labels_that_do_not_count_must_be_given_anew() -> None:
    with pm.Model() as model:
        Data("x", [1.0, 2.0], dims="row", coords={"row": ["a", "b"]})
    set_data_refuses(
        model,
        ValueError,
        r"`coords` must give new labels for the dim 'row', whose 2 labels do not fit the new "
        r"length 3\.\nHint: pass `coords=\{'row': labels\}` with 3 labels\.$",
        {"x": [1.0, 2.0, 3.0]},
    )


def test_coords_must_fit() -> None:
    model = regression()
    value = {"y": [1.0, 2.0, 3.0]}
    set_data_refuses(
        model,
        ShapeError,
        r"`coords\['row'\]` must fit the new length 3, got 2 labels",
        value,
        coords={"row": ["a", "b"]},
    )
    set_data_refuses(
        model,
        ValueError,
        r"must label dims of the containers in `new_data`, which are \('row',\), got 'feature'",
        value,
        coords={"feature": ["a", "b"]},
    )
    set_data_refuses(model, ValueError, r"which are \(\), got 'row'", {}, coords={"row": ["a"]})
    set_data_refuses(
        model, TypeError, "`coords` must map dims to labels, got a list", value, coords=["a"]
    )
    set_data_refuses(
        model, TypeError, "must be a sequence of labels, got 'abc'", value, coords={"row": "abc"}
    )


def test_exported_index_becomes_the_new_coords() -> None:
    with pm.Model() as model:
        x = Data("x", frame_of(["a", "b"]), dims=("row", "column"), export_index_as_coords=True)
        pm.Normal("b", dims="row")
        set_data({"x": frame_of(["c", "d", "e"], ("hour", "month", "day"))})
        results = pm.sample_prior_predictive(1)
    assert model.coords == {"row": ("c", "d", "e"), "column": ("hour", "month", "day")}
    assert x.get_value().shape == (3, 3)
    assert results["prior"]["b"].coords["row"].values.tolist() == ["c", "d", "e"]
    assert results["constant_data"]["x"].coords["column"].values.tolist() == [
        "hour",
        "month",
        "day",
    ]


def test_exported_index_is_new_at_the_same_length() -> None:
    with pm.Model() as model:
        Data("x", series_of(["a", "b"]), export_index_as_coords=True)
        set_data({"x": series_of(["b", "c"])})
    assert model.coords["row"] == ("b", "c")


def test_without_export_the_index_is_left() -> None:
    with pm.Model() as model:
        Data("x", series_of(["a", "b"]), dims="row", coords={"row": ["p", "q"]})
        set_data({"x": series_of(["c", "d"])})
    assert model.coords["row"] == ("p", "q")


def test_given_coords_go_before_the_index() -> None:
    with pm.Model() as model:
        Data("x", series_of(["a", "b"]), export_index_as_coords=True)
        set_data({"x": series_of(["c", "d"])}, coords={"row": ["p", "q"]})
    assert model.coords["row"] == ("p", "q")


def test_array_for_an_exported_index_follows_the_rules_of_arrays() -> None:
    with pm.Model() as model:
        Data("x", series_of(["a", "b"]), export_index_as_coords=True)
        Data("z", pd.Series([1.0, 2.0]), dims="count", export_index_as_coords=True)
        set_data({"x": [5.0, 6.0], "z": [1.0, 2.0, 3.0]})
    assert model.coords == {"row": ("a", "b"), "count": (0, 1, 2)}
    set_data_refuses(
        model, ValueError, "`coords` must give new labels for the dim 'row'", {"x": [1.0]}
    )


def test_columns_in_another_order_are_matched_by_name() -> None:
    with pm.Model() as model:
        x = Data("x", frame_of(["a"]), dims=("row", "column"), export_index_as_coords=True)
        new = frame_of(["b", "c"])
        set_data({"x": new[["hour", "distance"]]})
        assert model.coords["column"] == ("distance", "hour")
        np.testing.assert_array_equal(x.get_value(), new)
        set_data({"x": new[["hour", "distance"]]}, coords={"column": ["hour", "distance"]})
        np.testing.assert_array_equal(x.get_value(), new[["hour", "distance"]])


def test_indices_that_share_a_dim_must_agree() -> None:
    with pm.Model() as model:
        Data("x", series_of(["a", "b"]), export_index_as_coords=True)
        Data("y", series_of(["a", "b"]), export_index_as_coords=True)
    set_data_refuses(
        model,
        ValueError,
        "The dim 'row' must have one set of labels, got 'd' and 'e' at position 1",
        {"x": series_of(["c", "d"]), "y": series_of(["c", "e"])},
    )
    set_data_refuses(
        model,
        ShapeError,
        "must agree in its length, got 2 in 'x', 1 in 'y'",
        {"x": series_of(["c", "d"]), "y": series_of(["e"])},
    )
    set_data({"x": series_of(["c"]), "y": series_of(["c"])}, model=model)
    assert model.coords["row"] == ("c",)


def test_multi_index_is_refused() -> None:
    with pm.Model() as model:
        Data("x", series_of(["a", "b"]), export_index_as_coords=True)
    index = pd.MultiIndex.from_tuples([("EWR", 1), ("JFK", 2)])
    set_data_refuses(
        model,
        ValueError,
        r"The index of `new_data\['x'\]` must have one level, got labels such as \('EWR', 1\)",
        {"x": pd.Series([1.0, 2.0], index=index)},
    )


def test_labels_may_come_twice() -> None:
    with pm.Model() as model:
        Data("x", [1.0, 2.0, 3.0], dims="row", coords={"row": ["a", "a", "b"]})
        pm.Normal("y", model["x"], dims="row")
        set_data({"x": [4.0, 5.0]}, coords={"row": ["c", "c"]})
        draws = pm.sample_prior_predictive(3, random_seed=1).prior["y"]
    assert model.coords["row"] == ("c", "c")
    assert draws.sel(row="c").shape == (1, 3, 2)


def test_a_plan_changes_nothing_until_it_is_applied() -> None:
    model = regression()
    before = contents_of(model)
    new = {"x": np.zeros((2, 2)), "y": [5.0, 6.0]}
    change = plan_change(model, new, {"row": ["a", "b"]})
    assert_same(contents_of(model), before)
    assert change.names == {"x", "y"}
    assert change.lengths == {"row": 2, "feature": 2}
    assert change.labels == {"row": ("a", "b")}
    assert change.sources == {model["x"]: "ndarray", model["y"]: "list"}
    change.apply(model)
    assert model["y"].get_value().tolist() == [5.0, 6.0]
    assert model.coords["row"] == ("a", "b")
    assert model.dim_lengths["row"].eval() == 2


def test_labels_that_are_lacking_may_be_counted() -> None:
    with pm.Model() as model:
        Data("x", [1.0, 2.0], dims="row", coords={"row": ["a", "b"]})
    set_data_refuses(model, ValueError, "`coords` must give new labels", {"x": np.ones(3)})
    assert plan_change(model, {"x": np.ones(3)}, count_labels=True).labels == {"row": (0, 1, 2)}
    assert plan_change(model, {"x": np.ones(2)}, count_labels=True).labels == {}


def test_rows_are_dropped_in_the_plan() -> None:
    frame = {"a": [1.0, None, 3.0], "b": [1.0, 2.0, 3.0]}
    with pm.Model() as model:
        for name in frame:
            Data(name, frame, columns=name, dims="row", missing="drop")
    change = plan_change(model, {"b": [None, 5.0, 6.0]})
    assert change.names == {"b"}
    arrays = {variable.name: array.tolist() for variable, array in change.arrays.items()}
    assert arrays == {"a": [3.0], "b": [6.0]}
    [selection] = change.selections
    assert selection.mask.tolist() == [False, False, True]
    assert change.lengths == {"row": 1}
