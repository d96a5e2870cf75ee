from __future__ import annotations

import copy
import inspect
from typing import Any

import cloudpickle
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
from bayou.containers.set_data import set_data


def frame(labels: list[str], columns: tuple[str, ...] = ("distance", "hour")) -> pd.DataFrame:
    values = np.arange(len(labels) * len(columns), dtype=float).reshape(len(labels), -1)
    return pd.DataFrame(values, index=labels, columns=columns)


def series(labels: list[Any]) -> pd.Series:
    return pd.Series(np.arange(len(labels), dtype=float), index=pd.Index(labels, name="row"))


def regression(**options: Any) -> pm.Model:
    """Two containers that share the dim ``row``, one of them observed."""
    with pm.Model(coords={"feature": ["distance", "hour"]}) as model:
        x = Data("x", np.ones((3, 2)), dims=("row", "feature"), **options)
        y = Data("y", [0.0, 1.0, 2.0], dims="row")
        b = pm.Normal("b", dims="feature")
        pm.Normal("obs", x @ b, 1.0, observed=y, dims="row")
    return model


def state(model: pm.Model) -> dict[str, Any]:
    """All that a refused update must leave as it was."""
    return {
        "values": {v.name: v.get_value(borrow=True) for v in model.data_vars},
        "coords": dict(model.coords),
        "lengths": {dim: length.eval() for dim, length in model.dim_lengths.items()},
        "expressions": dict(model.dim_lengths),
    }


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one["values"].keys() == other["values"].keys()
    assert all(one["values"][name] is other["values"][name] for name in one["values"])
    assert {k: v for k, v in one.items() if k != "values"} == {
        k: v for k, v in other.items() if k != "values"
    }


def refuses(
    model: pm.Model, error: type[Exception], match: str, *arguments: Any, **more: Any
) -> None:
    """Check that `set_data` refuses, in the words of `match`, and leaves the model alone."""
    before = state(model)
    with pytest.raises(error, match=match) as caught:
        set_data(*arguments, **more, model=model)
    assert_same(state(model), before)
    assert "\nHint: " in str(caught.value)


# What an update does


def test_logp_lengths_coords_and_results_are_the_new_ones() -> None:
    model = regression()
    x, y = np.full((5, 2), 2.0), np.arange(5.0)
    set_data({"x": x, "y": y}, coords={"row": list("abcde")}, model=model)
    assert {dim: int(length.eval()) for dim, length in model.dim_lengths.items()} == {
        "feature": 2,
        "row": 5,
    }
    assert model.coords["row"] == tuple("abcde")
    logp = model.compile_logp()({"b": np.array([0.5, 0.25])})
    residuals = np.concatenate([y - 1.5, [0.5, 0.25]])
    np.testing.assert_allclose(logp, -0.5 * (residuals**2 + np.log(2 * np.pi)).sum())
    results = pm.sample_prior_predictive(2, model=model)
    np.testing.assert_array_equal(results["constant_data"]["x"], x)
    np.testing.assert_array_equal(results["observed_data"]["obs"], y)
    assert results["prior_predictive"]["obs"].coords["row"].values.tolist() == list("abcde")


def test_the_context_is_the_model() -> None:
    with regression() as model:
        set_data({"y": [5.0, 6.0, 7.0]})
    assert model["y"].get_value().tolist() == [5.0, 6.0, 7.0]


def test_the_model_may_be_the_second_argument_as_in_pymc() -> None:
    pymcs, ours = (
        list(inspect.signature(function).parameters.values())
        for function in (pm.set_data, set_data)
    )
    assert [(p.name, p.kind, p.default) for p in ours] == [
        (p.name, p.kind, p.default) for p in pymcs
    ]
    model = regression()
    set_data({"y": [5.0, 6.0, 7.0]}, model)
    assert model["y"].get_value().tolist() == [5.0, 6.0, 7.0]


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


def test_the_value_is_copied() -> None:
    with pm.Model():
        x = Data("x", [1.0, 2.0])
        value = np.array([3.0, 4.0])
        set_data({"x": value})
        value[0] = 9.0
    assert x.get_value().tolist() == [3.0, 4.0]


def test_containers_of_pymc_are_updated() -> None:
    with pm.Model() as model:
        pm.Data("x", np.array([1, 2]), dims="row", coords={"row": ["a", "b"]})
        pm.Data("n", 2.0)
        set_data({"x": [3, 4, 5], "n": 3}, coords={"row": ["a", "b", "c"]})
    assert model["x"].get_value().tolist() == [3, 4, 5]
    assert model["x"].dtype == "int32"
    assert model["n"].get_value() == 3.0


