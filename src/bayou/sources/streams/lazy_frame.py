"""Frames that are a query yet: Polars LazyFrames and DuckDB relations, never collected whole.

The count of rows costs one run of the query, when the source is opened.
"""

from __future__ import annotations

from abc import abstractmethod
from threading import Lock
from typing import TYPE_CHECKING, Any

import narwhals as nw

from bayou.sources.base.arrow_values import arrow_field, arrow_tables
from bayou.sources.base.field import Field, choose_fields
from bayou.sources.base.source import Source, even_blocks
from bayou.sources.in_memory.array import check_not_empty, empty_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bayou.sources.base.field import Table
    from bayou.sources.base.nulls import Nulls

# Rows that are collected at once.
PIECE_ROWS = 2**16
BLOCK_ROWS = 2**18
# A connection of DuckDB refuses a second query while it runs one, and a relation hides its own.
_DUCKDB = Lock()


class LazySource(Source):
    """A query of a dataframe library, with its nulls refused or dropped by the query itself.

    Parameters
    ----------
    frame : LazyFrame or DuckDBPyRelation
        The query, whose rows must come in one order whenever it runs.
    nulls : {"refuse", "drop"}
        What to do with nulls.

    Raises
    ------
    ValueError
        If there are no columns or rows.
    """

    def __init__(self, frame: Any, nulls: Nulls) -> None:
        wrapped: nw.LazyFrame[Any] = nw.from_native(frame)
        kept = wrapped.drop_nulls() if nulls == "drop" else wrapped
        self._frame = kept.to_native()
        schema = kept.collect_schema()
        if not schema:
            raise empty_error("no fields")
        types = self._types()
        self._fields = {
            name: arrow_field(name, types[name], _categories(dtype))
            for name, dtype in schema.items()
        }
        self._num_rows = _count(kept)
        self._num_dropped = _count(wrapped) - self._num_rows if nulls == "drop" else 0
        check_not_empty(schema, self._num_rows, self._num_dropped)

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name."""
        return self._fields

    @property
    def num_rows(self) -> int:
        """The rows of the query, as they were counted."""
        return self._num_rows

    @property
    def num_dropped(self) -> int:
        """The rows left out for their nulls."""
        return self._num_dropped

    @abstractmethod
    def _types(self) -> Mapping[str, Any]:
        """Return the Arrow types of the columns."""


class PolarsSource(LazySource):
    """A Polars LazyFrame: one block, that streams through Polars' engine in a single run."""

    @property
    def blocks(self) -> Sequence[int]:
        """One: a slice of a query may cost as much as all of it."""
        return (self._num_rows,)

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield the rows in pieces, in the order of the query."""
        fields = choose_fields(self._fields, names)
        batches = self._frame.select(names).collect_batches(
            chunk_size=PIECE_ROWS, maintain_order=True
        )
        yield from arrow_tables((batch.to_arrow() for batch in batches), fields, 0)

    def _types(self) -> Mapping[str, Any]:
        schema = self._frame.head(0).collect().to_arrow().schema
        return dict(zip(schema.names, schema.types, strict=True))


class RelationSource(LazySource):
    """A DuckDB relation: each block is a query of its own, since a connection runs one at a time.

    The relation needs an order where DuckDB keeps none (after a join or an aggregate), and its
    connection must not be used by other threads while rows are read. It cannot be pickled. Where
    that is too little, read the query through a connection of its own with `bayou.sql`.
    """

    @property
    def blocks(self) -> Sequence[int]:
        """Stretches of rows, each found by running the query up to its end."""
        return even_blocks(self._num_rows, BLOCK_ROWS)

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield the rows of a block at once."""
        fields = choose_fields(self._fields, names)
        start = block * BLOCK_ROWS
        with _DUCKDB:
            table = self._projected(names).limit(BLOCK_ROWS, start).to_arrow_table()
        yield from arrow_tables([table], fields, start)

    def __reduce__(self) -> tuple[Any, ...]:
        """Refuse to be pickled: the relation belongs to a connection of this process."""
        raise TypeError(
            "A source that is pickled must not be a DuckDB relation, got one.\n"
            "Hint: pass the query and how to connect, bayou.sql(query, connect)."
        )

    def _projected(self, names: Sequence[str]) -> Any:
        return nw.from_native(self._frame).select(*names).to_native()

    def _types(self) -> Mapping[str, Any]:
        with _DUCKDB:
            schema = self._frame.limit(0).to_arrow_table().schema
        return dict(zip(schema.names, schema.types, strict=True))


def from_lazy(frame: nw.LazyFrame[Any], nulls: Nulls) -> LazySource:
    """Return a source of a lazy frame.

    Raises
    ------
    TypeError
        If it is of a library that bayou does not read in blocks.
    """
    if frame.implementation.is_polars():
        return PolarsSource(frame.to_native(), nulls)
    if frame.implementation.is_duckdb():
        return RelationSource(frame.to_native(), nulls)
    raise TypeError(
        "`obj` must be a lazy frame of Polars or DuckDB, got one of "
        f"{frame.implementation.name.lower()}.\n"
        "Hint: collect it into memory, or write it to Parquet and pass the path to bayou.scan."
    )


def _categories(dtype: Any) -> tuple[str, ...] | None:
    """Return the categories that a type itself knows; others would differ between batches."""
    return tuple(dtype.categories) if isinstance(dtype, nw.Enum) else None


def _count(frame: nw.LazyFrame[Any]) -> int:
    with _DUCKDB:
        return int(frame.select(nw.len()).collect().item())
