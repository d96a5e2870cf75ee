from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr
import zarr

import bayou.sources as by
from bayou.sources.kinds import named_columns


def opened(table: Any, *names: str) -> tuple[Any, dict[str, Any]]:
    """The fields and values of some columns of a table."""
    source = named_columns(table).open(names)
    values = source.take(np.arange(source.num_rows), names)
    return source.fields, values


@pytest.mark.parametrize(
    ("table", "description", "names"),
    [
        (pd.DataFrame({"a": [1], 2: [3]}), "pandas.DataFrame", ("a", 2)),
        (pl.DataFrame({"a": [1]}), "polars.DataFrame", ("a",)),
        (pl.LazyFrame({"a": [1]}), "polars.LazyFrame", ("a",)),
        (pa.table({"a": [1]}), "pyarrow.Table", ("a",)),
        (pa.record_batch({"a": [1]}), "pyarrow.RecordBatch", ("a",)),
        ({"a": [1]}, "dict", ("a",)),
        (xr.Dataset({"a": ("row", [1])}), "xarray.Dataset", ("a",)),
        (xr.DataArray([1], name="a"), "xarray.DataArray", ("a",)),
        (np.zeros(1, dtype=[("a", int)]), "numpy.ndarray", ("a",)),
        (by.source({"a": [1]}), "ArraySource", ("a",)),
        (lambda: iter([{"a": 1}]), "builtins.function", ("a",)),
    ],
)
def test_tables_have_names_and_description(
    table: Any, description: str, names: tuple[str, ...]
) -> None:
    found = named_columns(table)
    assert found.names == names
    assert found.description == description.removeprefix("builtins.")
    assert named_columns(found) is found


@pytest.mark.parametrize("table", [np.zeros(3), [1.0], 3.0, "text", pd.Series([1.0]), None])
def test_what_has_no_names_is_none(table: Any) -> None:
    assert named_columns(table) is None


def test_files_are_named_by_their_paths(tmp_path: Path) -> None:
    for name in "ab":
        pl.DataFrame({"x": [1.0]}).write_parquet(tmp_path / f"{name}.parquet")
    assert named_columns(by.scan(tmp_path / "a.parquet")).description == str(tmp_path / "a.parquet")
    assert named_columns(by.scan(tmp_path)).description == f"{tmp_path / 'a.parquet'} and 1 more"


def test_a_group_of_zarr_has_columns() -> None:
    group = zarr.group()
    group.create_array("x", data=np.arange(3.0))
    assert named_columns(group).names == ("x",)


def test_series_are_told_apart() -> None:
    assert named_columns(pd.Series([1], name="a")).is_series
    assert named_columns(pl.Series("a", [1])).is_series
    assert named_columns(xr.DataArray([1], name="a")).is_series
    labelled = named_columns(xr.DataArray([[1, 2]], coords={"c": ["a", "b"]}, dims=("r", "c")))
    assert (labelled.names, labelled.is_series) == (("a", "b"), False)
    numbered = named_columns(xr.DataArray([[1, 2]], coords={"c": [0, 1]}, dims=("r", "c")))
    assert numbered.names == (0, 1)
    assert not named_columns(pd.DataFrame({"a": [1]})).is_series


@pytest.mark.parametrize(
    ("values", "dtype", "told"),
    [
        ([1, None], "float64", [1.0, np.nan]),
        (pd.array([1, None], dtype="Int8"), "float64", [1.0, np.nan]),
        ([True, None], "float64", [1.0, np.nan]),
        (np.ma.MaskedArray([1, 2], [False, True]), "float64", [1.0, np.nan]),
        (pl.Series([1.5, None], dtype=pl.Float32), "float32", [1.5, np.nan]),
        (["a", None], "int32", [0, -1]),
        (["a", float("nan")], "int32", [0, -1]),
        (pd.Categorical(["b", None], ["a", "b"]), "int32", [1, -1]),
        (pd.Index(["b", "b"]), "int32", [0, 0]),
        ([None, None], "float64", [np.nan, np.nan]),
    ],
)
def test_missing_values_are_told(values: Any, dtype: str, told: list[float]) -> None:
    fields, table = opened({"v": values}, "v")
    assert fields["v"].dtype == table["v"].dtype == dtype
    np.testing.assert_array_equal(table["v"], told)


