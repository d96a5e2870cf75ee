"""Queries that did not run: Polars streams them, DuckDB runs one for each block."""

from __future__ import annotations

import pickle
from typing import Any

import duckdb
import narwhals as nw
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import bayou.sources as by
from bayou.sources.streams import lazy_frame
from bayou.sources.streams.lazy_frame import PolarsSource, RelationSource, from_lazy

TABLE = pa.table({"n": np.arange(10), "x": [None if n % 4 == 3 else n / 2 for n in range(10)]})


def polars(table: pa.Table = TABLE) -> Any:
    return pl.from_arrow(table).lazy()


def relation(table: pa.Table = TABLE) -> Any:
    connection = duckdb.connect()
    connection.register("held", table)
    return connection.sql("SELECT * FROM held ORDER BY n")


BOTH = pytest.mark.parametrize("query", [polars, relation])


def read(source: by.Source, name: str) -> list[Any]:
    tables = (table for block in range(len(source.blocks)) for table in source.read(block, [name]))
    return [value for table in tables for value in table[name].tolist()]


@BOTH
def test_rows_come_in_the_order_of_the_query(query: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy_frame, "BLOCK_ROWS", 4)
    monkeypatch.setattr(lazy_frame, "PIECE_ROWS", 3)
    source = by.source(query())
    assert source.num_rows == 10
    assert source.blocks == ((10,) if query is polars else (4, 4, 2))
    assert not source.random_access
    assert read(source, "n") == list(range(10))
    assert source.take(np.array([9, 0, 5]), ["n"])["n"].tolist() == [9, 0, 5]


@BOTH
def test_nulls_are_refused_when_they_are_read(query: Any) -> None:
    source = by.source(query())
    with pytest.raises(ValueError, match="`x` must have no nulls, got one in row 3"):
        read(source, "x")
    assert read(source, "n") == list(range(10))


@BOTH
def test_rows_with_nulls_are_dropped_by_the_query(query: Any) -> None:
    source = by.source(query(), nulls="drop")
    assert (source.num_rows, source.num_dropped) == (8, 2)
    assert read(source, "n") == [0, 1, 2, 4, 5, 6, 8, 9]


@BOTH
def test_queries_without_rows_are_refused(query: Any) -> None:
    with pytest.raises(ValueError, match="at least one field and one row, got no rows"):
        by.source(query(TABLE.slice(0, 0)))
    nulls = pa.table({"n": pa.array([None, None], pa.int64())})
    with pytest.raises(ValueError, match="got no rows but 2 with a null"):
        by.source(query(nulls), nulls="drop")


def test_categories_are_those_of_the_type() -> None:
    frame = pl.DataFrame({"c": ["b", "a"]}).lazy()
    source = by.source(frame.with_columns(pl.col("c").cast(pl.Enum(["b", "a", "z"]))))
    assert source.fields["c"].categories == ("b", "a", "z")
    assert read(source, "c") == [0, 1]


def test_polars_queries_are_pickled_and_relations_are_not() -> None:
    assert read(pickle.loads(pickle.dumps(by.source(polars()))), "n") == list(range(10))
    with pytest.raises(
        TypeError, match=r"must not be a DuckDB relation, got one\.\nHint: pass the"
    ):
        pickle.dumps(by.source(relation()))


def test_each_library_has_its_class() -> None:
    assert isinstance(from_lazy(nw.from_native(polars()), "refuse"), PolarsSource)
    assert isinstance(from_lazy(nw.from_native(relation()), "refuse"), RelationSource)


def test_other_libraries_are_refused() -> None:
    class Other:
        class implementation:  # noqa: N801
            name = "DASK"
            is_polars = is_duckdb = staticmethod(lambda: False)

    with pytest.raises(TypeError, match=r"lazy frame of Polars or DuckDB, got one of dask\.\nHint"):
        from_lazy(Other(), "refuse")  # type: ignore[arg-type]


def test_types_that_arrow_lacks_are_refused() -> None:
    frame = pl.LazyFrame({"n": [1]}, schema={"n": pl.Int128})
    with pytest.raises(TypeError, match=r"types that Arrow has, got one with n: Int128"):
        by.source(frame)
