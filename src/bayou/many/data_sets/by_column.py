"""The data sets of a table: the rows that share a value of one column, in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.containers.reading.columns import columns_of
from bayou.feeding.read import read_tables
from bayou.sources.in_memory.memory_columns import MemoryColumns
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.many.results.outcome import Key
    from bayou.sources.base.field import Field, Table
    from bayou.sources.base.named_columns import NamedColumns


@dataclass(frozen=True, eq=False)
class GroupedTable:
    """The rows of a table in groups, one for each value of a column.

    Attributes
    ----------
    keys : list of str or int
        The values, sorted.
    row_numbers : list of ndarray of int
        The rows of each group, in their order in the table.
    columns : dict of str to ndarray, shape (rows,)
        The columns that containers were built from.
    index : pandas.Index or None
        Labels of the rows.
    kind : str
        The type of the table, for errors.
    """

    keys: list[Key]
    row_numbers: list[NDArray[np.intp]]
    columns: Table
    index: pd.Index | None
    kind: str

    def __iter__(self) -> Iterator[tuple[Key, MemoryColumns]]:
        """Yield keys with the tables of their rows."""
        for key, rows in zip(self.keys, self.row_numbers, strict=True):
            columns = {name: array[rows] for name, array in self.columns.items()}
            index = None if self.index is None else self.index[rows]
            yield key, MemoryColumns(tuple(columns), self.kind, columns, index)


def group_rows(model: pm.Model, table: NamedColumns, by: str) -> GroupedTable:
    """Group the rows of a table by a column.

    Parameters
    ----------
    model : pymc.Model
        The model whose containers were built from other columns of such a table.
    table : NamedColumns
    by : str
        The column of the keys.

    Raises
    ------
    TypeError
        If the values of `by` are neither text nor whole numbers.
    ValueError
        If there is no such column, one of its values is missing, or the table has no column that a
        container was built from.
    """
    if by not in table.names:
        raise ValueError(
            f"`by` must name a column of the table, got {by!r}.\n"
            f"Hint: the columns are {listed(tuple(map(str, table.names)))}."
        )
    used = {
        name
        for variable in model.root.data_vars
        if (columns := columns_of(variable)) is not None
        for name in columns.names
        if name in table.names
    }
    if not used:
        raise ValueError(
            "`datasets` with `by` must have columns that containers of the model were built from, "
            f"got {listed(tuple(map(str, table.names)))}.\n"
            "Hint: build the containers with `columns=`, or pass a mapping of keys to data."
        )
    names = sorted({*used, by})
    values = _read_columns(table, names)
    keys, group_of_row = _unique_keys(by, values[by])
    # A stable sort leaves the rows of a group in their order.
    order = np.argsort(group_of_row, kind="stable")
    row_numbers = np.split(order, np.flatnonzero(np.diff(group_of_row[order])) + 1)
    used_values = {name: values[name] for name in sorted(used)}
    return GroupedTable(keys, row_numbers, used_values, table.row_labels(names), table.description)


def _read_columns(table: NamedColumns, names: list[str]) -> Table:
    """Read columns of a table into memory, text as objects."""
    source = table.collect(names).open(names)
    tables = list(read_tables(source, names))
    return {
        name: _decode(source.fields[name], np.concatenate([table[name] for table in tables]))
        for name in names
    }


def _decode(field: Field, values: NDArray[Any]) -> NDArray[Any]:
    """Return the text of codes, None where it is missing (code -1); other values as they are."""
    if field.categories is not None:
        values = np.array([*field.categories, None], dtype=object)[values]
    return values


def _unique_keys(by: str, values: NDArray[np.generic]) -> tuple[list[Key], NDArray[np.intp]]:
    """Return the sorted keys, and for each row the number of its key."""
    if values.dtype.kind not in "iuO":
        raise TypeError(
            f"`by` must name a column of text or whole numbers without missing values, got "
            f"{values.dtype} in {by!r}.\nHint: convert it to text, or drop the rows without a key."
        )
    if values.dtype == object:
        num_missing = int(sum(key is None for key in values))
        if num_missing:
            raise ValueError(
                f"`by` must name a column without missing values, got {num_missing} in {by!r}.\n"
                "Hint: drop the rows without a key, or fill it in."
            )
        values = values.astype(str)
    keys, group_of_row = np.unique(values, return_inverse=True)
    return keys.tolist(), group_of_row
