from __future__ import annotations

import copy
import re
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pymc.exceptions import ShapeError
from pytensor.compile.sharedvalue import SharedVariable

from bayou.containers.data import Data

INTEGERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLIGHTS = pd.Series([1.0, 2.0, 3.0], index=pd.Index(["a", "b", "c"], name="flight"))
TABLE = pd.DataFrame(
    {"distance": [1.0, 2.0], "hour": [3.0, 4.0]}, index=pd.Index([7, 9], name="flight")
).rename_axis(columns="feature")


def state(model: pm.Model) -> tuple[Any, ...]:
    """All that a refused container must leave as it was."""
    return (
        dict(model.coords),
        dict(model.dim_lengths),
        dict(model.named_vars),
        dict(model.named_vars_to_dims),
        list(model.data_vars),
    )


def held(value: Any, **options: Any) -> Any:
    """The array that a container of this value holds."""
    with pm.Model():
        return Data("x", value, **options).get_value()


def refuses(error: type[Exception], match: str, **arguments: Any) -> None:
    """Check that `Data` refuses, in the words of `match`, and leaves the model alone."""
    with pm.Model(coords={"origin": ["EWR", "JFK"]}) as model:
        Data("taken", [1.0, 2.0, 3.0], dims="row")
        before = state(model)
        with pytest.raises(error, match=match) as caught:
            Data(**{"name": "x", **arguments})
        assert state(model) == before
    assert "\nHint: " in str(caught.value)


# Values and dtypes


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_and_booleans_keep_their_dtype(name: str) -> None:
    array = held(np.array([0, 1, 1], dtype=name))
    assert array.dtype == np.dtype(name)
    assert array.tolist() == [0, 1, 1]


@pytest.mark.parametrize("floatx", ["float32", "float64"])
@pytest.mark.parametrize("name", ["float16", "float32", "float64", ">f8"])
def test_floats_are_cast_to_floatx(name: str, floatx: str) -> None:
    with pytensor.config.change_flags(floatX=floatx):
        assert held(np.array([0.1, 2.0], dtype=name)).dtype == np.dtype(floatx)


@given(hnp.arrays(st.sampled_from([*INTEGERS, "float64"]), hnp.array_shapes(min_dims=0)))
def test_holds_a_copy_of_the_value(array: np.ndarray) -> None:
    value = np.nan_to_num(array)
    kept = held(value)
    assert kept.dtype == value.dtype
    np.testing.assert_array_equal(kept, value)
    assert not np.shares_memory(kept, value)


def test_big_endian_integers_are_turned() -> None:
    array = held(np.array([1, 2], dtype=">i4"))
    assert array.dtype == np.dtype("int32")
    assert array.tolist() == [1, 2]


def test_large_int64_is_kept_where_pymc_would_wrap_it() -> None:
    assert held(np.array([2**62 + 1])).tolist() == [2**62 + 1]


def test_lists_keep_their_kind() -> None:
    assert held([1, 2]).dtype == np.int64
    assert held([[1, 2.5], [3, 4]]).dtype == np.float64
    assert held([True, False]).dtype == np.bool_
    assert held([]).shape == (0,)


def test_scalars_are_held() -> None:
    array = held(3)
    assert array.shape == ()
    assert array == 3
    assert held(np.float64(2.5)) == 2.5


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Int64", "int64"),
        ("UInt8", "uint8"),
        ("Float64", "float64"),
        ("boolean", "bool"),
        ("int16[pyarrow]", "int16"),
        ("double[pyarrow]", "float64"),
        ("bool[pyarrow]", "bool"),
        ("Sparse[int]", "int64"),
    ],
)
def test_nullable_dtypes_without_nulls_are_the_numpy_kinds(name: str, kept: str) -> None:
    series = pd.Series([0, 1, 1], dtype=name)
    assert held(series).dtype == np.dtype(kept)
    frame = held(pd.DataFrame({"a": series, "b": series}))
    assert frame.dtype == np.dtype(kept)
    assert frame.tolist() == [[0, 0], [1, 1], [1, 1]]


@pytest.mark.parametrize(
    ("columns", "kept"),
    [
        (("int8", "int32"), "int32"),
        (("bool", "int8"), "int8"),
        (("int64", "float32"), "float64"),
        (("int64", "uint64"), "int64"),
        (("bool", "bool"), "bool"),
    ],
)
def test_columns_of_a_frame_meet_in_a_dtype_that_holds_all(
    columns: tuple[str, str], kept: str
) -> None:
    array = held(pd.DataFrame({k: np.array([0, 1], dtype=d) for k, d in enumerate(columns)}))
    assert array.dtype == np.dtype(kept)
    assert array.tolist() == [[0, 0], [1, 1]]


