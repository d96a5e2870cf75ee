"""Sources of queries that have not run: Polars LazyFrames and DuckDB relations.

The result is never in memory as a whole. To count the rows, the query runs once when the source is
opened, and twice if rows with nulls are dropped.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn

import narwhals as nw
import pyarrow as pa

from bayou.sources.base.arrow_values import arrow_field, arrow_tables
from bayou.sources.base.field import Field, choose_fields
from bayou.sources.base.named_columns import NamedColumns
from bayou.sources.base.row_numbers import even_blocks
from bayou.sources.base.source import Source
from bayou.sources.in_memory.array import check_not_empty, empty_error
from bayou.sources.in_memory.memory_columns import MemoryColumns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bayou.sources.base.field import Table
    from bayou.sources.base.nulls import Nulls

# Rows of a Polars query that are collected at once.
PIECE_ROWS = 2**16
# Rows of a block of a DuckDB relation. Each block is a query that passes over the blocks before it.
BLOCK_ROWS = 2**18
# A connection of DuckDB runs one query at a time, and a relation does not give its connection, so
# that one lock serves for all of them.
_DUCKDB = Lock()


class LazySource(Source):
    """A query of a data frame library. Dropping rows with nulls is part of the query.

    Parameters
    ----------
    frame : LazyFrame or DuckDBPyRelation
        The query. Its rows must come in the same order whenever it runs.
    nulls : {"refuse", "drop"}
        Make a null an error when it is read, or leave out and count the rows that have one.

    Raises
    ------
    ValueError
        If there are no columns or rows.
    """

    def __init__(self, frame: object, nulls: Nulls) -> None:
        wrapped: nw.LazyFrame[Any] = nw.from_native(frame)
        query = wrapped.drop_nulls() if nulls == "drop" else wrapped
        self._frame = query.to_native()
        schema = query.collect_schema()
        if not schema:
            raise empty_error("no fields")
        types = self._types()
        self._fields = {
            name: arrow_field(name, types[name], _categories(dtype))
            for name, dtype in schema.items()
        }
        self._num_rows = _count(query)
        self._num_dropped = _count(wrapped) - self._num_rows if nulls == "drop" else 0
        check_not_empty(schema, self._num_rows, self._num_dropped)

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name."""
        return self._fields

    @property
    def num_rows(self) -> int:
        """The number of rows of the query, counted when the source was opened."""
        return self._num_rows

    @property
    def num_dropped(self) -> int:
        """The number of rows left out because of nulls."""
        return self._num_dropped

    def grouped(self, names: Sequence[str], count: str) -> LazySource:
        """Return a source of the distinct rows, which the library of the frame finds."""
        query: nw.LazyFrame[Any] = nw.from_native(self._frame)
        counted = query.group_by(names).agg(nw.len().alias(count)).sort(names)
        return from_lazy(counted.with_columns(nw.col(count).cast(nw.Int64)), "refuse")

    @abstractmethod
    def _types(self) -> Mapping[str, pa.DataType]:
        """Return the Arrow types of the columns."""


class PolarsSource(LazySource):
    """A Polars LazyFrame, read as one block by one run of Polars' streaming engine."""

    @property
    def blocks(self) -> Sequence[int]:
        """One block, since a slice of a query may cost as much as all of it."""
        return (self._num_rows,)

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield the rows in pieces, in the order of the query."""
        fields = choose_fields(self._fields, names)
        batches = self._frame.select(names).collect_batches(
            chunk_size=PIECE_ROWS, maintain_order=True
        )
        yield from arrow_tables((batch.to_arrow() for batch in batches), fields, 0)

    def _types(self) -> Mapping[str, pa.DataType]:
        rows = self._frame.head(0).collect()
        try:
            schema = rows.to_arrow().schema
        except pa.ArrowInvalid:
            # Some types of Polars are none of Arrow's, such as integers of 128 bits.
            kinds = ", ".join(f"{name}: {kind}" for name, kind in rows.schema.items())
            raise TypeError(
                f"`obj` must be a query of types that Arrow has, got one with {kinds}.\n"
                "Hint: cast the column first, such as to Int64, or leave it out with `select`."
            ) from None
        return dict(zip(schema.names, schema.types, strict=True))


class RelationSource(LazySource):
    """A DuckDB relation, read by a query for each block, so that none stays open between them.

    The relation must have an order: DuckDB keeps none after a join or an aggregate. Other threads
    must not use its connection while rows are read, and it cannot be pickled. :func:`bayou.sql`
    has neither limit, since it opens connections of its own.
    """

    @property
    def blocks(self) -> Sequence[int]:
        """The number of rows of each block; reading one runs the query up to its end."""
        return even_blocks(self._num_rows, BLOCK_ROWS)

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield the rows of a block as one table."""
        fields = choose_fields(self._fields, names)
        start = block * BLOCK_ROWS
        with _DUCKDB:
            table = self._projected(names).limit(BLOCK_ROWS, start).to_arrow_table()
        yield from arrow_tables([table], fields, start)

    def __reduce__(self) -> NoReturn:
        """Raise TypeError, since a relation belongs to a connection of this process."""
        raise TypeError(
            "A source that is pickled must not be a DuckDB relation, got one.\n"
            "Hint: pass the query and how to connect, bayou.sql(query, connect)."
        )

    def _projected(self, names: Sequence[str]) -> Any:
        return nw.from_native(self._frame).select(*names).to_native()

    def _types(self) -> Mapping[str, pa.DataType]:
        with _DUCKDB:
            schema = self._frame.limit(0).to_arrow_table().schema
        return dict(zip(schema.names, schema.types, strict=True))


def from_lazy(data: nw.LazyFrame[Any], nulls: Nulls) -> LazySource:
    """Return a source of a lazy frame.

    Raises
    ------
    TypeError
        If it is of a library that bayou does not read in blocks.
    """
    if data.implementation.is_polars():
        return PolarsSource(data.to_native(), nulls)
    if data.implementation.is_duckdb():
        return RelationSource(data.to_native(), nulls)
    raise TypeError(
        "`obj` must be a lazy frame of Polars or DuckDB, got one of "
        f"{data.implementation.name.lower()}.\n"
        "Hint: collect it into memory, or write it to Parquet and pass the path to bayou.scan."
    )


def _categories(dtype: nw.dtypes.DType) -> tuple[str, ...] | None:
    """Return the categories that are part of a type.

    Those of other categorical columns are seen in the rows alone, and differ between batches.
    """
    return tuple(dtype.categories) if isinstance(dtype, nw.Enum) else None


def _count(frame: nw.LazyFrame[Any]) -> int:
    with _DUCKDB:
        return int(frame.select(nw.len()).collect().item())


@dataclass(frozen=True, eq=False)
class QueryColumns(NamedColumns):
    """The columns of a query, of which only those that are asked for are computed.

    Attributes
    ----------
    query : narwhals.LazyFrame
        The query.
    """

    query: nw.LazyFrame[Any]

    def open(self, names: Sequence[str]) -> Source:
        """Return a source of some of the columns, which refuses nulls as it is read."""
        return from_lazy(self.query.select(list(dict.fromkeys(names))), "refuse")

    def collect(self, names: Sequence[str]) -> NamedColumns:
        """Run the query for some of the columns."""
        frame = self.query.select(list(dict.fromkeys(names))).collect()
        values = {name: frame[name] for name in frame.columns}
        return MemoryColumns(self.names, self.description, values)