def test_axes_without_a_dim_resize_freely() -> None:
    with pm.Model() as model:
        Data("x", np.ones((2, 3)), dims=(None, "column"))
        set_data({"x": np.ones((4, 3))})
    assert model["x"].get_value().shape == (4, 3)


def test_nothing_to_set_is_no_change() -> None:
    model = regression()
    before = state(model)
    set_data({}, model=model)
    assert_same(state(model), before)


def test_names_resolve_as_in_the_model() -> None:
    with pm.Model() as model:
        with pm.Model("sub") as sub:
            x = Data("x", [1.0, 2.0], dims="row")
            set_data({"x": [3.0]})
            assert x.get_value().tolist() == [3.0]
            set_data({"sub::x": [4.0, 5.0]}, coords={"row": ["a", "b"]})
        set_data({"sub::x": [6.0]}, coords={"row": ["c"]})
    assert x.get_value().tolist() == [6.0]
    assert model.coords["row"] == ("c",)
    refuses(sub, ValueError, "once, got 'sub::x' twice", {"x": [1.0], "sub::x": [1.0]})


def test_containers_of_nested_models_share_dims() -> None:
    with pm.Model() as model:
        Data("y", [1.0, 2.0], dims="row")
        with pm.Model("sub") as sub:
            Data("x", [1.0, 2.0], dims="row")
    refuses(sub, ShapeError, "got 2 in 'y', 3 in 'sub::x'", {"x": [1.0, 2.0, 3.0]})
    set_data({"sub::x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0]}, model=model)


# Casts and missing values


def test_exact_casts_are_made() -> None:
    with pm.Model() as model:
        Data("count", np.array([1, 2], dtype="int8"))
        Data("real", [0.5, 1.5])
        Data("flag", [True, False])
        set_data({"count": [3.0, 4.0], "real": [3, 4], "flag": [0, 1]})
    assert [(v.get_value().dtype.name, v.get_value().tolist()) for v in model.data_vars] == [
        ("int8", [3, 4]),
        ("float64", [3.0, 4.0]),
        ("bool", [False, True]),
    ]


def test_floats_round_to_floatx() -> None:
    with pytensor.config.change_flags(floatX="float32"), pm.Model() as model:
        x = Data("x", [1.0])
        set_data({"x": np.array([0.1])})
        assert x.get_value().tolist() == [float(np.float32(0.1))]
        refuses(model, ValueError, r"float32 can represent, got 1e\+300", {"x": [1e300]})


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (np.array([1, 2]), [1.0, 2.5], r"int64 can represent, got 2\.5 \(float64\) in row 1"),
        (np.array([1], dtype="int8"), [1, 300], r"int8 can represent, got 300 \(int64\) in row 1"),
        ([0.5], [2**53 + 1], r"float64 can represent, got 9007199254740993 \(int64\) in row 0"),
        ([True], [2], r"bool can represent, got 2 \(int64\) in row 0"),
        (
            np.ones((1, 2), dtype=int),
            pd.DataFrame({"a": [1, 2], "b": [1.0, 2.5]}),
            r"\(column 'b'\) must hold values that int64 can represent, got 2\.5 \(float64\) in",
        ),
    ],
)
def test_lossy_casts_are_refused(old: Any, new: Any, match: str) -> None:
    with pm.Model() as model:
        Data("x", old)
    refuses(model, ValueError, r"^`new_data\['x'\]` .*" + match, {"x": new})


def test_missing_and_other_values_are_refused() -> None:
    model = regression()
    refuses(
        model,
        ValueError,
        r"^`new_data\['y'\]` must hold no missing values, got 1: in row 1",
        {"x": np.ones((3, 2)), "y": [1.0, np.nan, 2.0]},
    )
    refuses(model, TypeError, r"`new_data\['y'\]` must hold numbers", {"y": ["a", "b", "c"]})


# Shapes


def test_changed_rank_is_refused() -> None:
    refuses(
        regression(),
        ShapeError,
        r"`new_data\['y'\]` must have 1 axes like its container, got a value of shape \(3, 1\)",
        {"y": np.ones((3, 1))},
    )


def test_static_shape_holds() -> None:
    with pm.Model() as model:
        pm.Data("x", np.ones((1, 2)), shape=(1, None))
    set_data({"x": np.ones((1, 5))}, model=model)
    refuses(
        model,
        ShapeError,
        r"must fit the static shape \(1, None\) of its container, got a value of shape \(2, 2\)",
        {"x": np.ones((2, 2))},
    )