def test_frame_without_columns_is_held() -> None:
    assert held(pd.DataFrame(index=range(3))).shape == (3, 0)


def test_columns_with_the_same_name_are_held() -> None:
    assert held(pd.DataFrame([[1, 2]], columns=["a", "a"])).tolist() == [[1, 2]]


def test_frame_with_integers_that_floats_round_is_refused() -> None:
    frame = pd.DataFrame({"id": [1, 2**53 + 1], "hour": [0.5, 1.5]})
    refuses(
        ValueError,
        r"`value` of data container 'x' \(column 'id'\) must hold values that float64 can "
        r"represent, got 9007199254740993 \(int64\) in row 1",
        value=frame,
    )


def test_list_with_integers_that_numpy_rounds_is_refused() -> None:
    refuses(
        ValueError,
        r"must hold values that float64 can represent, got 9007199254740993 in row 1, column 0",
        value=[[0.5, 2.0], [2**53 + 1, 1e300]],
    )
    assert held([0.5, 2**53]).tolist() == [0.5, 2**53]


def test_float_beyond_floatx_is_refused() -> None:
    with pytensor.config.change_flags(floatX="float32"):
        refuses(
            ValueError, r"float32 can represent, got 1e\+300 \(float64\) in row 1", value=[1, 1e300]
        )


def test_infinity_is_a_number() -> None:
    assert held([np.inf]).tolist() == [np.inf]


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ([1.0, np.nan, np.nan], "2: in row 1; in row 2"),
        ([1.0, None], "1: in row 1"),
        ([1, pd.NA], "1: in row 1"),
        (np.array([1, pd.NaT], dtype=object), "1: in row 1"),
        (
            np.full((2, 2), np.nan),
            "4: in row 0, column 0; in row 0, column 1; in row 1, column 0; ...",
        ),
        (np.full((1, 1, 1), np.nan), "1: at index (0, 0, 0)"),
        (np.array(np.nan), "1."),
        (np.ma.masked_array([1, 2], [False, True]), "1: in row 1"),
        (np.ma.masked_array([np.nan, 2.0], [False, True]), "2: in row 0; in row 1"),
        (pd.Series([1, None], dtype="Int64"), "1: in row 1"),
        (pd.Series([True, None], dtype="boolean"), "1: in row 1"),
        (pd.Series([1.0, None], dtype="double[pyarrow]"), "1: in row 1"),
        (pd.Series([1.0, np.nan], dtype="double[pyarrow]"), "1: in row 1"),
        (
            pd.DataFrame({"a": [1, 2, 3], "b": [1.0, np.nan, 2.0], "c": [None, 1, 2]}),
            "2: in row 0, column 'c'; in row 1, column 'b'",
        ),
    ],
)
def test_missing_values_are_refused(value: Any, got: str) -> None:
    refuses(
        ValueError,
        r"^`value` of data container 'x' must hold no missing values, got " + re.escape(got),
        value=value,
    )


def test_masked_array_without_masked_values_is_held() -> None:
    assert held(np.ma.masked_array([1, 2], [False, False])).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ([1j], "complex128"),
        (["a"], "<U1"),
        ([1, "2"], "<U"),
        (np.array([1, 2], dtype=object), "object"),
        ([2**64], "object"),
        (["a", None], "object"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), r"datetime64\[D\]"),
        (np.array([1], dtype="timedelta64[s]"), r"timedelta64\[s\]"),
        (np.zeros(2, dtype=[("a", int)]), r"\[\('a', '<i8'\)\]"),
        (pd.Series(pd.to_datetime(["2020-01-01"])), r"datetime64\["),
        (pd.Series(["a"]), "object|str"),
        (pd.Series(["a", None]), "object|str"),
        (pd.Series([1, 2], dtype="category"), "category"),
        (pd.Categorical([1, 2]), "category"),
        (None, "a NoneType"),
        ({"a": 1}, "a dict"),
        ((i for i in range(3)), "a generator"),
    ],
)
def test_other_kinds_are_type_errors(value: Any, got: str) -> None:
    refuses(
        TypeError,
        f"^`value` of data container 'x' must hold numbers or booleans, got ({got})",
        value=value,
    )


def test_symbolic_values_are_type_errors() -> None:
    refuses(
        TypeError, "must hold numbers or booleans, got a Tensor", value=pytensor.tensor.vector()
    )
    refuses(TypeError, "got a TensorSharedVariable", value=pytensor.shared(np.ones(2)))


