"""Queries through ADBC and DuckDB: columns, nulls, changes, and connections that are none."""

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import adbc_driver_sqlite.dbapi
import duckdb
import numpy as np
import pytest

import bayou.sources as by

type Connect = Callable[[], Any]


@pytest.fixture(params=["sqlite", "duckdb"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Connect:
    """Connect to a table of 3000 rows, two of them with a null."""
    path = str(tmp_path / "rows.db")
    connect = (
        partial(adbc_driver_sqlite.dbapi.connect, path)
        if request.param == "sqlite"
        else partial(duckdb.connect, path)
    )
    writing = (sqlite3 if request.param == "sqlite" else duckdb).connect(path)
    writing.execute('CREATE TABLE held ("a b" BIGINT, x DOUBLE, s VARCHAR)')
    writing.execute(
        "WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n < 2999)"
        " INSERT INTO held SELECT n, CASE WHEN n <> 2500 THEN n / 2.0 END,"
        " CASE WHEN n <> 7 THEN 's' END FROM counted"
    )
    writing.commit()
    writing.close()
    return connect


def test_fields_and_rows(connect: Connect) -> None:
    source = by.sql('SELECT "a b", x * 2 AS twice FROM held WHERE x < 10 ORDER BY 1 DESC', connect)
    assert [field.dtype.name for field in source.fields.values()] == ["int64", "float64"]
    assert (source.num_rows, source.blocks, source.random_access) == (20, (20,), False)
    assert source.take(np.array([0, 19]), ["a b"])["a b"].tolist() == [19, 0]


def test_nulls_are_refused_with_their_row(connect: Connect) -> None:
    source = by.sql("SELECT * FROM held ORDER BY 1", connect)
    for name, row in [("s", 7), ("x", 2500)]:
        with pytest.raises(ValueError, match=rf"`{name}` must have no nulls, got one in row {row}"):
            list(source.read(0, [name]))
    assert sum(len(table["a b"]) for table in source.read(0, ["a b"])) == 3000


def test_rows_with_nulls_are_dropped_and_counted(connect: Connect) -> None:
    source = by.sql("SELECT * FROM held ORDER BY 1", connect, nulls="drop")
    assert (source.num_rows, source.num_dropped) == (2998, 2)
    rows = np.concatenate([table["a b"] for table in source.read(0, ["a b"])])
    assert sorted({*range(3000)} - {*rows.tolist()}) == [7, 2500]


def test_a_table_that_changes(connect: Connect) -> None:
    source = by.sql("SELECT * FROM held ORDER BY 1", connect)
    with connect() as connection:
        connection.cursor().execute("DELETE FROM held WHERE x < 1").close()
        connection.commit()
    changed = r"`query` must give the same rows whenever it runs, got 2998 where 3000 were counted"
    with pytest.raises(ValueError, match=changed):
        list(source.read(0, ["a b"]))


def test_no_rows(connect: Connect) -> None:
    with pytest.raises(ValueError, match=r"at least one field and one row, got no rows\."):
        by.sql("SELECT * FROM held WHERE x < 0", connect)
    with pytest.raises(ValueError, match=r"got no rows but 1 with a null\."):
        by.sql('SELECT * FROM held WHERE "a b" = 7', connect, nulls="drop")


def test_names_must_differ(connect: Connect) -> None:
    with pytest.raises(ValueError, match=r"names of fields must differ, got 'x' twice\."):
        by.sql("SELECT x, x FROM held", connect)


def test_faults_of_the_database_are_its_own(connect: Connect) -> None:
    with pytest.raises(Exception, match="nowhere"):
        by.sql("SELECT * FROM nowhere", connect)


def test_cursors_of_an_open_duckdb_connection() -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE held AS SELECT range AS n FROM range(100000)")
    source = by.sql("SELECT * FROM held", connection.cursor)
    reading = source.read(0, ["n"])
    assert len(next(reading)["n"]) < 100000
    assert connection.sql("SELECT count(*) FROM held").fetchall() == [(100000,)]


def test_connect_must_be_a_function() -> None:
    connection = duckdb.connect()
    wrong = (
        r"must be a function that returns a new connection, got DuckDBPyConnection\.\nHint: pass"
    )
    with pytest.raises(TypeError, match=wrong):
        by.sql("SELECT 1", connection)


def test_connections_must_read_arrow() -> None:
    wrong = (
        r"connection of ADBC or DuckDB, got sqlite3\.Connection\.\nHint: install the ADBC driver"
    )
    with pytest.raises(TypeError, match=wrong):
        by.sql("SELECT 1", partial(sqlite3.connect, ":memory:"))


def test_ways_with_nulls_are_checked() -> None:
    with pytest.raises(ValueError, match=r"`nulls` must be one of 'refuse', 'drop', got 'keep'\."):
        by.sql("SELECT 1", duckdb.connect, nulls="keep")
