from __future__ import annotations

import datetime as dt
from typing import Any

import cloudpickle
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pymc as pm
import pytensor
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import bayou as by
from bayou.containers.data import Data
from bayou.containers.reading.column_matching import match_columns
from bayou.containers.reading.columns import Columns, columns_of
from bayou.feeding.layout import Layout
from bayou.feeding.read import read_pieces
from bayou.sources.base.source import Source

ROWS = {
    "hour": [5, 6, 7, 8],
    "distance": [227.0, 1416.0, 719.5, 1065.0],
    "carrier": ["UA", "AA", "UA", "B6"],
    "late": [True, False, True, True],
    "day": [dt.date(2013, 1, 1), dt.date(1969, 12, 31), dt.date(2013, 1, 2), dt.date(2013, 3, 1)],
    "at": pd.to_datetime(
        ["2013-01-01T06:00", "2013-01-01T12:00", "2013-01-02T00:00", "1969-12-31T18:00"]
    ),
}
FRAME = pd.DataFrame(ROWS)
DAYS = [[15706.0, 15706.25], [-1.0, 15706.5], [15707.0, 15707.0], [15765.0, -0.25]]


def dataset() -> xr.Dataset:
    arrays = {name: np.asarray(values) for name, values in ROWS.items()}
    arrays["day"] = arrays["day"].astype("M8[ns]")
    arrays["carrier"] = arrays["carrier"].astype(object)
    return xr.Dataset({name: ("flight", array) for name, array in arrays.items()})


TABLES = {
    "pandas": lambda: FRAME,
    "pandas objects": lambda: FRAME.astype(object),
    "pandas arrow": lambda: pa.Table.from_pandas(FRAME).to_pandas(types_mapper=pd.ArrowDtype),
    "pandas categorical": lambda: FRAME.astype({"carrier": "category"}),
    "polars": lambda: pl.from_pandas(FRAME),
    "polars categorical": lambda: pl.from_pandas(FRAME).with_columns(
        pl.col("carrier").cast(pl.Enum(["AA", "B6", "UA"]))
    ),
    "polars lazy": lambda: pl.from_pandas(FRAME).lazy(),
    "pyarrow": lambda: pa.Table.from_pandas(FRAME, preserve_index=False),
    "duckdb": lambda: duckdb.from_arrow(pa.Table.from_pandas(FRAME, preserve_index=False)),
    "xarray": dataset,
    "dict of arrays": lambda: {name: np.asarray(values) for name, values in ROWS.items()},
    "dict of lists": lambda: {name: list(values) for name, values in ROWS.items()},
    "source": lambda: by.source(pl.from_pandas(FRAME)),
}


@pytest.fixture(params=TABLES)
def table(request: pytest.FixtureRequest) -> Any:
    return TABLES[request.param]()


def flights(table: Any) -> pm.Model:
    """A model of containers that are built from each kind of column."""
    with pm.Model() as model:
        Data("x", table, columns=["distance", "hour"], dims=("flight", "feature"))
        Data("late", table, columns="late", dims="flight")
        Data("carrier_code", table, columns="carrier", dims="flight", categories="carriers")
        Data("days", table, columns=["day", "at"], dims=("flight", "when"))
    return model


def refuses(error: type[Exception], match: str, value: Any, **options: Any) -> None:
    with (
        pm.Model(coords={"given": ["AA", "UA"]}) as model,
        pytest.raises(error, match=match) as caught,
    ):
        Data("x", value, **options)
    assert not model.data_vars
    assert set(model.coords) == {"given"}
    assert "\nHint: " in str(caught.value)


def test_every_kind_of_table_gives_the_same_containers(table: Any) -> None:
    model = flights(table)
    assert model["x"].get_value().tolist() == [[227, 5], [1416, 6], [719.5, 7], [1065, 8]]
    assert model["late"].get_value().tolist() == ROWS["late"]
    assert model["late"].dtype == "bool"
    assert model["carrier_code"].get_value().tolist() == [2, 0, 2, 1]
    assert model["carrier_code"].dtype == "int32"
    assert model["days"].get_value().tolist() == DAYS
    assert model.coords == {
        "flight": None,
        "feature": ("distance", "hour"),
        "carriers": ("AA", "B6", "UA"),
        "when": ("day", "at"),
    }