def test_frame_with_text_names_the_column() -> None:
    frame = pd.DataFrame({"hour": [1, 2], "carrier": ["UA", "AA"]})
    refuses(TypeError, r"\(column 'carrier'\) must hold numbers or booleans", value=frame)


def test_ragged_list_is_refused() -> None:
    refuses(
        ValueError,
        "^`value` of data container 'x' must form an array, got a ragged list",
        value=[[1, 2], [3]],
    )


# Registration in the model


def test_registers_where_pymc_looks() -> None:
    with pm.Model() as model:
        x = Data("x", [[1.0, 2.0]], dims=("row", "column"), coords={"column": ["a", "b"]})
    assert isinstance(x, SharedVariable)
    assert model["x"] is x
    assert model.data_vars == [x]
    assert model.named_vars_to_dims["x"] == ("row", "column")
    assert model.coords == {"row": None, "column": ("a", "b")}
    assert {dim: length.eval() for dim, length in model.dim_lengths.items()} == {
        "row": 1,
        "column": 2,
    }


def test_results_show_the_value_and_the_coords() -> None:
    with pm.Model():
        x = Data("x", TABLE, export_index_as_coords=True)
        late = Data("late", [0, 1], dims="flight")
        b = pm.Normal("b", dims="feature")
        pm.Bernoulli("obs", logit_p=x @ b, observed=late, dims="flight")
        results = pm.sample_prior_predictive(3)
    constant = results["constant_data"]["x"]
    assert constant.dims == ("flight", "feature")
    np.testing.assert_array_equal(constant, TABLE)
    assert constant.coords["flight"].values.tolist() == [7, 9]
    assert constant.coords["feature"].values.tolist() == ["distance", "hour"]
    assert results["prior"]["b"].coords["feature"].values.tolist() == ["distance", "hour"]
    assert results["prior_predictive"]["obs"].coords["flight"].values.tolist() == [7, 9]
    assert results["observed_data"]["obs"].values.tolist() == [0, 1]


@pytest.mark.parametrize("name", [*INTEGERS, "float32"])
def test_every_dtype_is_observed(name: str) -> None:
    with pm.Model() as model:
        y = Data("y", np.array([0, 1], dtype=name))
        mu = pm.Normal("mu")
        pm.Normal("obs", mu, 1, observed=y)
    expected = -0.5 * np.log(2 * np.pi) * 3 - 0.5
    np.testing.assert_allclose(model.compile_logp()({"mu": 0.0}), expected)


def test_model_argument_stands_for_the_context() -> None:
    model = pm.Model()
    assert Data("x", [1.0], model=model) is model["x"]


def test_name_carries_the_prefix_of_the_model() -> None:
    with pm.Model() as model, pm.Model("sub"):
        x = Data("x", [1.0, 2.0], dims="row")
    assert x.name == "sub::x"
    assert model["sub::x"] is x
    assert model.named_vars_to_dims["sub::x"] == ("row",)


def test_copies_of_the_model_keep_the_container() -> None:
    with pm.Model() as model:
        Data("x", TABLE, export_index_as_coords=True)
    for twin in (copy.copy(model), cloudpickle.loads(cloudpickle.dumps(model))):
        assert twin["x"] is not model["x"]
        assert twin["x"].tag.export_index_as_coords
        assert twin.coords == model.coords


def test_outside_of_a_context_is_refused() -> None:
    with pytest.raises(
        TypeError,
        match=r"^`model` must be given outside of a model's context, got None\.\n"
        r"Hint: write the call inside `with pm\.Model\(\) as model:`, or pass `model=model`\.$",
    ):
        Data("x", [1.0])


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(
        TypeError, match="`model` must be a model that takes new variables, got a s"
    ):
        Data("x", [1.0], model="model")


def test_taken_names_are_refused() -> None:
    refuses(
        ValueError,
        "`name` must be new to the model, got 'taken', the name of a variable",
        name="taken",
        value=[1.0],
        dims="new",
    )
    refuses(ValueError, "got 'row', the name of a dim", name="row", value=[1.0])
    refuses(TypeError, "`name` must be a string, got a list", name=[1.0], value=[1.0])
    with pm.Model(), pm.Model("sub"):
        Data("x", [1.0])
        with pytest.raises(ValueError, match="`name` must be new to the model, got 'sub::x'"):
            Data("x", [1.0])


# Dims


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
    refuses(
        ShapeError,
        r"`dims` of data container 'x' must name each axis of the value, got \('row',\) for a "
        r"value of shape \(2, 3\)",
        value=np.ones((2, 3)),
        dims="row",
    )
    refuses(ShapeError, r"got \('a', 'b'\) for a value of shape \(\)", value=1.0, dims=("a", "b"))


