"""Frames in memory: dtypes as they are stored, nulls, names; and lazy ones."""

import pickle
from collections.abc import Callable
from typing import Any

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import bayou.sources as by

COLUMNS = {"n": [1, 2, 3, 4], "x": [0.5, 1.5, None, 3.5], "s": ["a", None, "c", "d"]}


def duckdb_relation(table: pa.Table) -> Any:
    connection = duckdb.connect()
    connection.register("held", table)
    return connection.sql("SELECT * FROM held")


MAKERS: dict[str, Callable[[pa.Table], Any]] = {
    "pandas": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": pl.from_arrow,
    "arrow": lambda table: table,
    "narwhals": nw.from_native,
    "polars lazy": lambda table: pl.from_arrow(table).lazy(),
    "duckdb": duckdb_relation,
}
each_library = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def read(source: by.Source, name: str) -> np.ndarray:
    blocks = range(len(source.blocks))
    return np.concatenate([table[name] for block in blocks for table in source.read(block, [name])])


@each_library
def test_nulls_are_refused_where_they_are_met(make: Callable[[pa.Table], Any]) -> None:
    source = by.source(make(pa.table(COLUMNS)))
    assert source.num_rows == 4
    assert read(source, "n").tolist() == [1, 2, 3, 4]
    for name, row in [("x", 2), ("s", 1)]:
        with pytest.raises(ValueError, match=rf"`{name}` must have no nulls, got one in row {row}"):
            read(source, name)
        with pytest.raises(ValueError, match=rf"`{name}` must have no nulls, got one in row {row}"):
            source.take(np.array([0, row]), [name])


@each_library
def test_rows_with_nulls_are_dropped_and_counted(make: Callable[[pa.Table], Any]) -> None:
    source = by.source(make(pa.table(COLUMNS)), nulls="drop")
    assert (source.num_rows, source.num_dropped) == (2, 2)
    assert [read(source, name).tolist() for name in COLUMNS] == [[1, 4], [0.5, 3.5], ["a", "d"]]
    with pytest.raises(ValueError, match=r"got no rows but 2 with a null\."):
        by.source(make(pa.table(COLUMNS)[1:3]), nulls="drop")


@each_library
def test_no_rows(make: Callable[[pa.Table], Any]) -> None:
    with pytest.raises(ValueError, match=r"at least one field and one row, got no rows\."):
        by.source(make(pa.table(COLUMNS)[:0]))


@pytest.mark.parametrize("nothing", [pd.DataFrame(), pl.DataFrame(), pl.LazyFrame(), pa.table({})])
def test_no_fields(nothing: Any) -> None:
    with pytest.raises(ValueError, match=r"at least one field and one row, got no fields\."):
        by.source(nothing)


@each_library
def test_dtypes_are_those_that_are_stored(make: Callable[[pa.Table], Any]) -> None:
    stored = {
        "int8": np.array([1, 2], "int8"),
        "uint16": np.array([1, 2], "uint16"),
        "float32": np.array([1, np.nan], "float32"),
        "bool": np.array([True, False]),
        "stamp": np.array(["2013-01-01T01", "2013-01-02T02"], "M8[us]"),
        "length": np.array([1, 2], "m8[us]"),
    }
    stored_in = pa.table(stored)
    if make in (duckdb_relation,):
        stored_in = stored_in.drop_columns(["length"])  # an INTERVAL, of months and days
    source = by.source(make(stored_in))
    for name in stored_in.column_names:
        assert source.fields[name].dtype == stored[name].dtype
        np.testing.assert_array_equal(read(source, name), stored[name])


def test_days_are_days() -> None:
    days = pa.array([15000, 15001], pa.date32())
    source = by.source(pa.table({"day": days, "milli": days.cast(pa.date64())}))
    assert [field.dtype.str for field in source.fields.values()] == ["<M8[D]", "<M8[ms]"]
    assert read(source, "day").tolist() == read(source, "milli").astype("M8[D]").tolist()


