"""Reads the columns that a new data container names: their kinds, categories and rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor

from bayou.containers.reading.column_reader import (
    Columns,
    kind_of,
    opened_columns,
    readers,
    refuse_lacking,
    table_of,
)
from bayou.containers.reading.dropped_rows import AllRows
from bayou.containers.variables.resident_rows import Resident, read_resident
from bayou.feeding.layout import Layout
from bayou.feeding.memory import default_window
from bayou.feeding.read import read_rows
from bayou.feeding.window_reader import count_blocks
from bayou.sources.base.text_codes import as_text_hint, distinct
from bayou.sources.derived.recoded import Recoded
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from bayou.containers.reading.column_reader import ColumnReader
    from bayou.containers.variables.dims import Dims, Labels
    from bayou.sources.base.field import Field
    from bayou.sources.base.source import Column
    from bayou.sources.named_columns import Opened

WAYS = ("refuse", "impute", "drop")


@dataclass(frozen=True, eq=False)
class NewColumns:
    """What a new container is built from.

    Attributes
    ----------
    columns : Columns
        The columns, and what is done with them.
    values : ndarray
        All rows, as the container holds them; those in memory, of a source that is beyond it.
    missing : ndarray of bool, of the same shape
        Which values are missing.
    labels : pandas.Index or None
        Of the rows.
    resident : Resident or None
        The rows in memory, of a source that has more.
    """

    columns: Columns
    values: NDArray[Any]
    missing: NDArray[np.bool_]
    labels: pd.Index[Any] | None
    resident: Resident | None = None

    @property
    def rows(self) -> AllRows:
        """All rows, with those that are to be left out."""
        lacking = np.zeros(len(self.values), dtype=bool)
        if self.columns.missing == "drop":
            lacking = self.missing.reshape(len(lacking), -1).any(axis=1)
        return AllRows(self.values, lacking)

    def feature_labels(self, dims: Dims) -> dict[str, Labels]:
        """Return the names of the columns as labels of the dim of a matrix's last axis, if any."""
        if not self.columns.is_matrix or dims[1] is None:
            return {}
        return {dims[1]: self.columns.names}


@dataclass(frozen=True)
class Options:
    """The arguments of ``Data`` that say what becomes of columns, which were checked."""

    names: tuple[str, ...]
    is_matrix: bool
    categories: str | None
    unknown: str | None
    missing: str


def read_new(
    model: Any, name: str, value: Any, options: Options, in_memory_size: int | None
) -> NewColumns:
    """Read the named columns of a table for a new container."""
    names, missing = options.names, options.missing
    table = table_of(value, f"`value` of data container {name!r}, which has `columns`,")
    refuse_lacking(table, {name: names})
    if missing != "refuse":
        table = table.collected(names)
    opened = opened_columns(table, names, f"`value` of data container {name!r}")
    fields = [opened.source.fields[column] for column in names]
    _check_fields(name, fields, options)
    found = None
    if options.categories is not None:
        found = _table(model, name, opened, fields[0], options.categories, options.unknown)
    columns = Columns(
        names=names,
        is_matrix=options.is_matrix,
        categories=found,
        categories_dim=options.categories,
        unknown=options.unknown,
        missing=missing,
        num_dropped=0,
        source=table.words,
        dates=tuple(field.name for field in fields if kind_of(field) == "dates"),
    )
    reader = readers(opened, {name: (name, columns, None)})[name]
    if table.is_in_memory:
        if in_memory_size is not None:
            raise ValueError(
                f"`in_memory_size` must come with a source, got {in_memory_size} for a "
                f"{table.words}.\nHint: leave it out; the columns are in memory already."
            )
    elif missing == "refuse":
        return _of_source(reader, in_memory_size)
    else:
        _check_whole(name, reader.column, missing, in_memory_size)
    [array] = read_all([reader.column])
    values, lacking = reader.split(array)
    if missing == "impute" and lacking.any():
        values, _ = replace(reader, dtype=np.dtype(pytensor.config.floatX)).split(array)
    if missing == "refuse":
        reader.refuse_missing(lacking)
    return NewColumns(columns, values, lacking, table.labels(names))


def read_all(columns: Sequence[Column]) -> Sequence[NDArray[Any]]:
    """Return all rows of some columns of one source."""
    blocks = count_blocks(columns[0].source, columns[0].names[0])
    return read_rows(Layout(tuple(columns)), blocks, 0, sum(blocks))


def read_options(
    name: str, columns: Any, categories: str | None, unknown: str | None, missing: str
) -> Options:
    """Check the arguments of ``Data`` that say what becomes of columns."""
    if missing not in WAYS:
        raise ValueError(
            f"`missing` must be one of {listed(WAYS)}, got {missing!r}.\n"
            "Hint: 'refuse' makes a missing value an error, 'impute' has PyMC draw it where the "
            "container is observed, and 'drop' leaves out its row."
        )
    options = {"categories": categories, "unknown": unknown}
    for option, given in options.items():
        if given is not None and not isinstance(given, str):
            raise TypeError(
                f"`{option}` of data container {name!r} must be a string, got {given!r}.\n"
                "Hint: `categories='carriers'` names the dim of the categories, `unknown='other'` "
                "the category of all that are not among them."
            )
    if columns is None:
        given_options = [option for option, given in options.items() if given is not None]
        given_options += ["missing"] if missing != "refuse" else []
        if given_options:
            raise ValueError(
                f"`{given_options[0]}` of data container {name!r} must come with `columns`, got "
                "none.\nHint: pass a frame or a dict of arrays, and columns='late'."
            )
    elif unknown is not None and categories is None:
        raise ValueError(
            f"`unknown` of data container {name!r} must come with `categories`, got {unknown!r} "
            "alone.\nHint: name the dim of the categories, such as categories='carriers'."
        )
    elif categories is not None and not isinstance(columns, str):
        raise ValueError(
            f"`categories` of data container {name!r} must come with one column, got "
            f"columns={columns!r}.\n"
            "Hint: make a container of each, such as columns='carrier'; several may share a dim."
        )
    elif categories is not None and missing == "impute":
        raise ValueError(
            f"`missing` of data container {name!r} must be 'refuse' or 'drop' with `categories`, "
            "got 'impute', which would leave NaN among the codes.\n"
            "Hint: fill the column with a category of its own, such as 'unknown', or pass "
            "missing='drop'."
        )
    names = () if columns is None else _read_names(name, columns)
    return Options(names, not isinstance(columns, str), categories, unknown, missing)


