"""Queries of a database, read as Arrow batches through ADBC or DuckDB.

Each read runs the query once more, on a connection of its own, and holds one batch.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bayou.sources.base.arrow_values import arrow_categories, arrow_field, arrow_tables
from bayou.sources.base.field import Field, choose_fields
from bayou.sources.base.nulls import check_nulls
from bayou.sources.base.source import Source
from bayou.sources.in_memory.array import check_names, check_not_empty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bayou.sources.base.field import Table
    from bayou.sources.base.nulls import Nulls

PIECE_ROWS = 2**16


def sql(query: str, connect: Callable[[], Any], *, nulls: Nulls = "refuse") -> SqlSource:
    """Return a source of the rows of a query.

    The rows must come in one order whenever the query runs, so it needs an ORDER BY that decides
    between any two rows, unless the database keeps an order by itself. It runs once for each pass
    over the rows, and twice when the source is opened, to know its columns and to count its rows.
    Only the columns that are needed should be in it.

    Parameters
    ----------
    query : str
        A SELECT.
    connect : callable
        Returns a new connection of ADBC or DuckDB, such as
        ``functools.partial(adbc_driver_sqlite.dbapi.connect, "flights.db")``; for a DuckDB
        connection that is open, its method ``cursor``. The source can be pickled where it can.
    nulls : {"refuse", "drop"}, optional
        Make a null an error (the default), or leave out and count the rows that have one.

    Returns
    -------
    SqlSource
        One block, that is read in pieces.

    Raises
    ------
    TypeError
        If `connect` is no callable, or returns no connection of ADBC or DuckDB.
    ValueError
        If two columns have one name, or there are no columns or rows.
    """
    check_nulls(nulls)
    if not callable(connect):
        raise TypeError(
            "`connect` must be a function that returns a new connection, "
            f"got {type(connect).__name__}.\n"
            "Hint: pass functools.partial(connect, ...), or the method connection.cursor of a "
            "DuckDB connection, so that threads do not share a connection."
        )
    return SqlSource(query.strip().rstrip(";"), connect, nulls)


class SqlSource(Source):
    """The rows of a query; made by :func:`sql`."""

    def __init__(self, query: str, connect: Callable[[], Any], nulls: Nulls) -> None:
        self._query = query
        self._connect = connect
        self._nulls = nulls
        with closing(connect()) as connection:
            self._fields = _fields(connection, query)
            total = _count(connection, query)
            self._num_rows = _count(connection, query, self._fields if nulls == "drop" else ())
        self._num_dropped = total - self._num_rows
        check_not_empty(self._fields, self._num_rows, self._num_dropped)

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name."""
        return self._fields

    @property
    def blocks(self) -> Sequence[int]:
        """One: a database finds rows by their values, not by their number."""
        return (self._num_rows,)

    @property
    def num_rows(self) -> int:
        """The rows of the query, as they were counted."""
        return self._num_rows

    @property
    def num_dropped(self) -> int:
        """The rows left out for their nulls."""
        return self._num_dropped

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Run the query, and yield its rows in pieces."""
        fields = choose_fields(self._fields, names)
        read = 0
        with closing(self._connect()) as connection, _reader(connection, self._query) as batches:
            for batch in batches:
                complete = batch.drop_null() if self._nulls == "drop" else batch
                yield from arrow_tables([complete], fields, read)
                read += complete.num_rows
        if read != self._num_rows:
            raise ValueError(
                f"`query` must give the same rows whenever it runs, got {read} where "
                f"{self._num_rows} were counted when it was opened.\n"
                "Hint: the table has changed; open the source again, or read a copy of the table."
            )


def _fields(connection: Any, query: str) -> dict[str, Field]:
    with _reader(connection, query) as batches:
        check_names(batches.schema.names)
        first = next(iter(batches), None)
        return {
            column.name: arrow_field(
                column.name,
                column.type,
                # Of an ENUM, which is whole in every batch.
                arrow_categories(pa.chunked_array([first[place]]))
                if first is not None and pa.types.is_dictionary(column.type)
                else None,
            )
            for place, column in enumerate(batches.schema)
        }


def _count(connection: Any, query: str, complete: Iterable[str] = ()) -> int:
    """Count the rows of a query, or those without a null in some columns."""
    conditions = [f'"{name.replace(chr(34), 2 * chr(34))}" IS NOT NULL' for name in complete]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    with _reader(connection, f"SELECT COUNT(*) FROM ({query}) AS counted{where}") as batches:
        return int(next(iter(batches))[0][0].as_py())


@contextmanager
def _reader(connection: Any, query: str) -> Iterator[Any]:
    """Run a query, and return the reader of its record batches."""
    if hasattr(connection, "sql"):  # DuckDB
        with connection.sql(query).to_arrow_reader(PIECE_ROWS) as batches:
            yield batches
        return
    with closing(connection.cursor()) as cursor:
        if not hasattr(cursor, "fetch_record_batch"):
            raise TypeError(
                "`connect` must return a connection of ADBC or DuckDB, got "
                f"{type(connection).__module__}.{type(connection).__qualname__}.\n"
                "Hint: install the ADBC driver of the database, which reads rows as Arrow, for "
                "example adbc-driver-sqlite or adbc-driver-postgresql."
            )
        cursor.execute(query)
        with cursor.fetch_record_batch() as batches:
            yield batches
