"""Files as other programs write them: each gives the right values, or is refused in a sentence."""

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pymc as pm
import pytest

import bayou.sources as by
from bayou.containers.data import Data
from tests.sources.files.tables import values

type Write = Callable[[Path], Path]


def parquet(column: Any, kind: Any = None, **options: Any) -> Write:
    """Write a column, the last row of which is not null."""

    def write(folder: Path) -> Path:
        array = column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column, kind)
        pq.write_table(pa.table({"v": array}), folder / "a.parquet", **options)
        return folder / "a.parquet"

    return write


def ipc(column: Any) -> Write:
    def write(folder: Path) -> Path:
        with pa.ipc.new_file(folder / "a.arrow", pa.schema([("v", column.type)])) as writer:
            writer.write_table(pa.table({"v": column}))
        return folder / "a.arrow"

    return write


def pandas(series: Any) -> Write:
    def write(folder: Path) -> Path:
        pd.DataFrame({"v": series}).to_parquet(folder / "a.parquet")
        return folder / "a.parquet"

    return write


def polars(series: pl.Series) -> Write:
    def write(folder: Path) -> Path:
        pl.DataFrame({"v": series}).write_parquet(folder / "a.parquet")
        return folder / "a.parquet"

    return write


def spark(folder: Path) -> Path:
    rows = folder / "rows"
    rows.mkdir()
    pq.write_table(pa.table({"v": [1, 2]}), rows / "part-00000-c000.snappy.parquet")
    pq.write_table(pa.table({"v": pa.array([], pa.int32())}), rows / "part-00001.snappy.parquet")
    for name in ("_SUCCESS", ".part-00000-c000.snappy.parquet.crc", "_started_1"):
        (rows / name).write_bytes(b"x")
    pq.write_metadata(pa.schema([("v", pa.int64())]), rows / "_metadata")
    return rows


def empty_groups(folder: Path) -> Path:
    with pq.ParquetWriter(folder / "a.parquet", pa.schema([("v", pa.int64())])) as writer:
        for part in ([], [1, 2], []):
            writer.write_table(pa.table({"v": pa.array(part, pa.int64())}))
    return folder / "a.parquet"


INT96 = {"use_deprecated_int96_timestamps": True}
DAY = dt.datetime(2020, 1, 2, 12)
FAR = dt.datetime(9999, 12, 31)
FLAGS = pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8()))
RUNS = pa.RunEndEncodedArray.from_arrays(pa.array([1, 2], pa.int32()), pa.array([0.5, 1.5]))
ZONED = pd.to_datetime(["2020-01-01", "2020-01-02"]).tz_localize("Europe/Berlin")