def test_every_kind_of_table_is_matched_and_read_in_pieces(table: Any) -> None:
    model = flights(FRAME)
    found = match_columns(model, table)
    assert set(found) == set(model.data_vars)
    layout = Layout(tuple(reader.column for reader in found.values()))
    first = 0
    for pieces in read_pieces(layout, layout.source.blocks, 3):  # type: ignore[arg-type]
        for (variable, reader), piece in zip(found.items(), pieces, strict=True):
            held = variable.get_value()[first : first + len(piece)]
            values = reader.values(piece, first)
            assert values.dtype == held.dtype
            np.testing.assert_array_equal(values, held)
        first += len(pieces[0])
    assert first == len(FRAME)


def test_a_container_knows_what_it_was_built_from() -> None:
    model = flights(FRAME)
    expected = Columns(
        names=("carrier",),
        is_matrix=False,
        categories=("AA", "B6", "UA"),
        categories_dim="carriers",
        unknown=None,
        missing="refuse",
        num_dropped=0,
        source="pandas.DataFrame",
    )
    for copied in (model, model.copy(), cloudpickle.loads(cloudpickle.dumps(model))):
        assert columns_of(copied["carrier_code"]) == expected
        assert columns_of(copied["days"]).dates == ("day", "at")
    with model:
        assert columns_of(Data("plain_one", [1.0])) is None
    assert columns_of(pm.Normal.dist()) is None


@given(st.permutations([*ROWS, "other", "more"]))
def test_columns_are_matched_by_name(order: list[str]) -> None:
    model = flights(FRAME)
    wide = FRAME.assign(other="text", more=None)[order]
    for variable, reader in match_columns(model, wide).items():
        [[array]] = read_pieces(Layout((reader.column,)), (4,), 4)
        np.testing.assert_array_equal(reader.values(array), variable.get_value())


def test_only_some_containers_may_be_matched() -> None:
    model = flights(FRAME)
    [(variable, reader)] = match_columns(model, FRAME[["late"]], [model["late"]]).items()
    assert (variable.name, reader.name, reader.dtype) == ("late", "late", np.dtype(bool))
    with pm.Model() as other:
        plain = Data("plain", [1.0])
    assert match_columns(other, FRAME) == {}
    with pytest.raises(ValueError, match=r"`variables` must be containers .*\n?.* got 'plain'"):
        match_columns(other, FRAME, [plain])


def test_all_columns_that_are_missing_are_listed() -> None:
    renamed = FRAME.rename(columns={"hour": "hours"}).drop(columns="late")
    with pytest.raises(ValueError, match="must have the columns") as caught:
        match_columns(flights(FRAME), renamed)
    assert str(caught.value) == (
        "The data must have the columns that containers were built from, got a pandas.DataFrame "
        "without 'hour' (for 'x'), 'late' (for 'late').\n"
        "Hint: did you mean 'hours'? The columns are 'hours', 'distance', 'carrier', 'day', 'at'."
    )


def test_matching_reads_no_rows() -> None:
    class Unread(Source):
        fields = by.source({"x": np.zeros(3)}).fields
        blocks = (3,)

        def read(self, block: int, names: Any) -> Any:
            raise AssertionError

    with pm.Model() as model:
        Data("x", {"x": [1.0, 2.0]}, columns="x")
    [reader] = match_columns(model, Unread()).values()
    assert reader.column.names == ("x",)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (
            "hour",
            ["5", "6"],
            "'hour' of data container 'x' must hold numbers or booleans, got text",
        ),
        ("hour", np.array([1, 2], "M8[D]"), "must hold numbers or booleans, got dates"),
        ("hour", np.array([1, 2], "m8[s]"), r"must hold numbers or booleans, got timedelta64\[s\]"),
        ("day", [1.0, 2.0], "'day' of data container 'days' must hold dates, got numbers"),
        ("carrier", [1, 2], "'carrier_code' must hold text or categories, got numbers"),
    ],
)
def test_columns_of_another_kind_are_refused(column: str, values: Any, message: str) -> None:
    new = {name: list(old)[:2] for name, old in ROWS.items()} | {column: values}
    with pytest.raises(TypeError, match=message):
        match_columns(flights(FRAME), new)


