"""Matches the columns of a table to the containers of a model, by name and never by position."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from bayou.containers.reading.column_reader import WantedColumns, column_readers
from bayou.containers.reading.columns import columns_of
from bayou.errors import EmptySourceError
from bayou.sources.in_memory.array import check_names
from bayou.sources.kinds import named_columns
from bayou.text import listed, type_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pymc as pm
    from pytensor.tensor.sharedvar import TensorSharedVariable

    from bayou.containers.reading.column_reader import ColumnReader
    from bayou.containers.reading.columns import Columns
    from bayou.sources.base.named_columns import NamedColumns
    from bayou.sources.base.source import Source


def match_columns(
    model: pm.Model,
    table: NamedColumns,
    variables: Iterable[TensorSharedVariable] | None = None,
    argument: str = "`data`",
) -> dict[TensorSharedVariable, ColumnReader]:
    """Return the readers of a table's columns for the containers of a model; read no rows.

    Parameters
    ----------
    model : pymc.Model
        The model that has the containers.
    table : NamedColumns
        It has the columns, in any order, and possibly others.
    variables : iterable of TensorSharedVariable, optional
        The containers to read for; by default all of the model that were built from named columns.
    argument : str, default "`data`"
        The argument that the table came from, as the subject of errors.

    Returns
    -------
    dict of TensorSharedVariable to ColumnReader
        The columns of all readers are of one source.

    Raises
    ------
    TypeError
        If a column is of another kind than the container's: text for numbers, numbers for dates.
    ValueError
        If columns are missing, all of which are listed, if there are no rows, or if one of
        `variables` was not built from columns.
    """
    containers = _with_columns(model)
    if variables is not None:
        chosen = list(variables)
        for variable in chosen:
            if variable not in containers:
                raise ValueError(
                    "`variables` must be containers of the model that were built from named "
                    f"columns, got {variable.name!r}.\n"
                    "Hint: leave it out, or build it with `columns=`."
                )
        containers = {v: columns for v, columns in containers.items() if v in chosen}
    if not containers:
        return {}
    check_has_columns(table, {v.name: columns.names for v, columns in containers.items()})
    names = [name for columns in containers.values() for name in columns.names]
    return column_readers(
        open_columns(table, names, argument),
        {
            variable: WantedColumns(variable.name, columns, variable.type.dtype)
            for variable, columns in containers.items()
        },
    )


def _with_columns(model: pm.Model) -> dict[TensorSharedVariable, Columns]:
    """Return the containers of a model that were built from named columns, with these."""
    pairs = ((variable, columns_of(variable)) for variable in model.root.data_vars)
    return {variable: columns for variable, columns in pairs if columns is not None}


def require_table(data: object, argument: str) -> NamedColumns:
    """Return the named columns of data.

    Raises
    ------
    TypeError
        If they have none.
    """
    table = named_columns(data)
    if table is None:
        raise TypeError(
            f"{argument} must have named columns, got {type_text(data)}.\n"
            "Hint: pass a frame, a dict of arrays such as {'distance': values}, or a source."
        )
    return table


def open_columns(table: NamedColumns, names: Sequence[str], argument: str) -> Source:
    """Return a source of columns that a table has.

    Raises
    ------
    ValueError
        If it has no rows.
    """
    try:
        return table.open(names)
    except EmptySourceError as error:
        raise ValueError(
            f"{argument} must have at least one row, got a {table.description} without any.\n"
            "Hint: check the filter or the path that left nothing."
        ) from error


def check_has_columns(
    table: NamedColumns, names_by_container: Mapping[str, tuple[str, ...]]
) -> None:
    """Check that a table has all columns of some containers.

    Raises
    ------
    ValueError
        If columns are missing: the error lists them all, and names that resemble them.
    """
    missing: dict[str, list[str]] = {}
    for container, names in names_by_container.items():
        for name in names:
            if name not in table.names:
                missing.setdefault(name, []).append(repr(container))
    if not missing:
        return
    # A frame may have a column 0, which is not the column "0".
    check_names([name for name in table.names if str(name) in missing])
    used = set[str]().union(*names_by_container.values())
    spare = [name for name in table.names if isinstance(name, str) and name not in used]
    similar = [match for name in missing for match in get_close_matches(name, spare, n=1)]
    question = f"did you mean {listed(similar)}? The" if similar else "the"
    got = ", ".join(
        f"{name!r} (for {', '.join(containers)})" for name, containers in missing.items()
    )
    raise ValueError(
        "The data must have all columns that the containers use, got a "
        f"{table.description} without {got}.\n"
        f"Hint: {question} data have the columns {listed(table.names)}."
    )