def test_the_dtype_without_missing_values_is_known() -> None:
    table = named_columns({"n": [1, None], "flag": [None, True], "real": [1.0, None]})
    fields = table.open(["n", "flag", "real"]).fields
    assert {field.dtype for field in fields.values()} == {np.dtype(np.float64)}
    unmarked = {name: field.unmarked for name, field in fields.items()}
    assert unmarked == {"n": np.int64, "flag": np.bool_, "real": None}


def test_dates_of_python_are_dates() -> None:
    zone = dt.timezone(dt.timedelta(hours=2))
    table = {
        "day": [dt.date(2013, 1, 1), None],
        "at": [dt.datetime(2013, 1, 1, 2, tzinfo=zone), None],
    }
    fields, values = opened(table, "day", "at")
    assert fields["day"].dtype.kind == fields["at"].dtype.kind == "M"
    expected = np.array(["2013-01-01", "NaT"], dtype="M8[us]")
    for column in values.values():
        np.testing.assert_array_equal(column.astype("M8[us]"), expected)


def test_integers_that_a_float_does_not_hold_are_refused() -> None:
    message = r"^`v` must hold integers up to 2\*\*53 where it misses values, got 9007199254740993"
    with pytest.raises(ValueError, match=message):
        named_columns({"v": pl.Series([2**53 + 1, None])}).open(["v"])
    _, values = opened({"v": [2**53 + 1, 1]}, "v")
    assert values["v"].tolist() == [2**53 + 1, 1]


def test_labels_are_those_of_the_rows() -> None:
    frame = pd.DataFrame({"a": [1]}, index=["x"])
    dataset = xr.Dataset({"a": ("r", [1]), "b": ("s", [1, 2])}, coords={"r": ["x"], "s": [7, 8]})
    assert list(named_columns(frame).row_labels(["a"])) == ["x"]
    assert list(named_columns(dataset).row_labels(["b"])) == [7, 8]
    assert named_columns(pl.DataFrame({"a": [1]})).row_labels(["a"]) is None


def test_columns_of_several_row_dims_are_refused() -> None:
    dataset = xr.Dataset({"a": ("r", [1]), "b": ("s", [1])})
    assert opened(dataset, "b")[1]["b"].tolist() == [1]
    with pytest.raises(ValueError, match="must share their first dimension"):
        named_columns(dataset).open(["a", "b"])


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="must have the same number of rows"):
        named_columns({"a": [1], "b": [1, 2]}).open(["a", "b"])
    with pytest.raises(ValueError, match="at least one field and one row, got no rows"):
        named_columns({"a": []}).open(["a"])


@pytest.mark.parametrize(
    "values",
    [
        pd.period_range("2013-01", periods=2, freq="M"),
        np.array([b"a", b"b"]),
        pl.Series([[1], [2, 3]]),
        np.array([{}, []], dtype=object),
    ],
)
def test_columns_of_what_no_container_holds_are_refused(values: Any) -> None:
    message = "^`v` must hold numbers, booleans, dates or text, and one kind of them, got .*\nHint"
    with pytest.raises(TypeError, match=message):
        named_columns({"v": values}).open(["v"])


def test_a_ragged_list_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^`v` must form an array, got a ragged list"):
        named_columns({"v": [[1, 2], [3]]}).open(["v"])


def test_sparse_columns_are_read() -> None:
    frame = pd.DataFrame({"v": pd.arrays.SparseArray([0.0, 1.0])})
    assert opened(frame, "v")[1]["v"].tolist() == [0, 1]


def test_a_query_is_collected() -> None:
    query = pl.LazyFrame({"a": [1, None], "b": ["x", None], "c": [1, 2]})
    assert not named_columns(query).is_in_memory
    collected = named_columns(query).collect(["a", "b"])
    assert collected.is_in_memory
    _, values = opened(collected, "a", "b")
    np.testing.assert_array_equal(values["a"], [1, np.nan])
    assert values["b"].tolist() == [0, -1]
    frame = named_columns(pl.DataFrame({"a": [1]}))
    assert frame.collect(["a"]) is frame


def test_datasets_in_files_are_read_later(tmp_path: Path) -> None:
    xr.Dataset({"a": ("r", np.arange(4.0))}).to_zarr(tmp_path / "rows.zarr", consolidated=False)
    with xr.open_zarr(tmp_path / "rows.zarr", chunks=None, consolidated=False) as dataset:
        assert not named_columns(dataset).is_in_memory
        assert opened(dataset, "a")[1]["a"].tolist() == [0, 1, 2, 3]