def test_values_that_would_be_lost_are_refused() -> None:
    with pm.Model() as model:
        Data("hour", FRAME, columns="hour")
    [reader] = match_columns(model, {"hour": [5.0, 6.5]}).values()
    with pytest.raises(
        ValueError, match=r"^The columns of data container 'hour' must hold values that int64"
    ):
        reader.values(np.array([5.0, 6.5]))
    assert reader.values(np.array([5.0, 6.0])).dtype == np.int64


def test_what_has_no_names_is_refused() -> None:
    with pytest.raises(TypeError, match="`data` must have named columns, got a ndarray"):
        match_columns(flights(FRAME), np.zeros((3, 2)))
    refuses(TypeError, "must have named columns, got a list", [1.0], columns="x")


def test_a_structured_array_and_a_dataarray_have_columns() -> None:
    pairs = np.array([(1.0, 2), (3.0, 4)], dtype=[("a", float), ("b", int)])
    labelled = xr.DataArray([[1, 2], [3, 4]], dims=("row", "name"), coords={"name": ["b", "a"]})
    with pm.Model():
        assert Data("s", pairs, columns=["b", "a"]).get_value().tolist() == [[2, 1], [4, 3]]
        assert Data("d", labelled, columns=["a", "b"]).get_value().tolist() == [[2, 1], [4, 3]]
        assert Data("series", pd.Series([1, 2], name="n"), columns="n").get_value().tolist() == [
            1,
            2,
        ]
        assert Data("pl", pl.Series("n", [1, 2]), columns="n").get_value().tolist() == [1, 2]


def test_a_field_may_have_several_numbers_a_row() -> None:
    with pm.Model() as model:
        pixels = Data("pixels", {"p": np.arange(6.0).reshape(3, 2)}, columns="p", dims=("i", "j"))
    assert pixels.get_value().tolist() == [[0, 1], [2, 3], [4, 5]]
    assert model.coords == {"i": None, "j": None}


def test_the_index_of_the_rows_is_exported() -> None:
    index = pd.Index(["UA1", "AA2"], name="flight")
    frame = FRAME.head(2).set_index(index)
    data = xr.Dataset({"hour": ("flight", [5, 6])}, coords={"flight": list(index)})
    for table, columns in ((frame, ["hour"]), (frame, "hour"), (data, "hour")):
        with pm.Model() as model:
            Data(
                "x",
                table,
                columns=columns,
                dims=("flight", "feature")[: 1 + isinstance(columns, list)],
                export_index_as_coords=True,
            )
        assert model.coords["flight"] == ("UA1", "AA2")
    refuses(
        TypeError,
        "`export_index_as_coords` needs a value with an index",
        pl.DataFrame({"hour": [1]}),
        columns="hour",
        dims="flight",
        export_index_as_coords=True,
    )


def test_labels_of_a_feature_dim_must_be_the_columns() -> None:
    with pm.Model(coords={"feature": ["hour", "distance"]}):
        with pytest.raises(ValueError, match="The dim 'feature' must have one set of labels"):
            Data("x", FRAME, columns=["distance", "hour"], dims=("flight", "feature"))
        Data("x", FRAME, columns=["hour", "distance"], dims=("flight", "feature"))


# Dtypes


def test_the_dtype_is_that_of_the_columns() -> None:
    table = {"small": np.array([1, 2], "int8"), "flag": [True, False], "real": [0.5, 1.5]}
    with pm.Model():
        assert Data("a", table, columns="small").dtype == "int8"
        assert Data("b", table, columns=["small", "flag"]).dtype == "int8"
        assert Data("c", table, columns=["flag"]).dtype == "bool"
        assert Data("d", table, columns=["real", "flag"]).dtype == pytensor.config.floatX
        with pytensor.config.change_flags(floatX="float32"):
            assert Data("e", table, columns="real").dtype == "float32"


