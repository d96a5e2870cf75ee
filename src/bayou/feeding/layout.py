"""How rows lie in memory: one array a column, with the values of a row side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.sources.base.field import check_no_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bayou.feeding.feed import Arrays
    from bayou.sources.base.field import Field, Table
    from bayou.sources.base.source import Column, Source

# Rows whose fields are written one after the other: they are still in the cache for the last.
TILE_BYTES = 2**19


@dataclass(frozen=True, eq=False)
class Layout:
    """The arrays of some columns of one source.

    Parameters
    ----------
    columns : tuple of Column
        What each array holds.

    Raises
    ------
    TypeError
        If a field is text.
    ValueError
        If the columns are of several sources, or if there are none.
    """

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        """Check that the columns can be fed together."""
        if not self.columns:
            raise ValueError(
                "`columns` must hold at least one column, got none.\n"
                'Hint: name fields of the source, such as columns=["x", "y"].'
            )
        if any(column.source is not self.source for column in self.columns):
            raise ValueError(
                "`columns` must be of one source, got columns of several.\n"
                "Hint: take all of them from the same source, so that their rows are the same."
            )
        check_no_text(self.fields)

    @property
    def source(self) -> Source:
        """Where the rows are."""
        return self.columns[0].source

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The fields that are read, each once."""
        named = {field.name: field for column in self.columns for field in column.fields}
        return tuple(named.values())

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the fields that are read."""
        return tuple(field.name for field in self.fields)

    @cached_property
    def row_bytes(self) -> int:
        """The size of one row of all arrays."""
        return sum(
            int(np.prod(column.shape, dtype=np.int64)) * column.dtype.itemsize
            for column in self.columns
        )

    def empty(self, num_rows: int) -> Arrays:
        """Return arrays for so many rows."""
        return tuple(np.empty((num_rows, *column.shape), column.dtype) for column in self.columns)

    def check(self, table: Table) -> int:
        """Return the rows of a table that was read; refuse one that is not as the fields say.

        Raises
        ------
        ValueError
            If dtypes, row shapes or lengths are others.
        """
        num_rows = len(table[self.names[0]])
        for field in self.fields:
            values = table[field.name]
            if values.dtype != field.dtype or values.shape != (num_rows, *field.shape):
                raise ValueError(
                    f"`source` must yield {field.dtype} of shape {(num_rows, *field.shape)} for "
                    f"field {field.name!r}, got {values.dtype} of shape {values.shape}.\n"
                    "Hint: the data changed since the source was opened, or its `fields` are wrong."
                )
        return num_rows

    def write(self, table: Table, arrays: Sequence[NDArray[Any]]) -> None:
        """Write all rows of a table, as many as the arrays have."""
        num_rows = len(arrays[0])
        length = max(1, TILE_BYTES // max(1, self.row_bytes))
        for first in range(0, num_rows, length):
            cut = slice(first, first + length)
            tile = {name: table[name][cut] for name in self.names}
            for column, array in zip(self.columns, arrays, strict=True):
                column.array(tile, array[cut])