def test_containers_that_share_a_dim_change_together() -> None:
    model = regression()
    text = "share the dim 'row' must agree in its length, got {} in 'x', {} in 'y'"
    refuses(model, ShapeError, text.format(5, 3), {"x": np.ones((5, 2))})
    refuses(model, ShapeError, text.format(3, 5), {"y": np.ones(5)})
    refuses(model, ShapeError, text.format(5, 4), {"x": np.ones((5, 2)), "y": np.ones(4)})


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
    refuses(
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
    refuses(model, ShapeError, "fixed length 3, got values of length 4", {"n": 3, "x": np.ones(4)})
    set_data({"n": 4, "x": np.ones(4)}, model=model)
    assert model.dim_lengths["row"].eval() == 4


def test_two_dims_with_one_length_stay_one_length() -> None:
    shared = pytensor.shared(3)
    with pm.Model() as model:
        for dim in ("a", "b"):
            model.add_coord(dim, length=shared)
        Data("x", np.ones((3, 3)), dims=("a", "b"))
    refuses(model, ShapeError, "The dim 'b' has the fixed length 4", {"x": np.ones((4, 5))})
    set_data({"x": np.ones((4, 4))}, model=model)
    assert shared.get_value() == 4


# Coords


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
    refuses(
        model,
        ValueError,
        r"`coords` must give new labels for the dim 'row', whose 2 labels do not fit the new "
        r"length 3\.\nHint: pass `coords=\{'row': labels\}` with 3 labels\.$",
        {"x": [1.0, 2.0, 3.0]},
    )


def test_coords_must_fit() -> None:
    model = regression()
    value = {"y": [1.0, 2.0, 3.0]}
    refuses(
        model,
        ShapeError,
        r"`coords\['row'\]` must fit the new length 3, got 2 labels",
        value,
        coords={"row": ["a", "b"]},
    )
    refuses(
        model,
        ValueError,
        r"must label dims of the containers in `new_data`, which are \('row',\), got 'feature'",
        value,
        coords={"feature": ["a", "b"]},
    )
    refuses(model, ValueError, r"which are \(\), got 'row'", {}, coords={"row": ["a"]})
    refuses(model, TypeError, "`coords` must map dims to labels, got a list", value, coords=["a"])
    refuses(
        model, TypeError, "must be a sequence of labels, got 'abc'", value, coords={"row": "abc"}
    )


# The index as coords


def test_exported_index_becomes_the_new_coords() -> None:
    with pm.Model() as model:
        x = Data("x", frame(["a", "b"]), dims=("row", "column"), export_index_as_coords=True)
        pm.Normal("b", dims="row")
        set_data({"x": frame(["c", "d", "e"], ("hour", "month", "day"))})
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
        Data("x", series(["a", "b"]), export_index_as_coords=True)
        set_data({"x": series(["b", "c"])})
    assert model.coords["row"] == ("b", "c")


def test_without_export_the_index_is_left() -> None:
    with pm.Model() as model:
        Data("x", series(["a", "b"]), dims="row", coords={"row": ["p", "q"]})
        set_data({"x": series(["c", "d"])})
    assert model.coords["row"] == ("p", "q")


def test_given_coords_go_before_the_index() -> None:
    with pm.Model() as model:
        Data("x", series(["a", "b"]), export_index_as_coords=True)
        set_data({"x": series(["c", "d"])}, coords={"row": ["p", "q"]})
    assert model.coords["row"] == ("p", "q")


def test_array_for_an_exported_index_follows_the_rules_of_arrays() -> None:
    with pm.Model() as model:
        Data("x", series(["a", "b"]), export_index_as_coords=True)
        Data("z", pd.Series([1.0, 2.0]), dims="count", export_index_as_coords=True)
        set_data({"x": [5.0, 6.0], "z": [1.0, 2.0, 3.0]})
    assert model.coords == {"row": ("a", "b"), "count": (0, 1, 2)}
    refuses(model, ValueError, "`coords` must give new labels for the dim 'row'", {"x": [1.0]})


def test_columns_in_another_order_are_matched_by_name() -> None:
    with pm.Model() as model:
        x = Data("x", frame(["a"]), dims=("row", "column"), export_index_as_coords=True)
        new = frame(["b", "c"])
        set_data({"x": new[["hour", "distance"]]})
        assert model.coords["column"] == ("distance", "hour")
        np.testing.assert_array_equal(x.get_value(), new)
        set_data({"x": new[["hour", "distance"]]}, coords={"column": ["hour", "distance"]})
        np.testing.assert_array_equal(x.get_value(), new[["hour", "distance"]])


def test_indices_that_share_a_dim_must_agree() -> None:
    with pm.Model() as model:
        Data("x", series(["a", "b"]), export_index_as_coords=True)
        Data("y", series(["a", "b"]), export_index_as_coords=True)
    refuses(
        model,
        ValueError,
        "The dim 'row' must have one set of labels, got 'd' and 'e' at position 1",
        {"x": series(["c", "d"]), "y": series(["c", "e"])},
    )
    refuses(
        model,
        ShapeError,
        "must agree in its length, got 2 in 'x', 1 in 'y'",
        {"x": series(["c", "d"]), "y": series(["e"])},
    )
    set_data({"x": series(["c"]), "y": series(["c"])}, model=model)
    assert model.coords["row"] == ("c",)


def test_multi_index_is_refused() -> None:
    with pm.Model() as model:
        Data("x", series(["a", "b"]), export_index_as_coords=True)
    index = pd.MultiIndex.from_tuples([("EWR", 1), ("JFK", 2)])
    refuses(
        model,
        ValueError,
        r"The index of `new_data\['x'\]` must have one level, got labels such as \('EWR', 1\)",
        {"x": pd.Series([1.0, 2.0], index=index)},
    )


# Copies


@pytest.mark.parametrize(
    "twin_of", [copy.copy, lambda model: cloudpickle.loads(cloudpickle.dumps(model))]
)
def test_copies_of_a_model_are_updated_alone(twin_of: Any) -> None:
    with pm.Model() as model:
        Data("x", series(["a", "b"]), export_index_as_coords=True)
        y = Data("y", frame(["a", "b"]), dims=("row", "column"))
        pm.Normal("obs", y.sum(axis=1), 1.0, observed=[1.0, 2.0])
    twin = twin_of(model)
    before = state(model)
    set_data({"x": series(["c"]), "y": np.ones((1, 3))}, model=twin)
    assert_same(state(model), before)
    assert twin.coords == {"row": ("c",), "column": None}
    assert {dim: int(length.eval()) for dim, length in twin.dim_lengths.items()} == {
        "row": 1,
        "column": 3,
    }


def test_a_copy_takes_new_containers_after_the_original_changed() -> None:
    with pm.Model() as model:
        Data("x", [1.0, 2.0], dims="row")
    twin = copy.copy(model)
    set_data({"x": [1.0]}, model=model)
    Data("y", [3.0, 4.0], dims="row", model=twin)
    refuses(twin, ShapeError, "got 2 in 'x', 1 in 'y'", {"y": [1.0]})


# Names


def test_unknown_names_are_refused() -> None:
    model = regression()
    for name in ("z", "a/b", "a:", 3):
        refuses(
            model,
            ValueError,
            rf"^`new_data` must name data containers of the model, got {name!r}\.\n"
            r"Hint: the model has 'x', 'y'\.$",
            {"x": np.zeros((3, 2)), name: [1.0]},
        )
    refuses(pm.Model(), ValueError, "Hint: the model has none; create one with `Data`", {"x": 1})


def test_names_of_other_variables_are_refused() -> None:
    with regression() as model:
        pm.Deterministic("twice", 2 * model["b"])
        pm.Potential("penalty", -(model["b"] ** 2).sum())
        model.add_named_variable(pt.constant(1.0, name="one"))
    for name, what in {
        "b": "free random variable",
        "obs": "observed random variable",
        "twice": "deterministic",
        "penalty": "potential",
        "one": "TensorConstant",
    }.items():
        refuses(
            model,
            TypeError,
            f"^`new_data` must name data containers, got '{name}', a {what}",
            {"x": np.zeros((3, 2)), name: [1.0]},
        )


def test_new_data_must_be_a_mapping() -> None:
    refuses(regression(), TypeError, "`new_data` must map names to values, got a str", "x")


def test_outside_of_a_context_is_refused() -> None:
    with pytest.raises(TypeError, match="`model` must be given outside of a model's context"):
        set_data({"x": [1.0]})


# Failures


def test_a_failure_half_way_is_rolled_back(monkeypatch: pytest.MonkeyPatch) -> None:
    model = regression()
    before = state(model)

    def fail(value: Any) -> None:
        monkeypatch.undo()
        raise MemoryError("no room")

    monkeypatch.setattr(model["y"], "set_value", fail)
    with pytest.raises(MemoryError, match="no room"):
        set_data({"x": np.zeros((1, 2)), "y": [1.0]}, coords={"row": ["a"]}, model=model)
    assert_same(state(model), before)


def test_labels_may_come_twice() -> None:
    with pm.Model() as model:
        Data("x", [1.0, 2.0, 3.0], dims="row", coords={"row": ["a", "a", "b"]})
        pm.Normal("y", model["x"], dims="row")
        set_data({"x": [4.0, 5.0]}, coords={"row": ["c", "c"]})
        draws = pm.sample_prior_predictive(3, random_seed=1).prior["y"]
    assert model.coords["row"] == ("c", "c")
    assert draws.sel(row="c").shape == (1, 3, 2)