def test_integers_beyond_a_float_are_refused_in_a_matrix() -> None:
    table = {"big": [2**53 + 1, 1], "real": [0.5, 1.5]}
    refuses(ValueError, "`big` must keep their value as float64", table, columns=["big", "real"])


# Dates


@given(
    st.lists(st.datetimes(dt.datetime(1850, 1, 1), dt.datetime(2100, 1, 1)), min_size=1, max_size=5)
)
def test_days_are_exact_to_a_microsecond(moments: list[dt.datetime]) -> None:
    with pm.Model():
        days = Data("t", {"t": np.array(moments, dtype="M8[us]")}, columns="t").get_value()
    back = [dt.datetime(1970, 1, 1) + dt.timedelta(days=day) for day in days.tolist()]
    assert back == moments


def test_dates_with_a_zone_are_days_in_utc() -> None:
    local = pd.to_datetime(["2013-01-01T06:00", "2013-07-01T06:00"]).tz_localize("America/New_York")
    with pm.Model():
        for name, frame in {
            "pandas": pd.DataFrame({"t": local}),
            "polars": pl.from_pandas(pd.DataFrame({"t": local})),
            "objects": pd.DataFrame({"t": list(local.to_pydatetime())}, dtype=object),
        }.items():
            days = Data(name, frame, columns="t").get_value()
            np.testing.assert_allclose(days % 1, [11 / 24, 10 / 24], rtol=1e-9)


def test_dates_that_days_do_not_hold_are_refused() -> None:
    nanoseconds = np.array(["2013-01-01T00:00:00.000000001"], dtype="M8[ns]")
    refuses(
        ValueError, "`t` must hold dates that days in float64 keep", {"t": nanoseconds}, columns="t"
    )
    far = np.array(["9999-01-01T00:00:00.000001"], dtype="M8[us]")
    refuses(ValueError, "got 9999-01-01", {"t": far}, columns="t")
    with pytensor.config.change_flags(floatX="float32"):
        noon = np.array(["2013-01-01T12:34"], dtype="M8[m]")
        refuses(ValueError, "must be dates that days in float32 keep", {"t": noon}, columns="t")
        with pm.Model():
            assert Data("t", {"t": noon.astype("M8[D]")}, columns="t").dtype == "float32"


def test_what_is_no_number_is_refused() -> None:
    refuses(TypeError, r"got timedelta64\[s\]", {"t": np.array([1], "m8[s]")}, columns="t")
    refuses(TypeError, "`t` must hold numbers, booleans, dates or text", {"t": [{}]}, columns="t")
    decimals = pl.DataFrame({"t": ["1.5"]}).with_columns(pl.col("t").cast(pl.Decimal(10, 2)))
    refuses(TypeError, "`t` must hold numbers, booleans, dates or text", decimals, columns="t")
    mixed = pd.DataFrame({"t": ["a", 1]}, dtype=object)
    kinds = r"and one kind of them, got 1 \(int\), 'a' \(str\).\nHint: "
    refuses(TypeError, kinds, mixed, columns="t", categories="ts")
    refuses(TypeError, kinds, {"t": ["a", None, 1, "b"]}, columns="t", categories="ts")
    refuses(TypeError, rf"got {2**70} \(int\)", {"t": [2**70]}, columns="t")
    twice = pd.Categorical([1, "1"], categories=[1, "1"])
    differ = "`t` must have categories that differ as text, got 1 and '1'.\nHint: rename"
    refuses(ValueError, differ, {"t": twice}, columns="t", categories="ts")


# Missing values


@pytest.mark.parametrize(
    "values",
    [
        [1.0, None, np.nan],
        np.ma.MaskedArray([1.0, 2.0, 3.0], [False, True, True]),
        pd.array([1, None, None], dtype="Int64"),
        pl.Series([1, None, None]),
        pl.Series([1.0, None, float("nan")]),
        pa.chunked_array([[True, None, None]]),
        np.array(["2013-01-01", "NaT", "NaT"], dtype="M8[D]"),
        [dt.date(2013, 1, 1), None, None],
    ],
)
def test_whatever_is_missing_is_refused(values: Any) -> None:
    message = (
        r"^The columns of data container 'x' must hold no missing values, got some: 'v' in rows "
        r"1, 2\.\nHint: fill them in, or build the container with missing='drop', which leaves such"
    )
    refuses(ValueError, message, {"v": values}, columns="v")
    refuses(ValueError, message, {"v": values}, columns=["v"])


