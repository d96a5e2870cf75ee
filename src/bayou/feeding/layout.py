"""The layout of fed rows in memory: one array an input, in which a row is contiguous."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayou.sources.base.field import check_no_text

if TYPE_CHECKING:
    from bayou.feeding.feed import Arrays, Slots
    from bayou.sources.base.field import Field, Table
    from bayou.sources.base.source import Column, Source

# Rows are written in tiles of this size, field by field. A tile stays in the second-level cache of
# a core, some 1 MB, until its last field is written.
TILE_BYTES = 2**19


@dataclass(frozen=True, eq=False)
class ColumnLayout:
    """The arrays of some columns of one source.

    Parameters
    ----------
    columns : tuple of Column
        The column of each array: a field, or several fields as the columns of a matrix.

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
        """The source of the rows."""
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
        """The size in bytes of one row of all arrays."""
        return sum(
            int(np.prod(column.shape, dtype=np.int64)) * column.dtype.itemsize
            for column in self.columns
        )

    def empty(self, num_rows: int) -> Arrays:
        """Return uninitialized arrays for a number of rows."""
        return tuple(np.empty((num_rows, *column.shape), column.dtype) for column in self.columns)

    def check(self, table: Table) -> int:
        """Check that a table that was read is as the fields say, and return its number of rows.

        Raises
        ------
        ValueError
            If dtypes, row shapes or lengths differ.
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

    def write(self, table: Table, arrays: Slots) -> None:
        """Write all rows of a table into arrays of the same number of rows."""
        num_rows = len(arrays[0])
        length = max(1, TILE_BYTES // max(1, self.row_bytes))
        for first in range(0, num_rows, length):
            cut = slice(first, first + length)
            # Views, not copies.
            tile = {name: table[name][cut] for name in self.names}
            for column, array in zip(self.columns, arrays, strict=True):
                column.array(tile, array[cut])