def _read_names(name: str, columns: Any) -> tuple[str, ...]:
    """Return the names that the argument `columns` lists."""
    names = (columns,) if isinstance(columns, str) else columns
    listing = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    if not listing or not names:
        raise TypeError(
            f"`columns` of data container {name!r} must be a name or a list of names, as text, got "
            f"{columns!r}.\nHint: columns='late' gives a vector, columns=['distance', 'hour'] a "
            "matrix."
        )
    twice = [column for column in names if names.count(column) > 1]
    if twice:
        raise ValueError(
            f"`columns` of data container {name!r} must name a column once, got {twice[0]!r} "
            "twice.\nHint: leave one of them out."
        )
    return tuple(names)


def _check_fields(name: str, fields: list[Field], options: Options) -> None:
    for field in fields:
        kind = kind_of(field)
        coded = kind == "text or categories"
        if coded and options.categories is None:
            hint = (
                "leave it out, and make a container of it alone"
                if options.is_matrix
                else f"name the dim of its categories, such as categories={field.name + 's'!r}"
            )
            raise TypeError(
                f"The column {field.name!r} of data container {name!r} must hold numbers, booleans "
                f"or dates, got {kind}.\nHint: {hint}; codes stand for them then."
            )
        if not coded and options.categories is not None:
            raise TypeError(
                f"The column {field.name!r} of data container {name!r} must hold text or "
                f"categories where it has `categories`, got {kind}.\nHint: leave `categories` out, "
                f"or {as_text_hint(field.name)}."
            )
        if not coded and kind not in ("numbers or booleans", "dates"):
            raise TypeError(
                f"The column {field.name!r} of data container {name!r} must hold numbers, "
                f"booleans, dates, text or categories, got {kind}.\n"
                "Hint: make numbers of it first, such as with `.dt.total_seconds()`."
            )


def _table(
    model: Any, name: str, opened: Opened, field: Field, dim: str, unknown: str | None
) -> tuple[str, ...]:
    """Return what codes stand for: the labels of the dim if it has some, or what the column has."""
    if dim in model.coords:
        labels = model.coords[dim]
        if labels is None:
            raise ValueError(
                f"`categories` of data container {name!r} must name a dim with labels, got "
                f"{dim!r}, which has none.\nHint: name another dim, or give it labels."
            )
        table = tuple(map(str, labels))
        if unknown is not None and unknown not in table:
            raise ValueError(
                f"`unknown` of data container {name!r} must be a label of the dim {dim!r}, which "
                f"the model has already, got {unknown!r}.\nHint: the labels are {listed(table)}."
            )
    else:
        found = field.categories
        if found is None:
            texts: set[str] = set()
            for block in range(len(opened.source.blocks)):
                for rows in opened.source.read(block, [field.name]):
                    texts |= set(distinct(field, rows[field.name]))
            found = tuple(sorted(texts))
        table = found if unknown is None or unknown in found else (*found, unknown)
    if not table or len(set(table)) < len(table):
        raise ValueError(
            f"`categories` of data container {name!r} must differ, and be one at least, got "
            f"{listed(table) or 'none'}.\nHint: look at the values of the column {field.name!r}."
        )
    return table


def _of_source(reader: ColumnReader, in_memory_size: int | None) -> NewColumns:
    """Read rows of a source: all of them, or as many as are to be in memory."""
    column = reader.column.astype(reader.dtype) if reader.dtype.kind == "f" else reader.column
    what = f"`value` of data container {reader.name!r}"
    resident = read_resident(column, in_memory_size, what)
    if not resident.is_complete and isinstance(column.source, Recoded):
        raise ValueError(
            f"{what} must fit in memory where text or dates are converted, got {resident.size} of "
            f"{resident.num_rows} rows in memory.\n"
            "Hint: raise `in_memory_size`, or write text as categories (an Arrow dictionary with "
            "the same labels as the dim) and dates as numbers where the data are kept."
        )
    values = reader.values(resident.array)
    missing = np.zeros(values.shape, dtype=bool)
    return NewColumns(
        reader.columns, values, missing, None, None if resident.is_complete else resident
    )


def _check_whole(name: str, column: Column, missing: str, in_memory_size: int | None) -> None:
    """Refuse missing values in a source that is not read as a whole."""
    num_rows = column.num_rows
    if in_memory_size is not None or (
        num_rows is not None and default_window(column.source, column.names) < num_rows
    ):
        raise ValueError(
            f"`missing` of data container {name!r} must be 'refuse' for rows that are not all in "
            f"memory, got {missing!r}.\n"
            "Hint: leave out the rows where the source is opened: bayou.scan(..., nulls='drop')."
        )