@pytest.mark.parametrize(
    "values",
    [
        ["AA", None, np.nan],
        pd.Series(["AA", None, None]),
        pd.Categorical(["AA", None, None]),
        pl.Series(["AA", None, None], dtype=pl.Enum(["UA", "AA"])),
        pa.chunked_array([pa.array(["AA", None, None]).dictionary_encode()]),
        np.ma.MaskedArray(["AA", "UA", "UA"], [False, True, True]),
    ],
)
def test_a_missing_category_is_refused(values: Any) -> None:
    refuses(ValueError, "'v' in rows 1, 2", {"v": values}, columns="v", categories="vs")


def test_rows_and_columns_of_missing_values_are_named() -> None:
    frame = {"a": [1.0, np.nan, 3.0], "b": [np.nan] * 2 + [1.0], "c": [0, 0, 0]}
    refuses(
        ValueError,
        r"got some: 'b' in rows 0, 1; 'a' in row 1\.",
        frame,
        columns=["b", "c", "a"],
    )
    many = {"a": [np.nan] * 9}
    refuses(ValueError, "'a' in rows 0, 1, 2, 3, 4, and 4 more", many, columns="a")


def test_rows_of_a_piece_are_numbered_on() -> None:
    with pm.Model() as model:
        Data("a", {"a": [1.0]}, columns="a")
    [reader] = match_columns(model, {"a": [1.0, np.nan]}).values()
    with pytest.raises(ValueError, match="'a' in row 1001"):
        reader.values(np.array([1.0, np.nan]), 1000)


def test_other_columns_may_miss_values() -> None:
    with pm.Model():
        for name, table in {
            "dict": {"a": [1.0], "b": [None]},
            "frame": pd.DataFrame({"a": [1.0], "b": [None], 3: [1]}),
            "arrow": pa.table({"a": [1.0], "b": pa.nulls(1)}),
        }.items():
            assert Data(name, table, columns="a").get_value().tolist() == [1.0]


# Arguments


def test_columns_that_are_no_names_are_refused() -> None:
    message = "`columns` of data container 'x' must be a name or a list of names, as text, got "
    for wrong in ([], 3, [1, 2], {"hour"}):
        refuses(TypeError, message, FRAME, columns=wrong)
    refuses(
        ValueError, "must name a column once, got 'hour' twice", FRAME, columns=["hour", "hour"]
    )
    refuses(ValueError, "without 'hours' .for 'x'.", FRAME, columns="hours")


def test_names_that_come_twice_are_refused() -> None:
    twice = pd.DataFrame([[1.0, 2.0, 3.0]], columns=["a", "a", "b"])
    refuses(ValueError, "must differ, got 'a' twice", twice, columns="a")
    with pm.Model():
        assert Data("b", twice, columns="b").get_value().tolist() == [3.0]


def test_arguments_that_go_with_columns_are_refused_without() -> None:
    for option, given_value in {"categories": "c", "unknown": "other", "missing": "drop"}.items():
        message = f"`{option}` of data container 'x' must come with `columns`, got none"
        refuses(ValueError, message, [1.0], **{option: given_value})


def test_arguments_of_another_kind_are_refused() -> None:
    refuses(
        ValueError, "`missing` must be one of .*, got 'fill'", FRAME, columns="late", missing="fill"
    )
    refuses(TypeError, "`categories` .* must be a string", FRAME, columns="carrier", categories=1)
    refuses(ValueError, "`unknown` .* with `categories`", FRAME, columns="carrier", unknown="other")
    refuses(
        ValueError,
        "`categories` .* must come with one column",
        FRAME,
        columns=["carrier"],
        categories="carriers",
    )
    refuses(
        ValueError,
        "`in_memory_size` must come with a source",
        FRAME,
        columns="hour",
        in_memory_size=2,
    )
