"""Reads the named columns of a new container: their categories, and all rows or a window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytensor

from bayou.containers.reading.category_table import category_table
from bayou.containers.reading.column_matching import (
    check_has_columns,
    open_columns,
    require_table,
)
from bayou.containers.reading.column_reader import WantedColumns, column_readers
from bayou.containers.reading.columns import ColumnKind, Columns, kind_of
from bayou.containers.reading.dropped_rows import AllRows
from bayou.containers.variables.resident_rows import Resident, read_resident
from bayou.feeding.layout import ColumnLayout
from bayou.feeding.memory import default_window
from bayou.feeding.read import count_block_rows, read_rows
from bayou.sources.derived.recoded import Recoded

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.containers.reading.column_options import ColumnOptions
    from bayou.containers.reading.column_reader import ColumnReader
    from bayou.containers.variables.dims import Numbers
    from bayou.feeding.feed import Arrays
    from bayou.sources.base.source import Column


@dataclass(frozen=True, eq=False)
class NewColumns:
    """The columns of a new container, read.

    Attributes
    ----------
    columns : Columns
        What the container notes about its columns.
    values : ndarray, shape (rows, ...)
        All rows, as the container holds them; the first window of a source that does not fit.
    missing : ndarray of bool, of the same shape
        True where a value is missing.
    labels : pandas.Index or None
        The index of the rows, if the table has one.
    resident : Resident or None
        The window, of a source that does not fit.
    """

    columns: Columns
    values: Numbers
    missing: NDArray[np.bool_]
    labels: pd.Index | None
    resident: Resident | None = None

    @property
    def rows(self) -> AllRows:
        """All rows, and which are to be dropped."""
        if self.columns.missing == "drop":
            return AllRows.without_missing(self.values, self.missing)
        return AllRows.complete(self.values)


def read_new_columns(
    model: pm.Model, value: object, options: ColumnOptions, in_memory_size: int | None
) -> NewColumns:
    """Read the named columns of a table for a new container.

    Parameters
    ----------
    model : pymc.Model
        The model that the container joins; it stays as it is.
    value : frame, dataset, mapping of str to array_like, or Source
        The table.
    options : ColumnOptions
        The columns, and what becomes of them.
    in_memory_size : int or None
        The number of rows of a source to read; None for all that memory is free for.

    Raises
    ------
    TypeError
        If the value has no named columns, or a column is of a kind that the options are not for.
    ValueError
        If columns are missing, values are missing or cannot be represented, or the options need
        all rows of a source that does not fit in memory.
    """
    name, names = options.container, options.names
    argument = f"`value` of data container {name!r}"
    table = require_table(value, f"{argument}, which has `columns`,")
    check_has_columns(table, {name: names})
    if options.missing != "refuse":
        # Nulls of a lazy query must be seen, which a source refuses: collect it.
        table = table.collect(names)
    source = open_columns(table, names, argument)
    fields = [source.fields[column] for column in names]
    options.check_fields(fields)
    categories = None
    if options.categories is not None:
        categories = category_table(
            model, name, source, fields[0], options.categories, options.unknown
        )
    columns = Columns(
        names=names,
        is_matrix=options.is_matrix,
        categories=categories,
        categories_dim=options.categories,
        unknown=options.unknown,
        missing=options.missing,
        num_dropped=0,
        source=table.description,
        dates=tuple(field.name for field in fields if kind_of(field) is ColumnKind.DATES),
        durations=tuple(field.name for field in fields if kind_of(field) is ColumnKind.DURATIONS),
    )
    reader = column_readers(source, {name: WantedColumns(name, columns)})[name]
    if not table.is_in_memory:
        if options.missing == "refuse":
            return _read_source(reader, in_memory_size)
        _check_fits(reader, in_memory_size)
    elif in_memory_size is not None:
        raise ValueError(
            f"`in_memory_size` must come with a source, got {in_memory_size} for a "
            f"{table.description}.\nHint: leave it out; the columns are in memory already."
        )
    return _read_table(reader, table.row_labels(names))


def _read_table(reader: ColumnReader, labels: pd.Index | None) -> NewColumns:
    """Read all rows of columns."""
    [array] = read_all_rows([reader.column])
    values, missing = reader.split_missing(array)
    if reader.columns.missing == "impute" and missing.any():
        # PyMC imputes floats: NaN marks the missing ones.
        floats = replace(reader, dtype=np.dtype(pytensor.config.floatX))
        values, _ = floats.split_missing(array)
    if reader.columns.missing == "refuse":
        reader.check_none_missing(missing)
    return NewColumns(reader.columns, values, missing, labels)


def read_all_rows(columns: Sequence[Column]) -> Arrays:
    """Return all rows of some columns of one source, one array for each column."""
    blocks = count_block_rows(columns[0].source, columns[0].names[0])
    return read_rows(ColumnLayout(tuple(columns)), blocks, 0, sum(blocks))


def _read_source(reader: ColumnReader, in_memory_size: int | None) -> NewColumns:
    """Read rows of a source: all of them, or the first window."""
    column = reader.column.astype(reader.dtype) if reader.dtype.kind == "f" else reader.column
    argument = f"`value` of data container {reader.name!r}"
    resident = read_resident(column, in_memory_size, argument)
    if not resident.is_complete and isinstance(column.source, Recoded):
        # The fit reads later windows from the source itself, without the conversion.
        raise ValueError(
            f"{argument} must fit in memory where text, dates or durations are converted, got "
            f"{resident.size} of {resident.num_rows} rows in memory.\n"
            "Hint: raise `in_memory_size`, or store text as categories (an Arrow dictionary with "
            "the same labels as the dim) and dates or durations as numbers in the source itself."
        )
    values = reader.values(resident.array)
    missing = np.zeros(values.shape, dtype=bool)
    window = None if resident.is_complete else resident
    return NewColumns(reader.columns, values, missing, None, window)


def _check_fits(reader: ColumnReader, in_memory_size: int | None) -> None:
    """Check that all rows of a source are read, so that all of its missing values are seen."""
    column = reader.column
    num_rows = column.num_rows
    if in_memory_size is not None or (
        num_rows is not None and default_window(column.source, column.names) < num_rows
    ):
        raise ValueError(
            f"`missing` of data container {reader.name!r} must be 'refuse' for rows that are not "
            f"all in memory, got {reader.columns.missing!r}.\n"
            "Hint: drop the rows when the source is opened: bayou.scan(..., nulls='drop')."
        )
