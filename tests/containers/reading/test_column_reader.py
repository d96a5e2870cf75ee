"""Rows of columns as values of a container: dtypes, dates, missing values."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pymc as pm
import pytensor
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.containers.data import Data
from bayou.containers.reading.column_matching import match_columns, require_table
from bayou.containers.set_data import set_data
from tests.containers.helpers import columns_refuse
from tests.containers.tables import FRAME, ROWS, flights


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (
            "hour",
            ["5", "6"],
            "'hour' of data container 'x' must hold numbers or booleans, got text",
        ),
        ("hour", np.array([1, 2], "M8[D]"), "must hold numbers or booleans, got dates"),
        ("hour", np.array([1, 2], "m8[s]"), r"must hold numbers or booleans, got durations"),
        ("day", [1.0, 2.0], "'day' of data container 'days' must hold dates, got numbers"),
        ("carrier", [1, 2], "'carrier_code' must hold text or categories, got numbers"),
    ],
)
def test_columns_of_another_kind_are_refused(column: str, values: Any, message: str) -> None:
    new = {name: list(old)[:2] for name, old in ROWS.items()} | {column: values}
    with pytest.raises(TypeError, match=message):
        match_columns(flights(FRAME), require_table(new, "`data`"))


def test_values_that_would_be_lost_are_refused() -> None:
    with pm.Model() as model:
        Data("hour", FRAME, columns="hour")
    [reader] = match_columns(model, require_table({"hour": [5.0, 6.5]}, "`data`")).values()
    with pytest.raises(
        ValueError, match=r"^The columns of data container 'hour' must hold values that int64"
    ):
        reader.values(np.array([5.0, 6.5]))
    assert reader.values(np.array([5.0, 6.0])).dtype == np.int64


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
    columns_refuse(
        ValueError, "`big` must keep their value as float64", table, columns=["big", "real"]
    )


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
    columns_refuse(
        ValueError, "`t` must hold dates that days in float64 keep", {"t": nanoseconds}, columns="t"
    )
    far = np.array(["9999-01-01T00:00:00.000001"], dtype="M8[us]")
    columns_refuse(ValueError, "got 9999-01-01", {"t": far}, columns="t")
    with pytensor.config.change_flags(floatX="float32"):
        noon = np.array(["2013-01-01T12:34"], dtype="M8[m]")
        columns_refuse(
            ValueError, "must be dates that days in float32 keep", {"t": noon}, columns="t"
        )
        with pm.Model():
            assert Data("t", {"t": noon.astype("M8[D]")}, columns="t").dtype == "float32"


HOURS = [dt.timedelta(hours=6), dt.timedelta(days=2)]
CLOCK = [dt.time(6), dt.time(18, 0, 0, 1)]


@pytest.mark.parametrize(
    ("values", "days"),
    [
        (np.array([6, 48], "m8[h]"), [0.25, 2]),
        (pd.Series(HOURS), [0.25, 2]),
        (pl.Series(HOURS), [0.25, 2]),
        (pa.array(HOURS), [0.25, 2]),
        (np.array(HOURS, object), [0.25, 2]),
        (CLOCK, [0.25, 0.75 + 1e-6 / 86400]),
        (pl.Series(CLOCK), [0.25, 0.75 + 1e-6 / 86400]),
        (pa.array(CLOCK, pa.time64("ns")), [0.25, 0.75 + 1e-6 / 86400]),
        (pa.array(CLOCK[:1] * 2, pa.time32("s")), [0.25, 0.25]),
    ],
)
def test_durations_and_times_of_day_are_days(values: Any, days: list[float]) -> None:
    with pm.Model() as model:
        wait = Data("wait", {"t": values}, columns="t")
        np.testing.assert_allclose(wait.get_value(), days, rtol=1e-15)
        set_data({"wait": pd.Series([dt.timedelta(hours=12)])}, model)
        assert wait.get_value().tolist() == [0.5]
        with pytest.raises(TypeError, match="'wait' must hold durations or times of day, got n"):
            match_columns(model, require_table({"t": [1.0]}, "`data`"))


@pytest.mark.parametrize(
    "values",
    [
        pa.array([Decimal(1), Decimal(3)], pa.decimal128(9, 1)),
        pl.Series([1, 3]).cast(pl.Decimal(9, 1)),
        pd.array([Decimal(1), Decimal(3)], pd.ArrowDtype(pa.decimal128(9, 1))),
        [Decimal(1), Decimal("3.0")],
        np.array([Decimal("1.0"), Decimal(3)], object),
    ],
)
def test_decimals_are_floats(values: Any) -> None:
    with pm.Model():
        price = Data("price", {"p": values}, columns="p")
    assert price.dtype == "float64"
    assert price.get_value().tolist() == [1.0, 3.0]


def test_what_is_no_number_is_refused() -> None:
    columns_refuse(
        TypeError, "`t` must hold numbers, booleans, dates or text", {"t": [{}]}, columns="t"
    )
    lists = pl.DataFrame({"t": [[1.5], [1.0, 2.0]]})
    columns_refuse(TypeError, "`t` must hold numbers, booleans, dates or text", lists, columns="t")
    wide = pl.DataFrame({"t": [1]}, schema={"t": pl.Int128})
    columns_refuse(TypeError, "`t` must hold .* got Int128", wide, columns="t")
    mixed = pd.DataFrame({"t": ["a", 1]}, dtype=object)
    kinds = r"and one kind of them, got 1 \(int\), 'a' \(str\).\nHint: "
    columns_refuse(TypeError, kinds, mixed, columns="t", categories="ts")
    columns_refuse(TypeError, kinds, {"t": ["a", None, 1, "b"]}, columns="t", categories="ts")
    columns_refuse(TypeError, rf"got {2**70} \(int\)", {"t": [2**70]}, columns="t")
    twice = pd.Categorical([1, "1"], categories=[1, "1"])
    differ = "`t` must have categories that differ as text, got 1 and '1'.\nHint: rename"
    columns_refuse(ValueError, differ, {"t": twice}, columns="t", categories="ts")


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
    columns_refuse(ValueError, message, {"v": values}, columns="v")
    columns_refuse(ValueError, message, {"v": values}, columns=["v"])


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
    columns_refuse(ValueError, "'v' in rows 1, 2", {"v": values}, columns="v", categories="vs")


def test_rows_and_columns_of_missing_values_are_named() -> None:
    frame = {"a": [1.0, np.nan, 3.0], "b": [np.nan] * 2 + [1.0], "c": [0, 0, 0]}
    columns_refuse(
        ValueError,
        r"got some: 'b' in rows 0, 1; 'a' in row 1\.",
        frame,
        columns=["b", "c", "a"],
    )
    many = {"a": [np.nan] * 9}
    columns_refuse(ValueError, "'a' in rows 0, 1, 2, 3, 4, and 4 more", many, columns="a")


def test_rows_of_a_piece_are_numbered_on() -> None:
    with pm.Model() as model:
        Data("a", {"a": [1.0]}, columns="a")
    [reader] = match_columns(model, require_table({"a": [1.0, np.nan]}, "`data`")).values()
    with pytest.raises(ValueError, match="'a' in row 1001"):
        reader.values(np.array([1.0, np.nan]), 1000)