def test_numpy_columns_of_pandas_are_not_copied() -> None:
    frame = pd.DataFrame({"x": np.arange(4.0), "y": np.arange(4.0)})
    source = by.source(frame)
    for name in frame:
        assert np.shares_memory(next(source.read(0, [name]))[name], frame[name].to_numpy())


def test_nan_and_nat_of_numpy_dtypes_are_values() -> None:
    frame = pd.DataFrame({"x": [np.nan, 1.0], "t": pd.to_datetime(["2013-01-01", None])})
    source = by.source(frame, nulls="drop")
    assert source.num_dropped == 0
    assert np.isnat(read(source, "t")).tolist() == [False, True]


def test_missing_text_and_objects_of_pandas_are_null() -> None:
    for column in [pd.Series(["a", np.nan]), pd.Series(["a", np.nan], dtype=object)]:
        with pytest.raises(ValueError, match=r"`s` must have no nulls, got one in row 1\."):
            read(by.source(pd.DataFrame({"s": column})), "s")


def test_a_null_category_is_a_null() -> None:
    frame = pd.DataFrame({"c": pd.Categorical(["u", None, "v"]), "n": [1, 2, 3]})
    with pytest.raises(ValueError, match=r"`c` must have no nulls, got one in row 1\."):
        read(by.source(frame), "c")
    assert read(by.source(frame, nulls="drop"), "c").tolist() == [0, 1]


def test_categories_of_each_library() -> None:
    words, categories = ["v", "u", "v"], ["u", "v"]
    enum = pl.Series(words, dtype=pl.Enum(categories))
    for column, codes in [
        (pl.DataFrame({"c": enum}), [1, 0, 1]),
        (pl.DataFrame({"c": enum}).lazy(), [1, 0, 1]),
        (pd.DataFrame({"c": pd.Categorical(words)}), [1, 0, 1]),
        (pa.table({"c": pa.array(words).dictionary_encode()}), [0, 1, 0]),
    ]:
        source = by.source(column)
        assert source.fields["c"].dtype == np.int32
        named = source.fields["c"].categories
        assert [named[code] for code in read(source, "c")] == words
        assert read(source, "c").tolist() == codes
    numbers = by.source(pd.DataFrame({"c": pd.Categorical([2013, 2014])}))
    assert numbers.fields["c"].categories == ("2013", "2014")


def test_categories_of_a_lazy_frame_that_no_type_knows_are_text() -> None:
    frame = pl.DataFrame({"c": pl.Series(["v", "u"], dtype=pl.Categorical)})
    assert by.source(frame).fields["c"].categories is not None
    source = by.source(frame.lazy())
    assert source.fields["c"] == by.Field("c", np.dtype(object))
    assert read(source, "c").tolist() == ["v", "u"]


def test_chunks_may_have_dictionaries_of_their_own() -> None:
    parts = [pa.array(part).dictionary_encode() for part in (["u", "v"], ["w", "v"])]
    source = by.source(pa.table({"c": pa.chunked_array(parts)}))
    named = source.fields["c"].categories
    assert [named[code] for code in read(source, "c")] == ["u", "v", "w", "v"]


def test_nulls_within_lists_are_nulls() -> None:
    pairs = pa.array([[1, 2], [3, None], None], pa.list_(pa.int64(), 2))
    table = pa.table({"pair": pairs, "n": [0, 1, 2]})
    with pytest.raises(ValueError, match=r"`pair` must have no nulls, got one in row 1\."):
        read(by.source(table), "pair")
    assert read(by.source(table, nulls="drop"), "pair").tolist() == [[1, 2]]
    assert read(by.source(pa.table({"pair": pairs[:1]})), "pair").tolist() == [[1, 2]]