def test_length_must_be_that_of_the_models_dim() -> None:
    text = r"The dim '{}' has length {} in the model, got a value of shape \(4, 1\)"
    value = np.ones((4, 1))
    refuses(ShapeError, text.format("origin", 2), value=value, dims=("origin", "new"))
    refuses(ShapeError, text.format("row", 3), value=value, dims=("row", "new"))


@pytest.mark.parametrize("dim", ["chain", "draw", "__sample__", "taken", "x"])
def test_dims_with_taken_names_are_refused(dim: str) -> None:
    refuses(
        ValueError,
        f"`dims` of data container 'x' must not be the names of variables, .* got '{dim}'",
        value=np.ones((2, 2)),
        dims=("new", dim),
    )


def test_other_wrong_dims_are_refused() -> None:
    value = np.ones((2, 2))
    refuses(ValueError, r"must differ, got \('a', 'a'\)", value=value, dims=("a", "a"))
    refuses(TypeError, r"must be strings or None, got \('a', 2\)", value=value, dims=("a", 2))
    refuses(
        TypeError,
        r"`dims` of data container 'x' must be strings or None, got \(5,\)",
        value=[1],
        dims=5,
    )


# Coords


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
    refuses(
        ShapeError,
        r"`coords\['column'\]` of data container 'x' must fit the value of shape \(2, 4\), got 3 ",
        value=value,
        dims=("new", "column"),
        coords={"column": ["a", "b", "c"]},
    )
    refuses(
        ValueError,
        r"`coords` must label dims of data container 'x', which are \('new', None\), got 'origin'",
        value=value,
        dims=("new", None),
        coords={"origin": ["EWR", "JFK"]},
    )
    refuses(ValueError, r"which are \(None, None\), got 'a'", value=value, coords={"a": [1, 2]})
    refuses(
        ValueError,
        "The dim 'origin' must have one set of labels, got 'JFK' and 'LGA' at position 1",
        value=value,
        dims=("origin", "new"),
        coords={"origin": ["EWR", "LGA"]},
    )
    refuses(TypeError, "`coords` must map dims to labels, got a list", value=[1], coords=[1])


@pytest.mark.parametrize("labels", ["ab", None, 3, {1, 2}, {"a": 1, "b": 2}, iter("ab")])
def test_labels_must_be_a_sequence(labels: Any) -> None:
    refuses(
        TypeError,
        r"`coords\['row'\]` must be a sequence of labels, got ",
        value=[1.0, 2.0],
        dims="row",
        coords={"row": labels},
    )


# The index as coords


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
        refuses(
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
    refuses(
        ValueError,
        "`export_index_as_coords` needs dims, got none for the index of data container 'x', "
        r"which has no name either\.\nHint: pass `dims=`, or name it with "
        r"`\.rename_axis\(index='row'\)`",
        value=pd.Series([1.0, 2.0]),
        export_index_as_coords=True,
    )
    refuses(
        ValueError,
        "got none for the columns of data container 'x'",
        value=TABLE.rename_axis(columns=None),
        export_index_as_coords=True,
    )
    refuses(
        ValueError,
        "got none for the index of data container 'x'",
        value=pd.Series([1.0, 2.0]),
        dims=(None,),
        export_index_as_coords=True,
    )
    refuses(
        ValueError,
        "got none for the index",
        value=FLIGHTS.rename_axis(3),
        export_index_as_coords=True,
    )


@pytest.mark.parametrize("value", [[1.0, 2.0], np.ones(2), 1.0])
def test_value_without_an_index_is_refused(value: Any) -> None:
    refuses(
        TypeError,
        "`export_index_as_coords` needs a value with an index, got an array for data container 'x'",
        value=value,
        export_index_as_coords=True,
    )


def test_index_that_contradicts_coords_is_refused() -> None:
    table = TABLE.set_axis(["EWR", "LGA"])
    refuses(
        ValueError,
        "The dim 'origin' must have one set of labels, got 'JFK' and 'LGA' at position 1",
        value=table,
        dims=("origin", "feature"),
        export_index_as_coords=True,
    )
    refuses(
        ValueError,
        "The dim 'new' must have one set of labels, got 'JFK' and 'LGA' at position 1",
        value=table,
        dims=("new", "feature"),
        coords={"new": ["EWR", "JFK"]},
        export_index_as_coords=True,
    )


def test_names_of_index_and_columns_must_differ() -> None:
    refuses(
        ValueError,
        r"`dims` of data container 'x' must differ, got \('flight', 'flight'\)",
        value=TABLE.rename_axis(columns="flight"),
        export_index_as_coords=True,
    )
