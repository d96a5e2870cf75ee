"""The source of a query of a database, read as Arrow batches through ADBC or DuckDB.

Each read runs the query again, on a connection of its own, and keeps one batch in memory.
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

# Rows of a batch of DuckDB. ADBC drivers choose a size by themselves.
PIECE_ROWS = 2**16


def sql(query: str, connect: Callable[[], Any], *, nulls: Nulls = "refuse") -> SqlSource:
    """Return a source of the rows of a query.

    The rows must come in the same order whenever the query runs: it needs an ORDER BY that decides
    between any two rows, unless the database keeps an order by itself. The query runs once for each
    pass over the rows, and twice when the source is opened, to get the columns and to count the
    rows. All columns of the query are read in each pass, so select only those that you need.

    Parameters
    ----------
    query : str
        A SELECT statement.
    connect : callable
        Function that returns a new connection of ADBC or DuckDB, such as
        ``functools.partial(adbc_driver_sqlite.dbapi.connect, "flights.db")``. Of a DuckDB
        connection that is open, pass the method ``cursor``. The source can be pickled if the
        function can.
    nulls : {"refuse", "drop"}, default "refuse"
        Make a null an error, or leave out and count the rows that have one.

    Returns
    -------
    SqlSource
        A source without random access, read in pieces as one block.

    Raises
    ------
    TypeError
        If `connect` is not callable, or returns something else than such a connection.
    ValueError
        If two columns have the same name, or there are no columns or rows.

    Examples
    --------
    >>> import duckdb
    >>> from functools import partial
    >>> query = "SELECT range AS day, range % 7 = 0 AS late FROM range(100) ORDER BY day"
    >>> rows = by.sql(query, partial(duckdb.connect, ":memory:"))
    >>> rows.num_rows, list(rows.fields)
    (100, ['day', 'late'])
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
    """The rows of a query of a database, returned by :func:`bayou.sql`.

    It is one block, read in pieces by running the query again. :func:`bayou.shuffle` brings the
    rows into random order on disk, and gives random access to them.
    """

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
        """One block, since a database finds rows by their values and not by their numbers."""
        return (self._num_rows,)

    @property
    def num_rows(self) -> int:
        """The number of rows of the query, counted when the source was opened."""
        return self._num_rows

    @property
    def num_dropped(self) -> int:
        """The number of rows left out because of nulls."""
        return self._num_dropped

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Run the query, and yield its rows in pieces.

        Raises
        ------
        ValueError
            If there is a null that is refused, or the number of rows is another than at first.
        """
        fields = choose_fields(self._fields, names)
        num_read = 0
        with closing(self._connect()) as connection, _reader(connection, self._query) as batches:
            for batch in batches:
                complete = batch.drop_null() if self._nulls == "drop" else batch
                yield from arrow_tables([complete], fields, num_read)
                num_read += complete.num_rows
        if num_read != self._num_rows:
            raise ValueError(
                f"`query` must give the same rows whenever it runs, got {num_read} where "
                f"{self._num_rows} were counted when it was opened.\n"
                "Hint: the table has changed; open the source again, or read a copy of the table."
            )

    def grouped(self, names: Sequence[str], count: str) -> SqlSource:
        """Return a source of the distinct rows, which the database finds."""
        columns = ", ".join(map(_quoted, names))
        known = _all_known(self._fields if self._nulls == "drop" else ())
        query = (
            f"SELECT {columns}, COUNT(*) AS {_quoted(count)} FROM ({self._query}) AS counted"
            f"{known} GROUP BY {columns} ORDER BY {columns}"
        )
        return SqlSource(query, self._connect, "refuse")


def _quoted(name: str) -> str:
    return f'"{name.replace(chr(34), 2 * chr(34))}"'


def _all_known(names: Iterable[str]) -> str:
    """Return the condition that no column of some is null, nothing without columns."""
    conditions = [f"{_quoted(name)} IS NOT NULL" for name in names]
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _fields(connection: Any, query: str) -> dict[str, Field]:
    with _reader(connection, query) as batches:
        check_names(batches.schema.names)
        first = next(iter(batches), None)
        return {
            column.name: arrow_field(
                column.name,
                column.type,
                # The dictionary of an ENUM, which each batch has complete.
                arrow_categories(pa.chunked_array([first[position]]))
                if first is not None and pa.types.is_dictionary(column.type)
                else None,
            )
            for position, column in enumerate(batches.schema)
        }


def _count(connection: Any, query: str, complete: Iterable[str] = ()) -> int:
    """Count the rows of a query, or those without a null in some columns."""
    text = f"SELECT COUNT(*) FROM ({query}) AS counted{_all_known(complete)}"
    with _reader(connection, text) as batches:
        return int(next(iter(batches))[0][0].as_py())


@contextmanager
def _reader(connection: Any, query: str) -> Iterator[pa.RecordBatchReader]:
    """Run a query, and yield a reader of its record batches."""
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