def test_what_is_no_number_is_listed_and_not_fed() -> None:
    source = by.source(pl.DataFrame({"list": [[1], [2, 3]], "x": [1.0, 2.0]}))
    assert source.fields["list"].dtype == np.dtype(object)
    with pytest.raises(TypeError, match=r"got `list` of large_list"):
        source["list"].array(source.take(np.array([0]), ["list"]))


def test_names_must_be_text_and_differ() -> None:
    with pytest.raises(TypeError, match=r"names of fields must be text, got 0\.\nHint: rename the"):
        by.source(pd.DataFrame(np.zeros((2, 2))))
    twice = r"names of fields must differ, got 'a' twice\.\nHint: rename one"
    for frame in (
        pd.DataFrame(np.zeros((2, 2)), columns=["a", "a"]),
        pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]),
    ):
        with pytest.raises(ValueError, match=twice):
            by.source(frame)


def test_a_series_is_one_field() -> None:
    assert list(by.source(pd.Series([1, 2], name="y")).fields) == ["y"]
    assert list(by.source(pd.Series([1, 2])).fields) == ["value"]
    assert list(by.source(pl.Series("y", [1, 2])).fields) == ["y"]
    assert list(by.source(pl.Series([1, 2])).fields) == ["value"]
    assert list(by.source(pa.chunked_array([[1, 2]])).fields) == ["value"]


def test_record_batches_are_frames() -> None:
    batch = pa.RecordBatch.from_pydict({"x": [1.0, 2.0]})
    assert list(by.source(batch).fields) == ["x"]


def test_nulls_of_an_arrow_array_are_no_nan() -> None:
    for obj in (pa.array([1, None]), {"value": pa.array([1, None])}):
        with pytest.raises(ValueError, match=r"`value` must have no nulls, got one in row 1\."):
            by.source(obj)


def test_only_the_frame_is_pickled() -> None:
    frame = pd.DataFrame({"x": pd.array(np.arange(10_000), dtype="Int64")})
    source = by.source(frame)
    size = len(pickle.dumps(source))
    read(source, "x")
    assert len(pickle.dumps(source)) == size


def test_a_relation_is_not_pickled() -> None:
    source = by.source(duckdb_relation(pa.table(COLUMNS)))
    with pytest.raises(
        TypeError, match=r"must not be a DuckDB relation, got one\.\nHint: pass the"
    ):
        pickle.dumps(source)


def test_a_relation_is_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayou.sources.streams.lazy_frame.BLOCK_ROWS", 300)
    source = by.source(duckdb.sql("SELECT range AS n FROM range(1000)"))
    assert source.blocks == (300, 300, 300, 100)
    assert read(source, "n").tolist() == list(range(1000))
    assert source.take(np.array([999, 299, 300]), ["n"])["n"].tolist() == [999, 299, 300]


def test_the_connection_of_a_relation_stays_free_between_blocks() -> None:
    connection = duckdb.connect()
    source = by.source(connection.sql("SELECT range AS n FROM range(1000)"))
    reader = source.read(0, ["n"])
    next(reader)
    assert connection.sql("SELECT 1").fetchall() == [(1,)]


def test_a_lazy_frame_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayou.sources.streams.lazy_frame.PIECE_ROWS", 300)
    source = by.source(pl.LazyFrame({"n": range(1000)}).filter(pl.col("n") >= 100))
    pieces = [len(table["n"]) for table in source.read(0, ["n"])]
    assert sum(pieces) == 900
    assert max(pieces) <= 300


def test_other_lazy_frames_are_refused() -> None:
    frame = nw.from_native(pl.LazyFrame({"x": [1]}))

    class Other:
        implementation = nw.Implementation.PYSPARK

    from bayou.sources.streams.lazy_frame import from_lazy

    assert from_lazy(frame, "refuse").num_rows == 1
    with pytest.raises(TypeError, match=r"lazy frame of Polars or DuckDB, got one of pyspark\.\nH"):
        from_lazy(Other(), "refuse")