RIGHT: dict[str, tuple[Write, Any]] = {
    "decimal": (parquet([Decimal("1.10"), Decimal("-2.25")], pa.decimal128(38, 18)), [1.1, -2.25]),
    "decimal count": (parquet([Decimal(1), Decimal(2)], pa.decimal128(38, 0)), [1, 2]),
    "small decimal": (parquet([Decimal("0.1"), Decimal("0.2")], pa.decimal32(3, 1)), [0.1, 0.2]),
    "polars decimal": (polars(pl.Series(["0.5", "1.5"]).cast(pl.Decimal(9, 1))), [0.5, 1.5]),
    "int96": (
        parquet([DAY, FAR], pa.timestamp("us"), use_deprecated_int96_timestamps=True),
        [DAY, FAR],
    ),
    "zone": (pandas(ZONED), [dt.datetime(2019, 12, 31, 23), dt.datetime(2020, 1, 1, 23)]),
    "time": (parquet([dt.time(1), dt.time(2)], pa.time64("ns")), np.array([1, 2], "m8[h]")),
    "polars time": (polars(pl.Series([dt.time(1), dt.time(2)])), np.array([1, 2], "m8[h]")),
    "duration": (pandas(pd.to_timedelta(["1h", "2h"])), np.array([1, 2], "m8[h]")),
    "date": (parquet([DAY.date()] * 2, pa.date64()), [DAY.date()] * 2),
    "uint64": (parquet([2**63, 2**64 - 1], pa.uint64()), np.array([2**63, 2**64 - 1], "u8")),
    "float16": (parquet(pa.array(np.array([0.5, 1.5], "f2"))), [0.5, 1.5]),
    "bool8": (parquet(FLAGS), [True, False]),
    "runs": (ipc(RUNS), [0.5, 1.5]),
    "nullable": (pandas(pd.array([1, 2], "Int64")), [1, 2]),
    "nullable bool": (pandas(pd.array([True, False], "boolean")), [True, False]),
    "categories": (pandas(pd.Categorical(["b", "a"])), [1, 0]),
    "enum": (polars(pl.Series(["b", "a"], dtype=pl.Enum(["b", "a"]))), [0, 1]),
    "large text": (parquet(["a", "b"], pa.large_string()), ["a", "b"]),
    "text view": (parquet(["a", "b"], pa.string_view()), ["a", "b"]),
    "json": (parquet(pa.ExtensionArray.from_storage(pa.json_(), pa.array(["1", "2"]))), ["1", "2"]),
    "lists of one length": (parquet([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)), [[1, 2], [3, 4]]),
    "polars array": (
        polars(pl.Series([[1.0], [2.0]], dtype=pl.Array(pl.Float64, 1))),
        [[1.0], [2.0]],
    ),
    "dictionary of numbers": (parquet(pa.array([5, 7]).dictionary_encode()), [5, 7]),
    "spark": (spark, [1, 2]),
    "empty row groups": (empty_groups, [1, 2]),
}


@pytest.mark.parametrize(("write", "expected"), RIGHT.values(), ids=RIGHT)
def test_values_are_right(write: Write, expected: Any, tmp_path: Path) -> None:
    found = values(by.scan(write(tmp_path)))["v"]
    if isinstance(expected, list) and isinstance(expected[0], dt.date):
        expected = np.array(expected, "M8[us]")
    np.testing.assert_array_equal(found, expected)


REFUSED: dict[str, tuple[Write, str]] = {
    "struct": (parquet([{"a": 1}, {"a": 2}]), "got struct<a: int64>"),
    "list": (parquet([[1.0], [2.0, 3.0]]), "got list<element: double>"),
    "map": (parquet([[("a", 1)]] * 2, pa.map_(pa.string(), pa.int8())), "got map<string, int8"),
    "bytes": (parquet([b"a", b"b"]), "got binary"),
    "uuid": (parquet([uuid.uuid4().bytes], pa.uuid()), "got extension<arrow.uuid>"),
    "period": (pandas(pd.period_range("2020", periods=2, freq="D")), "got extension<pandas.period"),
    "interval": (pandas(pd.interval_range(0, 2)), "got extension<pandas.interval"),
    "interval of months": (ipc(pa.array([pa.MonthDayNano([1, 2, 3])])), "got month_day_nano"),
    "nulls": (parquet(pa.nulls(2)), "`v` must have no nulls, got one in row 0"),
    "large count": (parquet([Decimal(2**63)], pa.decimal128(38, 0)), "whole numbers that int64"),
    "no rows": (parquet([], pa.int64()), "`what` must hold rows, got none in 1 file, the first"),
}


@pytest.mark.parametrize(("write", "text"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_in_a_sentence(
    write: Write, text: str, tmp_path: Path
) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"{text}.*\n?.*Hint: "), pm.Model():
        Data("v", by.scan(write(tmp_path)), columns="v")


def test_other_columns_are_read_beside_them(tmp_path: Path) -> None:
    table = {"s": [{"a": 1}], "größe µ": [1], "a.b": [2], " sp ": [3]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    source = by.scan(tmp_path / "a.parquet")
    assert list(source.fields) == ["s", "größe µ", "a.b", " sp "]
    found = values(source, "größe µ", "a.b", " sp ")
    assert [column.tolist() for column in found.values()] == [[1], [2], [3]]
